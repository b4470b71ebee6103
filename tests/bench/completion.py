"""The time within which nine of ten answers shall come, predicted before each answer is seen: a seeded replay of people of
different speed who begin slowly (the shape that 24,032 real assignments had: 27 % of the variance of ln(seconds) between
people, .79 within, the first answer twice as long), beside one log-normal for everybody in the same run. A tenth of the work
is cut short and seen as "at least so long" only."""

from __future__ import annotations

import math
import random
from typing import Any

from core.routing.predict import CURVE, NEWCOMER, Z90, State, Tally, learn, predict

ANSWERS, KINDS, AT_ONCE, COMING, SEEDS = 12_000, 12, 80, 0.01, (1, 2, 3)
_CURVE = [*CURVE[:3], *[CURVE[3]] * 3, *[CURVE[4]] * 5]


class _Person:
    def __init__(self, number: int, draw: random.Random):
        self.id = f"per_{number}"
        self.speed = draw.gauss(0, 0.48)
        self.spread = 0.79 * math.exp(draw.gauss(0, 0.2))
        self.busy = draw.paretovariate(1.0)
        self.kinds: dict[str, tuple[float, int]] = {}
        self.answers = 0

    def works(self, kind: str, median: float, draw: random.Random) -> float:
        own, done = self.kinds.get(kind, (draw.gauss(0, 0.2), 0))
        self.kinds[kind] = (own, done + 1)
        curve = _CURVE[done] if done < len(_CURVE) else 0.0
        return math.exp(math.log(median) + self.speed + own + curve + draw.gauss(0, self.spread))


class _Score:
    """Coverage and pinball loss of a P90."""

    def __init__(self) -> None:
        self.inside = self.seen = 0
        self.loss = 0.0

    def add(self, seconds: float, p90: float) -> None:
        self.inside += seconds <= p90
        self.seen += 1
        over = math.log(seconds) - math.log(p90)
        self.loss += max(0.9 * over, -0.1 * over)

    def told(self) -> dict[str, float]:
        return {
            "p90_coverage": self.inside / self.seen,
            "pinball": self.loss / self.seen,
            "answers": self.seen,
        }


def run() -> dict[str, Any]:
    scores = {name: _Score() for name in ("all", "newcomers", "new_to_type", "global", "global_newcomers")}
    for seed in SEEDS:
        _replay(random.Random(seed), scores)
    told = {name: score.told() for name, score in scores.items()}
    return {
        "bench": "completion",
        "seeds": len(SEEDS),
        **told,
        "pinball_to_global": told["all"]["pinball"] / told["global"]["pinball"],
    }


def _replay(draw: random.Random, scores: dict[str, _Score]) -> None:
    medians = {f"kind{n}": 240 * math.exp(draw.gauss(0, 0.7)) for n in range(KINDS)}
    tallies: dict[tuple[str, str], dict[str, Tally]] = {}
    everybody: list[float] = []
    people = [_Person(0, draw)]
    total = square = 0.0
    for number in range(ANSWERS):
        if draw.random() < COMING:
            people.append(_Person(number + 1, draw))
            if len(people) > AT_ONCE:
                people.pop(draw.randrange(len(people)))
        [person] = draw.choices(people, [one.busy for one in people])
        kind = draw.choice(list(medians))
        keys = {"all": ("", ""), "kind": ("", kind), "worker": (person.id, ""), "pair": (person.id, kind)}
        state = State({part: one for key in keys.values() for part, one in tallies.get(key, {}).items()})
        seconds = person.works(kind, medians[kind], draw)
        found = predict(state)
        if number >= 500:  # before, neither knows anything
            middle = total / len(everybody)
            sigma = math.sqrt(max(square / len(everybody) - middle**2, 0.01))
            flat = math.exp(middle + Z90 * sigma)
            scores["all"].add(seconds, found.p90_seconds)
            scores["global"].add(seconds, flat)
            if person.answers < NEWCOMER:
                scores["newcomers"].add(seconds, found.p90_seconds)
                scores["global_newcomers"].add(seconds, flat)
            if state.of("pair:time").count < NEWCOMER:
                scores["new_to_type"].add(seconds, found.p90_seconds)
        cut = draw.random() < 0.1
        shown = seconds * draw.random() if cut else seconds
        for part, step in learn(state, shown, cut).items():
            own = tallies.setdefault(keys[part.partition(":")[0]], {})
            own[part] = step.on(own.get(part, Tally()))
        person.answers += 1
        everybody.append(math.log(seconds))
        total, square = total + everybody[-1], square + everybody[-1] ** 2
