"""Which addresses an outbound call may reach. `connectors/http.py` asks `admit` about the URL's form and puts
`socket_factory` under every connection, so that the address judged is the address used (no DNS rebinding)."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import msgspec
from yarl import URL

from core.errors import Misconfigured, Rejected

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]  # what getaddrinfo gives and aiohttp passes on

ALLOW_SETTING = "targets.allow"  # the operator's list, as `hub.yaml` names it
ORDINARY_PORTS = frozenset({443, 8443})
MAX_URL_CHARS = 2048

# IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and later). Spelled out because
# `ipaddress.is_global` of Python 3.11 says True for NAT64, 6to4, multicast, 192.0.0.8, 3fff::/20 and 5f00::/16.
_SPECIAL: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),  # RFC 1122: Linux connects 0.0.0.0 to itself
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),  # RFC 6598; holds Alibaba's metadata service 100.100.100.200
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "cloud metadata"),  # Azure's host agent, in otherwise public space
    ("169.254.0.0/16", "link-local"),  # holds the metadata service of nearly every cloud
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignment"),  # RFC 6890; Oracle's metadata service is 192.0.0.192
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),  # RFC 7526
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),  # and 255.255.255.255
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),  # RFC 4291 §2.5.5.1, deprecated: ::127.0.0.1
    ("::ffff:0:0:0/96", "IPv4-translated"),  # RFC 2765: ::ffff:0:127.0.0.1
    ("64:ff9b::/96", "NAT64"),  # RFC 6052: carries any IPv4 address inside
    ("64:ff9b:1::/48", "NAT64"),  # RFC 8215
    ("100::/64", "discard"),
    ("2001::/23", "protocol assignment"),  # Teredo, ORCHID, benchmarking, anycast
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),  # carries any IPv4 address inside
    ("3fff::/20", "documentation"),  # RFC 9637
    ("5f00::/16", "segment routing"),  # RFC 9602
    ("fc00::/7", "private"),  # AWS answers metadata on fd00:ec2::254
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
_SPECIAL_NETWORKS = tuple((ipaddress.ip_network(text), name) for text, name in _SPECIAL)
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")  # all that IANA has handed out (RFC 3587)
_MAPPED_V4 = ipaddress.IPv6Network("::ffff:0:0/96")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)


class Allow(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's exceptions: networks on any port, single `ip:port`, and `host:port` by name. A listed name
    is trusted wherever its DNS points; everything listed may be spoken to without TLS."""

    networks: tuple[Network, ...] = ()
    addresses: frozenset[tuple[Address, int]] = frozenset()
    names: frozenset[tuple[str, int]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.networks or self.addresses or self.names)


NOTHING = Allow()


class Way(StrEnum):
    """How a connection to an admitted URL is judged when it is made."""

    PUBLIC = "public"  # any public address, or a listed one
    LISTED = "listed"  # listed addresses only: plain http, or a port out of the ordinary
    NAMED = "named"  # the operator listed this host:port itself


class TargetRefused(OSError):
    """Raised by the socket factory in place of a connection. Its text is the address class alone, so that
    aiohappyeyeballs folds several refusals into one error; `errno` is `ERRNO`, which no kernel uses."""

    ERRNO = 77_001

    def __init__(self, address_class: str, address: str):
        super().__init__(self.ERRNO, address_class)
        self.address = address

    def __str__(self) -> str:
        return str(self.strerror)


def parse_allow(entries: Iterable[str]) -> Allow:
    """The operator's list: `10.1.0.0/16`, `192.168.7.9`, `10.0.0.5:8080`, `[fd00::5]:8443`, `crm.internal:8443`.
    Raises `Misconfigured` naming the entry that is none of these."""
    networks: list[Network] = []
    addresses: set[tuple[Address, int]] = set()
    names: set[tuple[str, int]] = set()
    for entry in entries:
        text = entry.strip()
        network = _network(text)
        if network is not None:
            networks.append(network)
            continue
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise _bad_entry(entry)
        address = _address(host.removeprefix("[").removesuffix("]"))
        if address is not None:
            addresses.add((_canonical(address), int(port)))
        elif _NAME.fullmatch(_plain_name(host)):
            names.add((_plain_name(host), int(port)))
        else:
            raise _bad_entry(entry)
    return Allow(networks=tuple(networks), addresses=frozenset(addresses), names=frozenset(names))


def address_class(ip: Address) -> str | None:
    """`loopback`, `private`, `NAT64`… for an address that is not plain public unicast; None for one that is.
    An IPv4-mapped IPv6 address is judged as the IPv4 address inside."""
    ip = _canonical(ip)
    for network, name in _SPECIAL_NETWORKS:
        if ip in network:
            return name
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_UNICAST_V6:
        return "unassigned"
    return None


def listed(ip: Address, port: int, allow: Allow) -> bool:
    """True when the operator listed this address (by network, or with this port)."""
    ip = _canonical(ip)
    return (ip, port) in allow.addresses or any(ip in network for network in allow.networks)


def allowed(ip: Address, allow: Allow = NOTHING, *, port: int = 443) -> bool:
    """Whether a call may go to this address and port: public unicast, or listed by the operator."""
    return address_class(ip) is None or listed(ip, port, allow)


def socket_factory(allow: Allow, way: Way = Way.PUBLIC) -> Callable[[AddrInfo], socket.socket]:
    """A gate for `aiohttp.TCPConnector(socket_factory=...)`, which is called with the very address about to be
    connected, IP literals included (aiohttp never asks a resolver about those). Raises `TargetRefused`."""

    def open_socket(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        ip, port = ipaddress.ip_address(sockaddr[0]), int(sockaddr[1])
        if way is Way.PUBLIC and not allowed(ip, allow, port=port):
            raise TargetRefused(address_class(ip) or "unlisted", str(ip))
        if way is Way.LISTED and not listed(ip, port, allow):
            raise TargetRefused(address_class(ip) or "public, but unlisted", str(ip))
        return socket.socket(family, kind, protocol)

    return open_socket


def admit(url: str, allow: Allow = NOTHING, *, ports: frozenset[int] = ORDINARY_PORTS) -> tuple[URL, Way]:
    """The URL, parsed, and how its connection is to be judged. Also what an endpoint's registration checks.

    Raises `Rejected`: `bad_url` for the form (scheme, user information, port, host, length, control characters),
    `https_required` and `port_refused` for what only listed targets may do, `target_refused` for an IP literal.
    """
    parsed = _parse(url)
    host, port = parsed.host, parsed.port
    if host is None or port is None:
        raise _bad_url("the URL has no host")
    address = _address(host)
    if address is None and not _is_name(parsed.raw_host or ""):
        raise _bad_url(f"{host!r} is not a host name")
    if (_plain_name(parsed.raw_host or ""), port) in allow.names:
        return parsed, Way.NAMED
    reachable = bool(allow.networks or allow.addresses) if address is None else listed(address, port, allow)
    if parsed.scheme != "https" and not reachable:
        raise Rejected(
            "https_required", f"only https is spoken to targets that are not listed under {ALLOW_SETTING}"
        )
    if port not in ports and not reachable:
        wanted = ", ".join(str(p) for p in sorted(ports))
        raise Rejected(
            "port_refused",
            f"port {port} is not one of {wanted} and the target is not listed under {ALLOW_SETTING}",
        )
    if address is not None and not allowed(address, allow, port=port):
        raise refusal(parsed, address_class(address) or "unlisted", str(address))
    return parsed, Way.PUBLIC if parsed.scheme == "https" and port in ports else Way.LISTED


def refusal(url: URL, address_class: str, address: str | None = None) -> Rejected:
    """The error for a target that may not be reached. The address stays out of the message: a tenant reads it,
    and shall not learn what a name means inside the operator's network."""
    target = f"{url.host_subcomponent}:{url.port}"
    return Rejected(
        "target_refused",
        f"{target} is not a public address ({address_class}). If this call is wanted, the operator adds "
        f'"{target}" or its network to {ALLOW_SETTING}.',
        address_class=address_class,
        address=address,
    )


def _parse(url: str) -> URL:
    if len(url) > MAX_URL_CHARS:
        raise _bad_url(f"the URL is longer than {MAX_URL_CHARS} characters")
    # yarl and other parsers read these differently, which is how a check and a connection come to disagree
    if any(c <= " " or c == "\x7f" or c == "\\" for c in url):
        raise _bad_url("the URL holds a space, a control character or a backslash")
    try:
        parsed = URL(url)
        port = parsed.port
    except ValueError as error:
        raise _bad_url("this is not a URL") from error
    if parsed.scheme not in ("https", "http"):
        raise _bad_url("the URL must begin with https://")
    if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        raise _bad_url("user name and password do not belong in the URL")
    if port == 0:
        raise _bad_url("port 0 cannot be reached")
    return parsed.with_fragment(None)


def _is_name(raw_host: str) -> bool:
    name = _plain_name(raw_host)
    # A last label of digits only is an IPv4 address in some spelling (WHATWG URL §3.5, "ends in a number")
    return len(name) <= 253 and bool(_NAME.fullmatch(name)) and not name.rpartition(".")[2].isdigit()


def _canonical(ip: Address) -> Address:
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _plain_name(host: str) -> str:
    return host.lower().removesuffix(".")


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED_V4):
        raise Misconfigured(
            "bad_allow_entry", f'{ALLOW_SETTING}: write "{text}" as the IPv4 network that it maps'
        )
    return network


def _bad_url(why: str) -> Rejected:
    return Rejected("bad_url", why)


def _bad_entry(entry: str) -> Misconfigured:
    return Misconfigured(
        "bad_allow_entry",
        f'{ALLOW_SETTING}: "{entry}" is none of: a network (10.1.0.0/16), an address (10.1.0.9), ip:port, host:port',
    )
