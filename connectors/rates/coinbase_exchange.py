"""Coinbase Exchange's last trade, `GET /products/BTC-USD/ticker` (docs.cdp.coinbase.com): `price` and its own `time`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from connectors.rates.source import (
    RateTrouble,
    Source,
    SourceOptions,
    Trouble,
    address,
    decode,
    options,
    sample,
)
from core import clock
from core.rates.model import Sample

NAME = "coinbase_exchange"
URL = "https://api.exchange.coinbase.com/products/BTC-USD/ticker"


class _Answer(msgspec.Struct):
    message: str = ""  # of an error, such as NotFound
    price: Decimal | None = None
    time: datetime | None = None


def parse(body: bytes, now_ms: int) -> Sample:
    answer = decode(body, _Answer)
    if answer.message:
        raise RateTrouble(Trouble.REPORTED, f"Coinbase Exchange reports {answer.message[:100]}")
    if answer.price is None or answer.time is None:
        raise RateTrouble(Trouble.UNEXPECTED, "the answer lacks price or time")
    if answer.time.tzinfo is None:
        raise RateTrouble(Trouble.BAD_TIME, "the time names no zone")
    return sample(NAME, answer.price, clock.to_ms(answer.time))


def source(given: Mapping[str, Any]) -> Source:
    """Raises Misconfigured."""
    return Source(name=NAME, url=address(NAME, options(NAME, given, SourceOptions).url, URL), parse=parse)
