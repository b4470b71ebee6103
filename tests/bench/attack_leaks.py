"""The second half of the benchmark `attackers`: how many wrong answers are given out, with and without each stage. Called by
`attackers.py`."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import Any

from core.verification.anomaly.suspicion import MarkKind
from core.verification.anomaly.voices import voices
from tests.bench.attack_world import ALL, Watch, noisy
from tests.bench.harness import say

PEOPLE, TASKS, ANSWERS, MOST = 60, 1_500, 3, 5
COUNTED = 500  # tasks, the last ones: what comes of it once the bad had time to show themselves
SHARES = (0.1, 0.2, 0.3)
OPTIONS = ["a", "b", "c"]
GOOD = 20  # answers of a sleeper, before they guess
LEADER = 0.55  # how often what a ring agrees on is right
TOGETHER = 0.5  # how often another of the ring takes a place at the task as well


@dataclass(frozen=True)
class Stages:
    answers: int = ANSWERS
    gold: bool = True
    marks: bool = True
    off: frozenset[MarkKind] = ALL


FLOOR = ("consensus", "all")
STAGES = {
    "one answer, no check": Stages(answers=1, gold=False, marks=False),
    "consensus": Stages(gold=False, marks=False),
    "consensus and gold": Stages(marks=False),
    "consensus and marks, no gold": Stages(gold=False),
    "all": Stages(),
    "all without skill": Stages(off=frozenset({MarkKind.UNSKILLED})),
    "all without constant": Stages(off=frozenset({MarkKind.CONSTANT})),
    "all without turned": Stages(off=frozenset({MarkKind.TURNED})),
    "all without pair": Stages(off=frozenset({MarkKind.PAIR})),
}


def got_through(seeds: int) -> dict[str, dict[str, Any]]:
    """Share of wrong answers among the last tasks, and how many answers were bought for each; without bad workers as well, where
    that is what remains."""
    table: dict[str, dict[str, Any]] = {}
    for name, stages in STAGES.items():
        table[name] = {}
        for share in (0.0, *SHARES) if name in FLOOR else SHARES:
            runs = [_World(seed, share, stages).run() for seed in range(seeds)]
            table[name][f"{share:.0%} bad"] = statistics.mean(wrong for wrong, _ in runs)
            table[name][f"answers at {share:.0%}"] = statistics.mean(bought for _, bought in runs)
        say(f"{name}: {table[name]}")
    return table


class _World:
    """Sixty workers, `bad` of them in rings of three (half of the bad), random, constant and sleeping. A ring answers together:
    when one is asked, the others take places as well, and all say what one of them found. A marked worker is asked
    as before, vouches for nobody, and another is asked in their place; a pair that was found is never asked together."""

    def __init__(self, seed: int, bad: float, stages: Stages):
        self.dice = random.Random(f"{seed} {bad}")
        self.stages = stages
        self.people = [f"w{n:02}" for n in range(PEOPLE)]
        self.kinds = dict.fromkeys(self.people, "honest")
        for n, one in enumerate(self.people[: round(PEOPLE * bad)]):
            self.kinds[one] = ("ring", "ring", "ring", "random", "constant", "sleeper")[n % 6]
        rings = [one for one in self.people if self.kinds[one] == "ring"]
        self.ring = {one: number // 3 for number, one in enumerate(rings)}
        self.skill = {one: self.dice.uniform(0.7, 0.95) for one in self.people}
        self.given = dict.fromkeys(self.people, 0)
        self.watch = Watch(OPTIONS, without=[stages.off])

    def run(self) -> tuple[float, float]:
        wrong = counted = bought = 0
        for number in range(TASKS):
            truth = self.dice.choice(OPTIONS)
            answers, heard = self._asked(truth)
            first = answers[next(iter(answers))]
            output = first if self.stages.answers == 1 else self._output(answers, heard)
            if self.stages.answers > 1:
                self.watch.task(answers, heard)
            if number >= TASKS - COUNTED:
                counted += 1
                bought += len(answers)
                wrong += output != truth
        return wrong / counted, bought / counted

    def _output(self, answers: dict[str, str], heard: set[str]) -> str:
        return self.watch.judged({one: answers[one] for one in answers if one in heard}).output["x"]

    def _asked(self, truth: str) -> tuple[dict[str, str], set[str]]:
        """The answers in their order, and who of them counts."""
        answers: dict[str, str] = {}
        said: dict[int, str] = {}
        heard: set[str] = set()
        while len(heard) < self.stages.answers and len(answers) < max(MOST, self.stages.answers):
            one = self._next(answers)
            label = self._answer(one, truth, said)
            if self.stages.gold and self.watch.draws_gold(one, self.dice, marked=bool(self._marks(one))):
                known = self.dice.choice(OPTIONS)
                self.watch.gold(one, self._answer(one, known, {}), known)
            answers[one] = label
            heard = voices({worker: self._marks(worker) for worker in answers})
            if self.stages.answers == 1:
                break
        return answers, heard

    def _next(self, answers: dict[str, str]) -> str:
        clusters = self.watch.clusters if self.stages.marks and MarkKind.PAIR not in self.stages.off else {}
        had = {clusters[one] for one in answers if one in clusters}
        free = [one for one in self.people if one not in answers and clusters.get(one) not in had]
        rings = {self.ring[one] for one in answers if one in self.ring}
        mates = [one for one in free if self.ring.get(one) in rings]
        if mates and self.dice.random() < TOGETHER:
            return self.dice.choice(mates)
        return self.dice.choice(free)

    def _marks(self, worker: str) -> list[MarkKind]:
        found = self.watch.found[self.stages.off]
        return found[worker][1] if self.stages.marks and worker in found else []

    def _answer(self, one: str, truth: str, said: dict[int, str]) -> str:
        self.given[one] += 1
        match self.kinds[one]:
            case "honest":
                return noisy(self.dice, truth, OPTIONS, self.skill[one])
            case "ring":
                return said.setdefault(self.ring[one], noisy(self.dice, truth, OPTIONS, LEADER))
            case "constant":
                return OPTIONS[0]
            case "sleeper" if self.given[one] <= GOOD:
                return noisy(self.dice, truth, OPTIONS, 0.9)
            case _:
                return self.dice.choice(OPTIONS)
