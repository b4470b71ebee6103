"""What every source of an exchange rate shares: its options, the call, and the checks of a price from a stranger. Each
source is an address and a pure parser; `connectors/rates/__init__.py` lists them, `hub/rate_feed.py` asks them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from connectors import secret_refs
from core.errors import HubError, Misconfigured, Retryable
from core.rates.model import Sample
from core.secret import Secret

MAX_BYTES = 65_536
TIMEOUT_SECONDS = 5.0
# Outside of these a dollar price of a bitcoin is a mistake (cents, another coin, another currency), not news.
LEAST_USD, MOST_USD = Decimal(100), Decimal(100_000_000)
MOST_DIGITS = 24  # the mean of two such prices is exact
_LAST_SECOND = 10**11  # of a time stamp in seconds; one in milliseconds is above

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)
Form = TypeVar("Form")


class Trouble(StrEnum):
    """Why a source gave no sample."""

    UNREACHABLE = "unreachable"  # no connection, no answer in time, 429 or 5xx
    REFUSED = (
        "refused"  # any other status (a redirect too), an address that may not be called, too many bytes
    )
    EMPTY = "empty"  # not one byte, or nothing but white space
    NOT_JSON = "not_json"  # HTML, half a body, garbage
    UNEXPECTED = "unexpected"  # JSON, but not what this source answers
    REPORTED = "reported"  # the source itself reports an error
    WRONG_PAIR = "wrong_pair"  # a price, but not of a bitcoin in dollars
    BAD_PRICE = "bad_price"  # not a number, zero, negative, absurd
    BAD_TIME = "bad_time"  # a time stamp that is none


class RateTrouble(Exception):
    """One source gave no sample. `after`: seconds it wants to be left alone, if it said so."""

    def __init__(self, trouble: Trouble, message: str, *, after: float | None = None):
        super().__init__(message)
        self.trouble = trouble
        self.message = message
        self.after = after


class Getter(Protocol):
    """`connectors.http.OutboundHttp.get`."""

    async def __call__(
        self, url: str, *, max_bytes: int, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes: ...


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """`parse` makes a Sample of a body and the moment it came (UTC milliseconds), or raises RateTrouble and nothing
    else. `bearer` is sent as the Authorization."""

    name: str
    url: str
    parse: Callable[[bytes, int], Sample]
    bearer: Secret | None = None


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every source takes."""

    url: str = ""


async def ask(source: Source, get: Getter, now_ms: Callable[[], int]) -> Sample:
    """Ask once. Raises RateTrouble."""
    headers = {"Accept": "application/json"}
    if source.bearer is not None:
        headers["Authorization"] = f"Bearer {source.bearer.reveal()}"
    try:
        body = await get(source.url, max_bytes=MAX_BYTES, timeout=TIMEOUT_SECONDS, headers=headers)
    except Retryable as error:
        raise RateTrouble(Trouble.UNREACHABLE, error.message, after=error.after) from error
    except HubError as error:
        raise RateTrouble(Trouble.REFUSED, error.message) from error
    return source.parse(body, now_ms())


def decode(body: bytes, form: type[Form]) -> Form:
    """The answer as `form`; numbers for a Decimal are read from their text, no float between. Raises RateTrouble."""
    if not body.strip():
        raise RateTrouble(Trouble.EMPTY, "the answer is empty")
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as error:
        raise RateTrouble(Trouble.UNEXPECTED, f"not what this source answers: {error}") from error
    except (ValueError, RecursionError) as error:  # malformed JSON, broken UTF-8, a thousand brackets
        raise RateTrouble(Trouble.NOT_JSON, "the answer is not JSON") from error


def sample(source: str, usd_per_btc: Decimal, at_ms: int) -> Sample:
    """Raises RateTrouble for what cannot be the price of a bitcoin in dollars."""
    price = usd_per_btc
    if (
        not price.is_finite()
        or not LEAST_USD <= price <= MOST_USD
        or len(price.as_tuple().digits) > MOST_DIGITS
    ):
        shown = f"{price:.40}" if not price.is_finite() else f"{price:.6E}"
        raise RateTrouble(Trouble.BAD_PRICE, f"{shown} is no price of a bitcoin in dollars")
    return Sample(source=source, usd_per_btc=price, at_ms=at_ms)


def at_second(seconds: int) -> int:
    """UTC milliseconds of a time stamp in seconds. Raises RateTrouble."""
    if not 0 < seconds < _LAST_SECOND:
        raise RateTrouble(Trouble.BAD_TIME, "the time stamp is no number of seconds")
    return seconds * 1000


def options(name: str, given: Mapping[str, Any], form: type[OptionsT]) -> OptionsT:
    """`rates.options.<name>` as its Struct. Raises Misconfigured."""
    try:
        return msgspec.convert(given, form, strict=False)
    except msgspec.ValidationError as error:
        raise Misconfigured("rate_options", f"hub.yaml: rates.options.{name}: {error}") from error


def address(name: str, url: str, default: str) -> str:
    """The operator's `url` or the source's own, without a slash at its end. Raises Misconfigured."""
    if not url:
        return default
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _bad_address(name) from error
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise _bad_address(name)
    return url.rstrip("/")


def credential(name: str, key: str, reference: str) -> Secret:
    """The secret behind `env:NAME` or `file:/path`. Raises Misconfigured when it is a literal, missing or empty."""
    try:
        entries = secret_refs.resolve(reference, os.environ, lambda _: None).entries
    except ValueError as error:
        raise Misconfigured("rate_options", f"hub.yaml: rates.options.{name}.{key}: {error}") from error
    if not entries or not entries[0].secret:
        raise Misconfigured(
            "rate_options", f"hub.yaml: rates.options.{name}.{key}: {reference} is missing or empty"
        )
    return entries[0].secret


def _bad_address(name: str) -> Misconfigured:
    return Misconfigured("rate_options", f"hub.yaml: rates.options.{name}.url: write https://host/path")
