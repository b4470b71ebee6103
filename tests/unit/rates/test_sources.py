"""Each source's parser: what it reads, and that everything else is a named trouble."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from connectors.rates import SOURCES
from connectors.rates.source import LEAST_USD, MOST_USD, RateTrouble, Source, Trouble
from core.errors import Misconfigured
from core.rates.model import Sample
from tests.fakes.rates import ANSWERS, HTML, answer

NOW = 1_795_000_123_456
STAMP = 1_795_000_000
STAMPED = ("coinbase_exchange", "bitstamp", "mempool")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIKE_KEY", "for-tests-only")


def source(name: str) -> Source:
    return SOURCES[name]({"api_key": "env:STRIKE_KEY"} if name == "strike" else {})


def trouble(name: str, body: bytes) -> Trouble:
    with pytest.raises(RateTrouble) as caught:
        source(name).parse(body, NOW)
    return caught.value.trouble


def test_every_source_has_a_fake() -> None:
    assert sorted(SOURCES) == sorted(ANSWERS)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_price_and_the_time_are_read(name: str) -> None:
    at_ms = STAMP * 1000 if name in STAMPED else NOW
    wanted = Sample(source=name, usd_per_btc=Decimal("64000.12345"), at_ms=at_ms)
    assert source(name).parse(answer(name, "64000.12345", STAMP), NOW) == wanted


def test_a_json_number_is_read_without_a_float() -> None:
    assert source("mempool").parse(
        answer("mempool", "64000.1234567890123456", STAMP), NOW
    ).usd_per_btc == Decimal("64000.1234567890123456")


@pytest.mark.parametrize("name", sorted(SOURCES))
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", Trouble.EMPTY),
        (b" \n", Trouble.EMPTY),
        (HTML, Trouble.NOT_JSON),
        (b"\xff\xfe\x00", Trouble.NOT_JSON),
        (b"null", Trouble.UNEXPECTED),
        (b'"64000"', Trouble.UNEXPECTED),
        (b"64000", Trouble.UNEXPECTED),
    ],
)
def test_what_is_no_answer_is_named(name: str, body: bytes, wanted: Trouble) -> None:
    assert trouble(name, body) is wanted


def test_broken_utf_8_is_no_json() -> None:
    assert trouble("coinbase_exchange", b'{"message": "\xff"}') is Trouble.NOT_JSON


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_half_a_body_is_no_answer(name: str) -> None:
    whole = answer(name, "64000.5", STAMP)
    assert {trouble(name, whole[:length]) for length in range(1, len(whole))} <= {
        Trouble.NOT_JSON,
        Trouble.UNEXPECTED,
    }


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"mempool"}))
@pytest.mark.parametrize(
    "price", ["0", "-64000", "NaN", "sNaN", "Infinity", "99.99", "100000000.01", "6" * 25]
)
def test_a_price_that_cannot_be_is_refused(name: str, price: str) -> None:
    assert trouble(name, answer(name, price, STAMP)) is Trouble.BAD_PRICE


@pytest.mark.parametrize("price", [LEAST_USD, MOST_USD])
def test_the_limits_are_prices(price: Decimal) -> None:
    assert source("kraken").parse(answer("kraken", f"{price:f}", STAMP), NOW).usd_per_btc == price


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"mempool"}))
def test_a_price_that_is_no_number_is_not_what_the_source_answers(name: str) -> None:
    assert trouble(name, answer(name, "a lot", STAMP)) is Trouble.UNEXPECTED


@pytest.mark.parametrize(
    ("name", "body", "wanted"),
    [
        ("kraken", {"error": ["EService:Unavailable"], "result": {}}, Trouble.REPORTED),
        ("kraken", {"error": ["EGeneral:Invalid arguments"]}, Trouble.REPORTED),
        ("kraken", {"error": [], "result": {"XETHZUSD": {"c": ["3000", "1"]}}}, Trouble.WRONG_PAIR),
        ("kraken", {"error": []}, Trouble.WRONG_PAIR),
        ("kraken", {"error": [], "result": {"XXBTZUSD": {"c": []}}}, Trouble.UNEXPECTED),
        ("coinbase", {"data": {"currency": "ETH", "rates": {"USD": "3000"}}}, Trouble.WRONG_PAIR),
        ("coinbase", {"data": {"currency": "BTC", "rates": {"EUR": "60000"}}}, Trouble.WRONG_PAIR),
        ("coinbase", {"errors": [{"id": "not_found"}]}, Trouble.UNEXPECTED),
        ("coinbase_exchange", {"message": "NotFound"}, Trouble.REPORTED),
        ("coinbase_exchange", {"price": "64000"}, Trouble.UNEXPECTED),
        ("coinbase_exchange", {"price": "64000", "time": "2026-11-24T04:20:00"}, Trouble.BAD_TIME),
        ("coinbase_exchange", {"price": "64000", "time": "just now"}, Trouble.UNEXPECTED),
        ("bitstamp", {"last": "64000", "timestamp": "1795000000", "pair": "BTC/EUR"}, Trouble.WRONG_PAIR),
        ("bitstamp", {"last": "64000", "timestamp": "soon"}, Trouble.BAD_TIME),
        ("bitstamp", {"last": "64000", "timestamp": "1795000000000"}, Trouble.BAD_TIME),
        ("bitstamp", {"last": "64000", "timestamp": "9" * 5000}, Trouble.BAD_TIME),
        ("strike", [], Trouble.WRONG_PAIR),
        (
            "strike",
            [{"amount": "0.00001", "sourceCurrency": "USD", "targetCurrency": "BTC"}],
            Trouble.WRONG_PAIR,
        ),
        ("mempool", {"time": STAMP, "EUR": 60000}, Trouble.WRONG_PAIR),
        ("mempool", {"time": 0, "USD": 64000}, Trouble.BAD_TIME),
        ("mempool", {"time": STAMP, "USD": -1}, Trouble.BAD_PRICE),
        ("mempool", {"time": STAMP, "USD": 0}, Trouble.BAD_PRICE),
        ("mempool", {"time": STAMP, "USD": True}, Trouble.UNEXPECTED),
    ],
)
def test_what_a_source_says_in_place_of_a_price(name: str, body: object, wanted: Trouble) -> None:
    assert trouble(name, msgspec.json.encode(body)) is wanted


def test_the_addresses() -> None:
    assert {name: source(name).url for name in SOURCES} == {
        "kraken": "https://api.kraken.com/0/public/Ticker?pair=XBTUSD",
        "coinbase": "https://api.coinbase.com/v2/exchange-rates?currency=BTC",
        "coinbase_exchange": "https://api.exchange.coinbase.com/products/BTC-USD/ticker",
        "bitstamp": "https://www.bitstamp.net/api/v2/ticker/btcusd/",
        "strike": "https://api.strike.me/v1/rates/ticker",
        "mempool": "https://mempool.space/api/v1/prices",
    }
    assert (
        SOURCES["mempool"]({"url": "https://mempool.example/"}).url == "https://mempool.example/api/v1/prices"
    )


def test_strikes_key_stays_out_of_what_is_printed() -> None:
    made = source("strike")
    assert made.bearer is not None
    assert made.bearer.reveal() == "for-tests-only"
    assert "for-tests-only" not in repr(made)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "kraken",
            {"uri": "https://x"},
            "hub.yaml: rates.options.kraken: Object contains unknown field `uri`",
        ),
        (
            "mempool",
            {"url": "mempool.example"},
            "hub.yaml: rates.options.mempool.url: write https://host/path",
        ),
        ("mempool", {"url": "https://["}, "hub.yaml: rates.options.mempool.url: write https://host/path"),
        ("strike", {}, "hub.yaml: rates.options.strike: Object missing required field `api_key`"),
        (
            "strike",
            {"api_key": "env:NO_SUCH"},
            "hub.yaml: rates.options.strike.api_key: env:NO_SUCH is missing or empty",
        ),
    ],
)
def test_options_that_cannot_be_used_name_the_key(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        SOURCES[name](options)
    assert caught.value.message == message


def test_a_literal_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(Misconfigured) as caught:
        SOURCES["strike"]({"api_key": "0123456789ABCDEF"})
    assert "0123456789ABCDEF" not in caught.value.message
