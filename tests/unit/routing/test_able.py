"""Who may take a task, out of a large set but for a small one: as if the small one had been taken out; and who of them is looked
at, with the counts of those who fall, while people come, go and fill their hands."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from core.routing.directory.able import Able, able
from core.routing.directory.bitmaps import Directory
from core.routing.directory.entry import Entry
from core.routing.directory.select import select
from core.routing.eligible import Refusal
from core.routing.model import Question

RANKS = st.sets(st.integers(0, 200) | st.integers(65_000, 66_000) | st.integers(0, 2**32 - 1), max_size=80)


@given(some=RANKS, out=RANKS, draw=st.data())
def test_without_the_small_set(some: set[int], out: set[int], draw: st.DataObject) -> None:
    left = sorted(some - out)
    found = Able(BitMap(some), BitMap(some & out))
    assert len(found) == len(left)
    assert list(found.each()) == left
    assert [found.at(place) for place in range(len(left))] == left
    first = draw.draw(st.sampled_from(left) if left else st.just(0))
    assert list(found.each(first)) == [one for one in left if one >= first]


def _entry(number: int, load: int, chance: random.Random) -> Entry:
    return Entry(
        f"w{number:03}", "test", chance.random() < 0.8, 1, 1 - number / 1000, 0, 2, load, None, 0, "[]", None, False,
        None, 900 if chance.random() < 0.2 else None, 0, 0, 0, '["law"]', None,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_who_is_looked_at(seed: int) -> None:
    """The best by rank, and from a place that the task's name draws so many in a row of the others; who is likely to be late
    after them."""
    chance, most = random.Random(seed), 8
    directory, everybody = Directory(), dict[str, Entry]()
    directory.filled()
    for number in range(120):
        everybody[f"w{number:03}"] = _entry(number, 0, chance)
        directory.put(everybody[f"w{number:03}"])
    for step in range(60):
        worker_id = chance.choice(sorted(everybody))
        load = everybody[worker_id].load
        match chance.randrange(4):
            case 0:
                everybody[worker_id] = _entry(int(worker_id[1:]), load, chance)
                directory.put(everybody[worker_id])
            case 1:
                del everybody[worker_id]
                directory.drop(worker_id)
            case 2:
                everybody[worker_id] = everybody[worker_id]._replace(load=min(load + 1, 2))
                directory.took(worker_id)
            case _:
                everybody[worker_id] = everybody[worker_id]._replace(load=2 - load)
                directory.loaded(worker_id, 2 - load, 0, 0, 0, 0)
        question = Question(
            task_id=f"t{step}", environment="test", skills=frozenset({"law"}), minimum_tier=1, payout_msat=5
        )
        there = [one for one in everybody.values() if one.available]
        free = [one for one in sorted(there) if one.load < 2]
        falls = {Refusal.UNAVAILABLE: len(everybody) - len(there), Refusal.CAPACITY: len(there) - len(free)}
        counted: dict[Refusal, int] = {}
        assert len(able(directory, question, 0, counted)) == len(free)
        assert counted == {reason: count for reason, count in falls.items() if count}
        wanted = [
            *_looked_at([one.worker_id for one in free if one.usual_seconds is None], question.task_id, most),
            *_looked_at([one.worker_id for one in free if one.usual_seconds], question.task_id, most),
        ]
        assert select(directory, question, 0, 60, most).people.worker_ids == wanted[:most]


def _looked_at(able: list[str], task_id: str, most: int) -> list[str]:
    first = most - most // 4
    if len(able) <= most:
        return able
    at = first + zlib.crc32(task_id.encode()) % (len(able) - first)
    drawn = able[at : at + most // 4]
    return [*able[:first], *drawn, *(one for one in able[first:] if one not in drawn)]
