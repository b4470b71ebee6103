"""The sets that a directory keeps for the kinds of tasks follow every change: they are those of a directory that is made anew."""

from __future__ import annotations

import random

import pytest

from core.routing.directory.bitmaps import Directory
from core.routing.directory.entry import Entry

SKILLS = ("a", "b", "c")
KINDS = [
    (environment, skills, tier, most)
    for environment in ("test", "live", "none")
    for skills in (frozenset[str](), frozenset({"a"}), frozenset({"a", "b"}), frozenset({"unheard"}))
    for tier in (0, 1, 3)
    for most in (None, 0, 1_000_000, 1_000_500)
]


def _entry(chance: random.Random, worker_id: str) -> Entry:
    return Entry(
        worker_id=worker_id,
        environment=chance.choice(["test", "test", "live"]),
        available=chance.random() < 0.7,
        tier=chance.randrange(4),
        reliability=chance.random(),
        price_floor_msat=chance.choice([0, 999_000, 1_000_000, 1_000_400, 1_000_501, 2_000_000]),
        capacity=2,
        load=chance.randrange(3),
        payout_address=None,
        idle_since=0,
        languages="[]",
        cluster_id=None,
        expert=False,
        cool_off_until=None,
        usual_seconds=None,
        offers_taken=0,
        offers_missed=0,
        answers=0,
        skills=str(sorted(chance.sample(SKILLS, chance.randrange(4)))).replace("'", '"'),
        words=None,
    )


@pytest.mark.parametrize("kept", [256, 5])
@pytest.mark.parametrize("seed", range(5))
def test_kept_sets_are_those_of_a_new_directory(
    seed: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, everybody = random.Random(seed), dict[str, Entry]()
    directory = Directory(kept)
    directory.filled()
    for step in range(120):
        worker_id = f"w{chance.randrange(30)}"
        if chance.random() < 0.2:
            everybody.pop(worker_id, None)
            directory.drop(worker_id)
        else:
            everybody[worker_id] = _entry(chance, worker_id)
            directory.put(everybody[worker_id])
        if step % 10 == 0:
            anew = Directory()
            anew.fill(everybody.values())
            anew.filled()
            for kind in KINDS:
                here = directory.names(list(directory.there(*kind)))
                assert sorted(here) == sorted(anew.names(list(anew.there(*kind)))), kind
