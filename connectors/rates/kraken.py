"""Kraken's last trade, `GET /0/public/Ticker?pair=XBTUSD` (docs.kraken.com). Errors come with status 200, in `error`."""

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
    decode,
    options,
    sample,
)
from core.rates.model import Sample

NAME = "kraken"
URL = "https://api.kraken.com/0/public/Ticker?pair=XBTUSD"
PAIR = "XXBTZUSD"  # what Kraken calls the pair in its answer


class _Ticker(msgspec.Struct):
    c: tuple[Decimal, Any]  # price and volume of the last trade; without a time


class _Answer(msgspec.Struct):
    error: list[str]
    result: dict[str, _Ticker] = {}


def parse(body: bytes, now_ms: int) -> Sample:
    answer = decode(body, _Answer)
    if answer.error:
        raise RateTrouble(Trouble.REPORTED, f"Kraken reports {answer.error[0][:100]}")
    if PAIR not in answer.result:
        raise RateTrouble(Trouble.WRONG_PAIR, f"the answer has no {PAIR}")
    return sample(NAME, answer.result[PAIR].c[0], now_ms)


def source(given: Mapping[str, Any]) -> Source:
    """Raises Misconfigured."""
    return Source(name=NAME, url=address(NAME, options(NAME, given, SourceOptions).url, URL), parse=parse)
