"""Who works for how little, as bitmaps by bucket: sixteen buckets for each doubling of the price, and for each the set
of all who ask no more. Used by `bitmaps.py`."""

from __future__ import annotations

from bisect import bisect_right, insort

from pyroaring import BitMap


def bucket(msat: int) -> int:
    """Grows with the price; a bucket is a sixteenth of a doubling wide."""
    bits = msat.bit_length()
    return msat if bits < 5 else bits * 16 + (msat >> (bits - 5)) - 16


class Prices:
    """`within(msat)` is who asks at most about so much: exact but for those in `edge(msat)`, whose price lies in the same
    bucket and has to be looked at."""

    def __init__(self) -> None:
        self._used: list[int] = []
        self._at: dict[int, BitMap] = {}
        self._up_to: dict[int, BitMap] = {}

    def fill(self, ranks_by_bucket: dict[int, list[int]]) -> None:
        """All at once, into an empty one."""
        so_far = BitMap()
        for number in sorted(ranks_by_bucket):
            self._used.append(number)
            self._at[number] = BitMap(ranks_by_bucket[number])
            so_far = so_far | self._at[number]
            self._up_to[number] = so_far

    def add(self, rank: int, msat: int) -> None:
        number = bucket(msat)
        if number not in self._at:
            below = bisect_right(self._used, number)
            self._up_to[number] = BitMap(self._up_to[self._used[below - 1]]) if below else BitMap()
            self._at[number] = BitMap()
            insort(self._used, number)
        self._at[number].add(rank)
        for one in self._used[bisect_right(self._used, number - 1) :]:
            self._up_to[one].add(rank)

    def discard(self, rank: int, msat: int) -> None:
        number = bucket(msat)
        self._at[number].discard(rank)
        for one in self._used[bisect_right(self._used, number - 1) :]:
            self._up_to[one].discard(rank)

    def within(self, msat: int) -> BitMap | None:
        """None: nobody."""
        below = bisect_right(self._used, bucket(msat))
        return self._up_to[self._used[below - 1]] if below else None

    def edge(self, msat: int) -> BitMap | None:
        return self._at.get(bucket(msat))
