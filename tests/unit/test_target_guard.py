"""Every address form of the SSRF set against the guard: what it refuses, what it lets through, what an operator
may list. Addresses: IANA special-purpose registries, and the forms that went around a resolver-only check."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from connectors.target_guard import NOTHING, TargetRefused, Way, admit, allowed, parse_allow, socket_factory
from core.errors import Misconfigured, Rejected

REFUSED = {
    "unspecified": ["0.0.0.0", "0.1.2.3", "0.255.255.255", "::"],
    "private": [
        "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
        "fc00::1", "fd00:ec2::254", "fdff:ffff::1", "::ffff:10.0.0.1", "::ffff:192.168.1.1",
    ],
    "carrier-grade NAT": ["100.64.0.0", "100.100.100.200", "100.127.255.255", "::ffff:100.64.0.1"],
    "loopback": ["127.0.0.1", "127.1.2.3", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"],
    "cloud metadata": ["168.63.129.16"],
    "link-local": ["169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "febf::1", "::ffff:169.254.169.254"],
    "protocol assignment": [
        "192.0.0.1", "192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "192.0.0.192",
        "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::1",
    ],
    "documentation": ["192.0.2.1", "198.51.100.7", "203.0.113.9", "2001:db8::1", "3fff::1", "3fff:fff::1"],
    "6to4 relay": ["192.88.99.1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255"],
    "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
    "IPv4-translated": ["::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1"],
    "discard": ["100::1"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"],
    "segment routing": ["5f00::1", "5f00:ffff::1"],
    "site-local": ["fec0::1", "feff::1"],
    "unassigned": ["4000::1", "1::1", "100:0:0:1::1", "fe00::1", "e000::1"],
}  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "168.63.129.15", "169.253.255.255", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.1", "192.167.255.255",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888", "2001:200::1",
    "2a00:1450::1", "3ffe::1", "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in REFUSED.items() for text in texts])
def test_special_addresses_are_refused_and_named(why, text):
    assert not allowed(ipaddress.ip_address(text))
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    with pytest.raises(TargetRefused) as caught:
        socket_factory(NOTHING)((family, socket.SOCK_STREAM, 6, "", (text, 443)))
    assert str(caught.value) == why
    assert caught.value.errno == TargetRefused.ERRNO


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_pass(text):
    assert allowed(ipaddress.ip_address(text))
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    socket_factory(NOTHING)((family, socket.SOCK_STREAM, 6, "", (text, 443))).close()


def test_what_python_calls_not_global_is_refused_too():
    """Borders of every special network of the standard library, on both sides."""
    from ipaddress import _IPv4Constants, _IPv6Constants  # the registries as this Python knows them

    for network in _IPv4Constants._private_networks + _IPv6Constants._private_networks:
        if network.version == 6 and network.subnet_of(ipaddress.ip_network("::ffff:0:0/96")):
            continue  # judged by the IPv4 address inside
        assert not allowed(network[0])
        assert not allowed(network[-1])


@pytest.mark.parametrize(
    ("entry", "ip", "port", "expected"),
    [
        ("10.1.0.0/16", "10.1.255.9", 8080, True),
        ("10.1.0.0/16", "10.2.0.1", 8080, False),
        ("10.1.0.0/16", "::ffff:10.1.0.1", 443, True),
        ("192.168.7.9", "192.168.7.9", 1, True),
        ("192.168.7.9", "192.168.7.8", 1, False),
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 8081, False),
        ("127.0.0.1:8080", "::1", 8080, False),
        ("[fd00::5]:8443", "fd00::5", 8443, True),
        ("[fd00::5]:8443", "fd00::6", 8443, False),
        ("[::ffff:10.0.0.5]:80", "10.0.0.5", 80, True),
        ("fd00::/8", "fd12::1", 9, True),
        ("crm.internal:8443", "10.0.0.1", 8443, False),  # a name opens no address
    ],
)
def test_operator_entries(entry, ip, port, expected):
    assert allowed(ipaddress.ip_address(ip), parse_allow([entry]), port=port) is expected


@pytest.mark.parametrize(
    "entry", ["", "crm.internal", "crm.internal:", "crm.internal:0", "crm.internal:65536", "10.1.0.1/16", "::ffff:10.0.0.0/104",
              "http://crm.internal:80", "crm.internal:8o", "*.internal:80", "-a.b:80", ":80", "10.0.0.1:٨٠"],
)  # fmt: skip
def test_entries_that_mean_nothing_name_themselves(entry):
    with pytest.raises(Misconfigured) as caught:
        parse_allow(["10.0.0.0/8", entry])
    assert entry in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["", "x", "/path", "//host/x", "ftp://example.com/", "javascript:alert(1)", "file:///etc/passwd", "https:///x", "https:host",
     "https://user:pw@example.com/", "https://user@example.com/", "https://@example.com/", "https://example.com@127.0.0.1/",
     "https://example.com\\@127.0.0.1/", "https://exa mple.com/", "https://example.com/\r\nX: y", "https://example.com/\x00",
     "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/", "https://[::1", "https://a..b/",
     "https://127.1/", "https://2130706433/", "https://0177.0.0.1/", "https://127.0.0.1./", "https://-a.example/",
     "https://" + "a" * 64 + ".example/", "https://" + "a." * 130 + "example/", "https://example.com/" + "a" * 2048, "unix:///x"],
)  # fmt: skip
def test_bad_urls(url):
    with pytest.raises(Rejected) as caught:
        admit(url)
    assert caught.value.code == "bad_url"


@pytest.mark.parametrize(
    ("url", "address_class"),
    [
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "loopback"),
        ("https://①②⑦.⓪.⓪.①/", "loopback"),
        ("https://169.254.169.254/latest/meta-data/", "link-local"),
        ("https://[fe80::1%25eth0]/", "link-local"),
        ("https://[64:ff9b::7f00:1]:8443/", "NAT64"),
    ],
)
def test_literal_addresses_are_refused_by_form_already(url, address_class):
    with pytest.raises(Rejected) as caught:
        admit(url)
    assert caught.value.code == "target_refused"
    assert caught.value.facts["address_class"] == address_class
    assert "targets.allow" in caught.value.message


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "https_required"),
        ("http://example.com:443/", "https_required"),
        ("http://127.0.0.1/", "https_required"),
        ("https://example.com:22/", "port_refused"),
        ("https://example.com:6379/", "port_refused"),
    ],
)
def test_form_of_unlisted_targets(url, code):
    with pytest.raises(Rejected) as caught:
        admit(url)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("url", "entries", "way"),
    [
        ("https://example.com/hook?x=1", [], Way.PUBLIC),
        ("https://EXAMPLE.com.:8443/", [], Way.PUBLIC),
        ("https://bücher.example/", [], Way.PUBLIC),
        ("https://1.1.1.1/", [], Way.PUBLIC),
        ("https://10.0.0.1/", ["10.0.0.0/8"], Way.PUBLIC),
        ("https://10.0.0.1:9000/", ["10.0.0.0/8"], Way.LISTED),
        ("http://10.0.0.1:9000/", ["10.0.0.1:9000"], Way.LISTED),
        ("http://crm.internal:9000/", ["10.0.0.0/8"], Way.LISTED),  # decided by the address, at connect time
        ("http://CRM.internal.:9000/", ["crm.internal:9000"], Way.NAMED),
        ("https://crm.internal/", ["crm.internal:443"], Way.NAMED),
        ("https://crm.internal/", ["crm.internal:9000"], Way.PUBLIC),
    ],
)
def test_ways(url, entries, way):
    assert admit(url, parse_allow(entries))[1] is way


def test_fragment_is_dropped():
    assert str(admit("https://example.com/a?b=1#c")[0]) == "https://example.com/a?b=1"


def test_listed_way_opens_listed_addresses_only():
    gate = socket_factory(parse_allow(["10.0.0.0/8"]), Way.LISTED)
    gate((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 9000))).close()
    with pytest.raises(TargetRefused):
        gate((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 9000)))
