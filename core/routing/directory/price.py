"""Who works for how little, as bitmaps by bucket: sixteen buckets for each doubling of the price with the set of all who ask no
more, and sixteen finer ones in each of those. Sets up to a fine bucket are kept for the payouts that were asked for lately. Used by `bitmaps.py`."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator

from pyroaring import BitMap

_FINE = 4  # bits of a fine bucket's number that tell it from the others of its bucket
_KEPT = 16  # payouts whose sets are kept; the task types of a hub have few, and a rate moves slowly


def fine(msat: int) -> int:
    """Grows with the price; a fine bucket is a 256th of a doubling wide."""
    bits = msat.bit_length()
    return bits * 256 + (msat >> bits - 9 if bits >= 9 else msat << 9 - bits) - 256


def bucket(msat: int) -> int:
    """Grows with the price; a bucket is a sixteenth of a doubling wide."""
    return fine(msat) >> _FINE


class Prices:
    """`within(msat)` is who asks at most about so much: exact but for those in `edge(msat)`, whose price lies in the same
    fine bucket and has to be looked at."""

    def __init__(self) -> None:
        self._used: list[int] = []
        self._at: dict[int, dict[int, BitMap]] = {}  # by fine bucket, of each bucket
        self._up_to: dict[int, BitMap] = {}
        self._asked: dict[int, BitMap] = {}  # up to a fine bucket, of those that were asked for lately

    def fill(self, ranks_by_fine: dict[int, list[int]]) -> None:
        """All at once, into an empty one."""
        found: dict[int, dict[int, BitMap]] = defaultdict(dict)
        for number, ranks in ranks_by_fine.items():
            found[number >> _FINE][number] = BitMap(ranks)
        so_far = BitMap()
        for number in sorted(found):
            self._used.append(number)
            self._at[number] = found[number]
            so_far = so_far.union(*found[number].values())
            self._up_to[number] = so_far

    def add(self, rank: int, msat: int) -> None:
        exact = fine(msat)
        number = exact >> _FINE
        if number not in self._at:
            self._up_to[number] = self._below(number)
            self._at[number] = {}
            insort(self._used, number)
        self._at[number].setdefault(exact, BitMap()).add(rank)
        for some in self._holding(exact):
            some.add(rank)

    def discard(self, rank: int, msat: int) -> None:
        exact = fine(msat)
        self._at[exact >> _FINE][exact].discard(rank)
        for some in self._holding(exact):
            some.discard(rank)

    def within(self, msat: int) -> BitMap:
        exact = fine(msat)
        found = self._asked.get(exact)
        if found is None:
            if len(self._asked) >= _KEPT:
                del self._asked[next(iter(self._asked))]
            here = self._at.get(exact >> _FINE, {})
            found = self._below(exact >> _FINE).union(
                *(some for number, some in here.items() if number <= exact)
            )
            self._asked[exact] = found
        return found

    def edge(self, msat: int) -> BitMap | None:
        exact = fine(msat)
        return self._at.get(exact >> _FINE, {}).get(exact)

    def _below(self, number: int) -> BitMap:
        """All in lower buckets: a new set."""
        below = bisect_left(self._used, number)
        return BitMap(self._up_to[self._used[below - 1]]) if below else BitMap()

    def _holding(self, exact: int) -> Iterator[BitMap]:
        """The sets that who is in that fine bucket belongs to."""
        for number in self._used[bisect_left(self._used, exact >> _FINE) :]:
            yield self._up_to[number]
        for number, some in self._asked.items():
            if exact <= number:
                yield some
