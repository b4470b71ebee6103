"""What the hub would know of simulated people by now: their times, whether they take offers, how often they were right.
Learnt from their answers alone, by the functions that learn from live ones."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from core.routing.model import Candidate
from core.routing.predict import Prediction, State, Step, Tally, learn, predict
from core.routing.simulator.ways import Chance
from core.routing.simulator.world import Job, Person

_POOL_RIGHT, _POOL_WEIGHT, _OWN_WEIGHT = 0.75, 10.0, 6.0
_STALE_SECONDS = (
    300.0  # what all people share moves slowly: a prediction is made anew after so long, or an own answer
)
_FIELDS = frozenset(Candidate.__struct_fields__)


class Known:
    """The tallies of `core/routing/times.py` and the counts of right answers, in memory."""

    def __init__(self, typical_seconds: float):
        self._typical = typical_seconds
        self._parts: dict[tuple[str, str], dict[str, Tally]] = {}
        self._right: dict[str, list[int]] = {}
        self._pool = [0, 0]
        self._cache: dict[tuple[str, str], tuple[float, Prediction]] = {}

    def state(self, person_id: str, kind: str) -> State:
        parts: dict[str, Tally] = {}
        for key in (("", ""), ("", kind), (person_id, ""), (person_id, kind)):
            parts |= self._parts.get(key, {})
        return State(parts, self._typical)

    def prediction(self, person_id: str, kind: str, now: float) -> Prediction:
        found = self._cache.get((person_id, kind))
        if found is None or now - found[0] > _STALE_SECONDS:
            found = (now, predict(self.state(person_id, kind)))
            self._cache[person_id, kind] = found
        return found[1]

    def worked(self, person_id: str, kind: str, seconds: float, *, censored: bool) -> None:
        self.note(person_id, kind, learn(self.state(person_id, kind), seconds, censored))

    def note(self, person_id: str, kind: str, steps: Mapping[str, Step]) -> None:
        keys = {"all": ("", ""), "kind": ("", kind), "worker": (person_id, ""), "pair": (person_id, kind)}
        for part, step in steps.items():
            tallies = self._parts.setdefault(keys[part.partition(":")[0]], {})
            tallies[part] = step.on(tallies.get(part, Tally()))
        self._cache.pop((person_id, kind), None)

    def judged(self, person_id: str, *, right: bool) -> None:
        own = self._right.setdefault(person_id, [0, 0])
        for counts in (own, self._pool):
            counts[0] += right
            counts[1] += 1

    def reliability(self, person_id: str) -> float:
        """Shrunk to what all people show."""
        good, seen = self._right.get(person_id, (0, 0))
        pool = (self._pool[0] + _POOL_RIGHT * _POOL_WEIGHT) / (self._pool[1] + _POOL_WEIGHT)
        return (good + _OWN_WEIGHT * pool) / (seen + _OWN_WEIGHT)

    def answers(self, person_id: str) -> int:
        return self._right.get(person_id, (0, 0))[1]

    def candidate(self, person: Person, job: Job, load: int, idle_seconds: float, now: float) -> Candidate:
        prediction = self.prediction(person.id, job.kind, now)
        values: dict[str, Any] = {
            "worker_id": person.id,
            "environment": "test",
            "available": True,
            "skills": person.skills,
            "tier": person.tier,
            "reliability": self.reliability(person.id),
            "price_floor_msat": person.price_msat,
            "capacity": person.capacity,
            "load": load,
            "payout_address": None,
            "idle_seconds": idle_seconds,
            "answers": self.answers(person.id),
            "languages": person.languages,
            "expert": person.expert,
            "word": person.word_of(job.organisation_id),
            "prediction": prediction,
        }
        return Candidate(**{name: value for name, value in values.items() if name in _FIELDS})


def chance(seed: int, name: str) -> Chance:
    return Chance(random.Random(f"way:{seed}:{name}"))  # noqa: S311 - a seeded simulation
