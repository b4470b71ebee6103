"""OAuth client credentials at `/oauth_token.do`, and what all clients of one process share: the token and the two
places for calls. Used by `client.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

import httpx
import msgspec

from connectors.calls import NoAnswer, NotSent, failure_of, failure_of_status, seconds_to_wait
from connectors.pauses import Pauses
from connectors.servicenow.records import members
from connectors.servicenow.settings import ServiceNowSettings
from connectors.vendor_http import send
from core import clock
from core.errors import Misconfigured, Retryable
from core.secret import Secret

SYSTEM = "ServiceNow"
EARLY = 60.0  # seconds before its end at which a token is not used any more
LIFETIME = 1799.0  # seconds, where the answer names none; what a recorded answer says


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`until` is on the monotonic clock; `made_with` the secret that got it, so that a rotated one counts at once."""

    value: Secret
    until: float
    made_with: Secret


class Shared:
    """Of one connector in one process: a writer is made for every reply, a token lasts for half an hour."""

    def __init__(self, places: int):
        self.places = asyncio.Semaphore(places)
        self.renewing = asyncio.Lock()
        self.token: Token | None = None
        self.warned = False


_SHARED: WeakKeyDictionary[Pauses, dict[tuple[str, str, str], Shared]] = WeakKeyDictionary()


def shared_of(pauses: Pauses, settings: ServiceNowSettings) -> Shared:
    """The same for the same connector, host and client of one process (`pauses` lives as long as it does)."""
    book = _SHARED.setdefault(pauses, {})
    key = (settings.id, settings.api_url, settings.auth.client_id or "")
    if key not in book:
        book[key] = Shared(settings.limits.concurrency)
    return book[key]


async def bearer(
    shared: Shared, settings: ServiceNowSettings, http: Callable[[], httpx.AsyncClient]
) -> Secret:
    """A token that is good for a minute more, asked for once however many wait.

    Raises Retryable when the instance is away, Misconfigured when it refuses the client."""
    secrets = settings.auth.client_secret
    secret = secrets.current(clock.now()) if secrets is not None else Secret("")
    if not secret:
        raise Misconfigured("no_client_secret", "auth.client_secret is empty: set what it refers to.")
    async with shared.renewing:
        token = shared.token
        if token is None or token.until - EARLY <= clock.monotonic() or not _same(token.made_with, secret):
            shared.token = token = await _fetch(settings, secret, http())
        return token.value


def forget(shared: Shared, value: Secret) -> None:
    """The instance refused this token; another call may have a newer one already."""
    if shared.token is not None and _same(shared.token.value, value):
        shared.token = None


def _same(one: Secret, other: Secret) -> bool:
    return one.matches(other.reveal())


async def _fetch(settings: ServiceNowSettings, secret: Secret, client: httpx.AsyncClient) -> Token:
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.auth.client_id or "",
        "client_secret": secret.reveal(),
    }
    asked = clock.monotonic()
    request = client.build_request(
        "POST", f"{settings.api_url}/oauth_token.do", data=form, headers={"accept": "application/json"}
    )
    try:
        answer = await send(client, request)
    except (NotSent, NoAnswer) as problem:
        raise failure_of(problem, SYSTEM, writes=False) from problem
    body = members(answer.body)
    said = (
        f"{str(body.get('error', 'no reason'))[:80]} {str(body.get('error_description', ''))[:200]}".strip()
    )
    if answer.status in (400, 401, 403):
        raise Misconfigured(
            "token_refused",
            f"{SYSTEM} gives no token ({answer.status}: {said}). Check auth.client_id and auth.client_secret, that the "
            "OAuth entity has an Application User, and that the property "
            "glide.oauth.inbound.client.credential.grant_type.enabled exists and is true.",
            status=answer.status,
        )
    if not answer.ok:
        wait = seconds_to_wait(answer.headers, "retry-after")
        raise failure_of_status(answer, SYSTEM, f"token: {said}", writes=False, wait=wait)
    value, lasts = body.get("access_token"), body.get("expires_in")
    if (
        answer.status != 200
        or not isinstance(value, str)
        or not value.isascii()
        or not value.isprintable()
        or not value
    ):
        raise Retryable("no_token", f"{SYSTEM} answered {answer.status} without an access token.")
    span = float(lasts) if isinstance(lasts, int) and 0 < lasts < 10**6 else LIFETIME
    return Token(value=Secret(value), until=asked + span, made_with=secret)
