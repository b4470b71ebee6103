"""Bitstamp's last trade, `GET /api/v2/ticker/btcusd/` (bitstamp.net/api): `last` and `timestamp` in seconds, as text."""

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

NAME = "bitstamp"
URL = "https://www.bitstamp.net/api/v2/ticker/btcusd/"  # with the slash: without it they redirect
PAIR = "BTC/USD"


class _Answer(msgspec.Struct):
    last: Decimal
    timestamp: int | str
    pair: str = PAIR


def parse(body: bytes, now_ms: int) -> Sample:
    answer = decode(body, _Answer)
    if answer.pair != PAIR:
        raise RateTrouble(Trouble.WRONG_PAIR, "the answer is not of a bitcoin in dollars")
    stamp = str(answer.timestamp)
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 20:
        raise RateTrouble(Trouble.BAD_TIME, "the time stamp is no number of seconds")
    return sample(NAME, answer.last, at_second(int(stamp)))


def source(given: Mapping[str, Any]) -> Source:
    """Raises Misconfigured."""
    return Source(name=NAME, url=address(NAME, options(NAME, given, SourceOptions).url, URL), parse=parse)
