"""Reads and changes the counters of workers and of the pool. All state of consensus is in them: soft counts, additive,
one row per (owner, key). Read by `posterior.py` and `numbers.py`, written through `Changes` by `close.py`.

Keys (see `model.Key`): ("", "good", "") and ("", "bad", "") how often the owner was right and wrong, over all fields;
(field, "@good", "") and (field, "@bad", "") the same of one field (pool only); (field, truth, answer) the confusion of
a closed field; (field, "@prior", option) how often each option was true (pool only); (field, "@squares", "") and
(field, "@numbers", "") the sum of squared deviations of a number and how many there were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from core.verification.consensus.model import POOL, Alone, Changes, Counts, Key

GOOD: Key = ("", "good", "")
BAD: Key = ("", "bad", "")
FIELD_GOOD, FIELD_BAD = "@good", "@bad"
PRIOR, SQUARES, NUMBERS = "@prior", "@squares", "@numbers"

EMPTY: Counts = {}


class Sum:
    """Collects additive changes; zero ones are dropped, the rest is given sorted."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, Key], float] = {}
        self._alone: dict[str, list[tuple[float, float, float]]] = {}

    def add(self, owner: str, key: Key, delta: float) -> None:
        self._of[owner, key] = self._of.get((owner, key), 0.0) + delta

    def both(self, owner: str, key: Key, delta: float) -> None:
        """To the worker and to the pool."""
        self.add(owner, key, delta)
        self.add(POOL, key, delta)

    def told(self, worker: str, right: float, chance: float, usual: float) -> None:
        """Of one field of the worker's answer, as `Alone` has it."""
        self._alone.setdefault(worker, []).append((right, chance, usual))

    def changes(self) -> Changes:
        return Changes(
            add=tuple((owner, key, delta) for (owner, key), delta in sorted(self._of.items()) if delta),
            alone=tuple(_mean(worker, fields) for worker, fields in sorted(self._alone.items())),
        )


def _mean(worker: str, fields: list[tuple[float, float, float]]) -> Alone:
    right, chance, usual = (math.fsum(part) / len(fields) for part in zip(*fields, strict=True))
    return Alone(worker=worker, right=right, chance=chance, usual=usual)


def only(changes: Changes, worker: str) -> Changes:
    """What they say of one worker."""
    return Changes(
        add=tuple(one for one in changes.add if one[0] == worker),
        alone=tuple(one for one in changes.alone if one.worker == worker),
    )


def together(first: Changes, second: Changes) -> Changes:
    """Of different workers."""
    return Changes(
        add=tuple(sorted(first.add + second.add)),
        alone=tuple(sorted(first.alone + second.alone, key=lambda one: one.worker)),
    )


def undo(changes: Changes) -> Changes:
    """What takes them back: applying both leaves the counters as they were, up to rounding in the last digits."""
    return Changes(add=tuple((owner, key, -delta) for owner, key, delta in changes.add))


def apply(
    state: Mapping[str, Mapping[Key, float]], changes: Iterable[Changes]
) -> dict[str, dict[Key, float]]:
    """The counters by owner after the changes; the state itself is not touched. What the database does row by row."""
    after = {owner: dict(counts) for owner, counts in state.items()}
    for one in changes:
        for owner, key, delta in one.add:
            counts = after.setdefault(owner, {})
            counts[key] = counts.get(key, 0.0) + delta
    return after
