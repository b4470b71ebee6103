"""Coinbase's consumer rate, `GET /v2/exchange-rates?currency=BTC` (docs.cdp.coinbase.com). It carries no time."""

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

NAME = "coinbase"
URL = "https://api.coinbase.com/v2/exchange-rates?currency=BTC"


class _Usd(msgspec.Struct):
    usd: Decimal | None = msgspec.field(default=None, name="USD")


class _Data(msgspec.Struct):
    currency: str
    rates: _Usd


class _Answer(msgspec.Struct):
    data: _Data


def parse(body: bytes, now_ms: int) -> Sample:
    data = decode(body, _Answer).data
    if data.currency != "BTC" or data.rates.usd is None:
        raise RateTrouble(Trouble.WRONG_PAIR, "the answer is not of a bitcoin in dollars")
    return sample(NAME, data.rates.usd, now_ms)


def source(given: Mapping[str, Any]) -> Source:
    """Raises Misconfigured."""
    return Source(name=NAME, url=address(NAME, options(NAME, given, SourceOptions).url, URL), parse=parse)
