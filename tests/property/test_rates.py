"""The exchange rate: any bytes are a sample or a named trouble, and a lying minority moves nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.rates import SOURCES
from connectors.rates.source import LEAST_USD, MOST_USD, RateTrouble
from core.rates.decide import Leap, Policy, Refusal, agree
from core.rates.model import Rate, Sample
from tests.fakes.rates import answer

NOW = 1_795_000_000_000
POLICY = Policy()
PARSERS = [(name, SOURCES[name]({})) for name in sorted(SOURCES) if name != "strike"]

prices = st.decimals(100, 10_000_000, places=2)
# Around one price, so that a majority may agree.
near = st.decimals(Decimal(63000), Decimal(65000), places=2)
ages_ms = st.integers(-120_000, 600_000)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    drawn = draw(st.lists(st.tuples(st.sampled_from("abcdefg"), near | prices, ages_ms), max_size=9))
    return [Sample(source=name, usd_per_btc=price, at_ms=NOW - age) for name, price, age in drawn]


def _parse(body: bytes) -> None:
    for name, source in PARSERS:
        try:
            found = source.parse(body, NOW)
        except RateTrouble:
            continue
        assert found.source == name
        assert LEAST_USD <= found.usd_per_btc <= MOST_USD


@given(st.binary(max_size=200))
def test_any_bytes_are_a_sample_or_a_trouble(body: bytes) -> None:
    _parse(body)


@given(st.data())
def test_any_change_of_a_true_answer_is_a_sample_or_a_trouble(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name, _ in PARSERS]))
    body = bytearray(answer(name, data.draw(st.sampled_from(["64000.5", "1e5", "-1", "0"])), NOW // 1000))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
        assume(body)
    _parse(bytes(body))


@pytest.mark.parametrize("name", [name for name, _ in PARSERS])
def test_a_deep_nest_is_a_trouble(name: str) -> None:
    for opening in (b"[", b'{"data":', b'{"result":'):
        with pytest.raises(RateTrouble):
            dict(PARSERS)[name].parse(opening * 5_000, NOW)


@given(
    honest=st.lists(near, min_size=1, max_size=6),
    liars=st.lists(prices | near, max_size=5),
    policy=st.sampled_from(
        [
            POLICY,
            Policy(min_sources=1),
            Policy(min_sources=3),
            Policy(outlier_percent=Decimal(50), max_spread_percent=Decimal(90)),
        ]
    ),
)
def test_a_lying_minority_never_moves_the_rate_out_of_the_honest_range(
    honest: list[Decimal], liars: list[Decimal], policy: Policy
) -> None:
    assume(len(liars) < len(honest))
    said = [Sample(source=f"s{n}", usd_per_btc=price, at_ms=NOW) for n, price in enumerate([*honest, *liars])]
    found = agree(said, NOW, policy)
    if isinstance(found, Rate):
        assert min(honest) <= found.usd_per_btc <= max(honest)


@given(sample_lists(), st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(said: list[Sample], random: object) -> None:
    mixed = list(said)
    random.shuffle(mixed)  # type: ignore[attr-defined] - a random.Random of Hypothesis
    assert agree(said, NOW, POLICY) == agree(mixed, NOW, POLICY)


@given(sample_lists(), prices, st.integers(0, 1_200_000), prices | st.none(), st.integers(0, 120_000))
def test_every_rate_has_what_the_policy_asks_for(
    said: list[Sample], former: Decimal, former_age: int, leapt: Decimal | None, leap_age: int
) -> None:
    before = Rate(usd_per_btc=former, source="before", at_ms=NOW - former_age)
    leap = None if leapt is None else Leap(usd_per_btc=leapt, since_ms=NOW - leap_age)
    found = agree(said, NOW, POLICY, before=before, leap=leap)
    if isinstance(found, Refusal):
        assert found.reason
        return
    kept = [one for one in found.samples if not one.dropped]
    assert len(kept) >= POLICY.min_sources
    assert len({one.source for one in found.samples}) == len(found.samples)
    assert all(-60_000 <= NOW - one.at_ms <= POLICY.max_age_ms for one in kept)
    assert all(abs(one.usd_per_btc - found.usd_per_btc) * 100 <= found.usd_per_btc for one in kept)
    assert found.at_ms <= NOW
