"""One bounded HTTP call to the server of a Lightning wallet, sent once. Used by the rails `phoenixd` and `lnbits`; what an
answer means is theirs to say."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from connectors.rails.sent_once import sent_once

LOOK_UP_SECONDS = 4.0  # a payment asks two or three times, and a job that pays holds its lease for 30 seconds
MAX_ANSWER = 65_536  # bytes; one payment is 1 to 4 KB
MAX_PAGE = 4 * 1024 * 1024  # bytes of a page of payments


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Any HTTP answer that arrived whole. `body` is its JSON object, empty when it is none."""

    status: int
    text: str
    body: Mapping[str, Any]

    @property
    def words(self) -> str:
        """What the server said, short enough for a reason that an operator reads."""
        return " ".join(self.text.split())[:200] or "nothing"


async def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    seconds: float,
    form: Mapping[str, str] | None = None,
    json: Mapping[str, Any] | None = None,
    limit: int = MAX_ANSWER,
) -> Reply:
    """The answer to one request (`sent_once`), of `limit` bytes at most, within `seconds` in all. Raises NotSent when nothing
    can have arrived, NoAnswer when something may have."""
    whole = await sent_once(method, url, headers=headers, seconds=seconds, limit=limit, json=json, form=form)
    return Reply(status=whole.status, text=whole.raw.decode(errors="replace"), body=_object(whole.raw))


def server_url(text: str) -> str:
    """The base URL of a wallet's server without the slash at its end. The secret goes there with every call, so http is
    for this machine and the private network alone. Raises ValueError with the fix."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or not text.isascii()
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError("this is not a URL; write http://127.0.0.1:PORT or https://HOST")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(
            "a URL here must hold no user, password, query or fragment; write scheme, host, port and path"
        )
    if parts.scheme == "http" and not _private(host):
        raise ValueError(f"this would send the secret to {host} in the clear; write https://{host}")
    return text.rstrip("/")


def _private(host: str) -> bool:
    """A name without a dot is a neighbour's (a container, an entry of the hosts file)."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".internal", ".local"))


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}
