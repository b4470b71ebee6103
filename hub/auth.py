"""Who is asking: API keys for `/v1`, sessions for people. Guards of routers; a route without one must say in
`opt["public"]` why."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from core import clock
from core.access import keys, sessions
from core.access.keys import Caller
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.db.unit_of_work import UnitOfWork
from core.errors import Forbidden, Unauthenticated
from core.secret import Secret, digest
from hub.middleware import answer_header
from hub.ratelimit import RateLimit
from hub.services import Services

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

CSRF_FIELD = "_csrf_token"
CSRF_HEADER = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class KeyCache:
    """Remembers for a few seconds whose a key is, unknown ones too, so that a revoked key stops within `seconds`."""

    def __init__(self, work: UnitOfWork, *, seconds: float = 5.0, size: int = 10_000):
        self._work = work
        self._seconds = seconds
        self._size = size
        self._known: dict[str, tuple[float, Caller | None]] = {}

    async def caller(self, presented: str) -> Caller | None:
        if not keys.well_formed(presented):
            return None
        name = digest(presented)
        found = self._known.get(name)
        if found is not None and found[0] > clock.monotonic():
            return found[1]
        async with self._work.read() as session:
            caller = await keys.find(session, name)
        self._known.pop(name, None)
        if len(self._known) >= self._size:
            del self._known[next(iter(self._known))]  # the one asked for longest ago
        self._known[name] = (clock.monotonic() + self._seconds, caller)
        return caller


def services_of(connection: Connection) -> Services:
    return cast("Services", connection.app.state["services"])


# --- API keys


async def api_key(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard of `/v1`: a living key in `Authorization: Bearer`, within its organisation's rate limit."""
    scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
    known = cast("KeyCache", connection.app.state["keys"])
    caller = await known.caller(presented.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        message = (
            "Invalid API key" if presented else "An API key is required: Authorization: Bearer ek_live_..."
        )
        raise Unauthenticated("invalid_api_key", message)
    standing = cast("RateLimit", connection.app.state["rate_limit"]).hit(caller.organisation_id)
    if standing is not None:
        for name, value in standing.headers().items():
            answer_header(connection.scope, name, value)
    connection.scope["state"]["caller"] = caller


def caller(request: Request[Any, Any, Any]) -> Caller:
    """Whose key it is. Only on routes behind `api_key`."""
    return cast("Caller", request.scope["state"]["caller"])


def asker(request: Request[Any, Any, Any]) -> tuple[Services, Caller]:
    """What every handler behind `api_key` starts from. Not two dependencies: the framework resolves those in a task
    group of one task each, which costs more than decoding the request."""
    return services_of(request), caller(request)


# --- people


def require(*scopes: Scope) -> Guard:
    """A guard: somebody signed in whose role has one of `scopes`; on unsafe methods with the CSRF token of their session.

    Raises Unauthenticated (a browser is sent to sign in) or Forbidden."""

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        person = await _signed_in(connection)
        if person is None:
            raise Unauthenticated("sign_in", "Please sign in")
        if not any(may(person.role, scope) for scope in scopes):
            raise Forbidden("not_yours", "Your account may not do this")
        if _method(connection) not in _SAFE:
            await _check_csrf(cast("Request[Any, Any, Any]", connection), person)
        connection.scope["state"]["person"] = person

    return guard


worker = require(Scope.ANSWER)
operator = require(Scope.CONSOLE)


async def anyone(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard of pages for everybody (start, sign-in): tells who is signed in, if somebody is, and refuses a form that
    another site posts."""
    connection.scope["state"]["person"] = await _signed_in(connection)
    if _method(connection) not in _SAFE:
        refuse_cross_site(connection)


def person(request: Request[Any, Any, Any]) -> SignedIn:
    """Dependency: who is signed in. Only on routes behind `require`."""
    return cast("SignedIn", request.scope["state"]["person"])


def visitor(request: Request[Any, Any, Any]) -> SignedIn | None:
    """Dependency: who is signed in, if somebody is. Only on routes behind `anyone` or `require`."""
    return cast("SignedIn | None", request.scope["state"].get("person"))


def _method(connection: Connection) -> str:
    return cast("dict[str, str]", connection.scope).get("method", "GET")


async def bearer_of(connection: Connection) -> SignedIn | None:
    """Whose living session stands in `Authorization: Bearer`; no cookie is looked at, so no other site acts in their name."""
    scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
    token = presented.strip()
    if scheme.lower() != "bearer" or not 20 <= len(token) <= 100 or not token.isascii():
        return None
    async with services_of(connection).work.read() as session:
        return await sessions.find(session, token)


async def _signed_in(connection: Connection) -> SignedIn | None:
    services = services_of(connection)
    token = connection.cookies.get(cookie_name(services.settings.public_url), "")
    if not 20 <= len(token) <= 100 or not token.isascii():
        return None
    async with services.work.read() as session:
        return await sessions.find(session, token)


async def _check_csrf(request: Request[Any, Any, Any], person: SignedIn) -> None:
    refuse_cross_site(request)
    presented = request.headers.get(CSRF_HEADER)
    if presented is None:
        value = (await request.form()).get(CSRF_FIELD)
        presented = value if isinstance(value, str) else ""
    if not hmac.compare_digest(presented.encode(), person.csrf_token.encode()):
        raise Forbidden("csrf", "This form is out of date; go back, reload the page and send it again")


def refuse_cross_site(connection: Connection) -> None:
    """A browser says where a request comes from (Fetch Metadata, and Origin for older ones). Raises Forbidden when
    that is another site."""
    site = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    ours = (connection.headers.get("host"), urlsplit(services_of(connection).settings.public_url).netloc)
    if site is None:
        foreign = origin is not None and urlsplit(origin).netloc not in ours
    else:
        foreign = site not in ("same-origin", "none")
    if foreign:
        raise Forbidden("cross_site", "This form was sent from another site")


# --- the session's cookie


def _secure(public_url: str) -> bool:
    """False only for plain http on this very machine, where a browser would drop a Secure cookie."""
    parts = urlsplit(public_url)
    return not (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def cookie_name(public_url: str) -> str:
    """`__Host-` (RFC 6265bis) pins the cookie to this host and to https."""
    return "__Host-hub_session" if _secure(public_url) else "hub_session"


def session_cookie(public_url: str, token: Secret, seconds: int) -> Cookie:
    """The cookie that carries a session; `seconds` 0 takes it away."""
    return Cookie(
        key=cookie_name(public_url),
        value=token.reveal(),
        path="/",
        max_age=seconds,
        secure=_secure(public_url),
        httponly=True,
        samesite="lax",
    )


def no_cookie(public_url: str) -> Cookie:
    """Signs the browser out."""
    return session_cookie(public_url, Secret(""), 0)
