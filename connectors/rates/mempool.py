"""The price that mempool.space shows, `GET /api/v1/prices` (mempool.space/docs/api): `USD` and `time` in seconds. An
instance of one's own answers the same; its address must be public, or stand under `targets.allow`, and its
`MEMPOOL.PRICE_UPDATES_PER_HOUR` must be 12 or more: the default of 1 (mempool/mempool, `price-updater.ts`) makes a price
that is out of time for most of the hour. It is a mean of Kraken, Coinbase, Bitfinex and Gemini, and -1 when it has none."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.rates.source import (
    RateTrouble,
    Source,
    SourceOptions,
    Trouble,
    address,
    at_second,
    decode,
    options,
    sample,
)
from core.rates.model import Sample

NAME = "mempool"
BASE_URL = "https://mempool.space"


class _Answer(msgspec.Struct):
    time: int
    usd: Decimal | None = msgspec.field(default=None, name="USD")


def parse(body: bytes, now_ms: int) -> Sample:
    answer = decode(body, _Answer)
    if answer.usd is None:
        raise RateTrouble(Trouble.WRONG_PAIR, "the answer has no price in dollars")
    return sample(NAME, answer.usd, at_second(answer.time))


def source(given: Mapping[str, Any]) -> Source:
    """Raises Misconfigured."""
    base = address(NAME, options(NAME, given, SourceOptions).url, BASE_URL)
    return Source(name=NAME, url=f"{base}/api/v1/prices", parse=parse)
