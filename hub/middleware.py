"""What every answer carries, whoever made it: a request id, security headers and, for API keys, the state of the rate
limit. A `before_send` hook of the application, so that 404, 405, 413 and 500 are no exceptions."""

from __future__ import annotations

import uuid

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from core import ids
from hub.observe.logging import about

API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CACHED_BY_THEIR_HANDLER = ("/static/", "/docs", "/schema/")


def request_id(scope: Scope) -> str:
    """The id of this request, a UUID: the caller's own `X-Request-Id` when it is one, else a fresh one."""
    state = scope["state"]
    found: str | None = state.get("request_id")
    if found is None:
        presented = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        found = state["request_id"] = _uuid(presented) or ids.uuid7()
    return found


def answer_header(scope: Scope, name: str, value: str) -> None:
    """Have this header on the answer to this request, whoever makes it."""
    scope["state"].setdefault("answer_headers", []).append((name.lower().encode(), value.encode("latin-1")))


def log_context(app: ASGIApp) -> ASGIApp:
    """Every log line of a request carries its id."""

    async def with_context(scope: Scope, receive: Receive, send: Send) -> None:
        with about(request=request_id(scope)):
            await app(scope, receive, send)

    return with_context


async def complete_headers(message: Message, scope: Scope) -> None:
    """The `before_send` hook. A header that the handler has set stays as it is."""
    if message["type"] != "http.response.start":
        return
    headers = list(message["headers"])
    present = {name.lower(): value for name, value in headers}
    html = present.get(b"content-type", b"").startswith(b"text/html")
    wanted: list[tuple[bytes, bytes]] = [
        (b"x-request-id", request_id(scope).encode()),
        (b"content-security-policy", (PAGE_POLICY if html else API_POLICY).encode()),
        *_ALWAYS,
        *scope["state"].get("answer_headers", ()),
    ]
    if not scope["path"].startswith(_CACHED_BY_THEIR_HANDLER):
        wanted.append((b"cache-control", b"no-store"))
    headers.extend((name, value) for name, value in wanted if name not in present)
    message["headers"] = headers


def _uuid(presented: bytes) -> str | None:
    if len(presented) != 36:
        return None
    try:
        return str(uuid.UUID(presented.decode("ascii")))
    except ValueError:
        return None
