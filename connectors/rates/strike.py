"""Strike's rates, `GET /v1/rates/ticker` with an API key (docs.strike.me): a list of pairs, without a time."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.rates.source import RateTrouble, Source, Trouble, address, credential, decode, options, sample
from core.rates.model import Sample

NAME = "strike"
URL = "https://api.strike.me/v1/rates/ticker"


class StrikeRateOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Strike answers nobody without a key; one with the scope `partner.rates.ticker` is enough."""

    api_key: str
    url: str = ""


class _Pair(msgspec.Struct, rename="camel"):
    source_currency: str
    target_currency: str
    amount: Decimal


def parse(body: bytes, now_ms: int) -> Sample:
    for pair in decode(body, list[_Pair]):
        if (pair.source_currency, pair.target_currency) == ("BTC", "USD"):
            return sample(NAME, pair.amount, now_ms)
    raise RateTrouble(Trouble.WRONG_PAIR, "the answer has no bitcoin in dollars")


def source(given: Mapping[str, Any]) -> Source:
    """Raises Misconfigured."""
    read = options(NAME, given, StrikeRateOptions)
    bearer = credential(NAME, "api_key", read.api_key)
    return Source(name=NAME, url=address(NAME, read.url, URL), parse=parse, bearer=bearer)
