"""The form of an address that a stranger wants us to call. Whether it may be reached is decided when it is called, on
the address in use (`connectors/target_guard.py`); a name that is harmless today can point anywhere tomorrow."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MOST = 2048
_PLAIN = re.compile(
    r"[!-\[\]-~]*\Z"
)  # printable ASCII but space and backslash, which browsers read as a slash


def check_url(url: str) -> str | None:
    """What is wrong with it, None when nothing is."""
    if len(url) > MOST:
        return f"Must be at most {MOST} characters"
    if not _PLAIN.match(url):
        return "Must be plain ASCII without spaces (encode a path with %XX, a name as xn--...)"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "Must be an http or https URL"
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return "Must be an http or https URL"
    if parts.username is not None or parts.password is not None:
        return "Must not hold a user name or password; deliveries are signed instead"
    if port == 0:
        return "Must not name port 0"
    return None
