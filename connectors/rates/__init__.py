"""The sources of the exchange rate that a hub can ask, by name. `hub/rate_feed.py` builds those of `rates.sources`; the
tests run every line of SOURCES against `tests/fakes/rates.py`. CoinGecko is left out on purpose: BTCPay Server moved
every store off it in January 2026 (its migration 20260112034125)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.rates import bitstamp, coinbase, coinbase_exchange, kraken, mempool, strike
from connectors.rates.source import Source

# Name -> builder from the block `rates.options.<name>`; a builder raises Misconfigured for options that it cannot use.
SOURCES: dict[str, Callable[[Mapping[str, Any]], Source]] = {
    "kraken": kraken.source,
    "coinbase": coinbase.source,
    "coinbase_exchange": coinbase_exchange.source,
    "bitstamp": bitstamp.source,
    "strike": strike.source,
    "mempool": mempool.source,
}
