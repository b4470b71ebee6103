"""Buckets of prices: they grow with the price, and the sets by bucket are those of a comparison."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from core.routing.directory.bitmaps import slowness
from core.routing.directory.price import Prices, bucket, fine

AMOUNTS = st.integers(0, 2**62)
PRICES = st.integers(0, 320) | st.integers(
    100_000, 110_000
)  # whole buckets, and a few of several fine ones each


@given(AMOUNTS, AMOUNTS)
def test_a_dearer_price_is_in_no_lower_bucket(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket(low) <= bucket(high)
    assert fine(low) <= fine(high)
    assert bucket(high) - bucket(low) >= 16 or high < 4 * max(low, 1)


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_slower_is_in_no_lower_bucket(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert slowness(low) <= slowness(high)


@given(st.lists(PRICES, max_size=30), st.lists(st.integers(0, 29)), PRICES)
def test_within_and_edge_are_a_comparison(prices: list[int], gone: list[int], most: int) -> None:
    built, grown = Prices(), Prices()
    by_fine: dict[int, list[int]] = {}
    for rank, price in enumerate(prices):
        by_fine.setdefault(fine(price), []).append(rank)
        grown.add(rank, price)
        grown.within(most)  # what is kept of it has to follow
    built.fill(by_fine)
    built.within(most)
    left = set(range(len(prices)))
    for rank in {rank for rank in gone if rank < len(prices)}:
        built.discard(rank, prices[rank])
        grown.discard(rank, prices[rank])
        left.discard(rank)
    for some in (built, grown):
        within, edge = some.within(most), some.edge(most) or BitMap()
        assert {rank for rank in within if rank not in edge or prices[rank] <= most} == {
            rank for rank in left if prices[rank] <= most
        }
