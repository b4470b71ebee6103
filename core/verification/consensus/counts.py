"""Reads and changes the counters of workers and of the pool. All state of consensus is in them: soft counts, additive,
one row per (owner, key). Read by `posterior.py` and `numbers.py`, written through `Changes` by `close.py`.

Keys (see `model.Key`): ("", "good", "") and ("", "bad", "") how often the owner was right and wrong, over all fields;
(field, "@good", "") and (field, "@bad", "") the same of one field (pool only); (field, truth, answer) the confusion of
a closed field; (field, "@prior", option) how often each option was true (pool only); (field, "@squares", "") and
(field, "@numbers", "") the sum of squared deviations of a number and how many there were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.verification.consensus.model import POOL, Changes, Counts, Key

GOOD: Key = ("", "good", "")
BAD: Key = ("", "bad", "")
FIELD_GOOD, FIELD_BAD = "@good", "@bad"
PRIOR, SQUARES, NUMBERS = "@prior", "@squares", "@numbers"

EMPTY: Counts = {}


class Sum:
    """Collects additive changes; zero ones are dropped, the rest is given sorted."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, Key], float] = {}

    def add(self, owner: str, key: Key, delta: float) -> None:
        self._of[owner, key] = self._of.get((owner, key), 0.0) + delta

    def both(self, owner: str, key: Key, delta: float) -> None:
        """To the worker and to the pool."""
        self.add(owner, key, delta)
        self.add(POOL, key, delta)

    def changes(self) -> Changes:
        return Changes(
            add=tuple((owner, key, delta) for (owner, key), delta in sorted(self._of.items()) if delta)
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
