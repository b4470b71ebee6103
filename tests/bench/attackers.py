"""`attackers`: who does not do the work is found after how many answers, how many honest workers are marked with them, and how
many wrong answers get out with 10, 20 and 30 % bad workers, with and without each stage. In simulated crowds, and in the
real ones of a folder (HUB_BENCH_CROWD, `../shared/crowd` beside the repository)."""

from __future__ import annotations

import math
import os
import random
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.verification.anomaly.suspicion import MarkKind
from tests.bench.attack_leaks import got_through
from tests.bench.attack_world import ALL, Attackers, Crowd, Item, Watch, noisy, real, simulated, tasks_of
from tests.bench.harness import percentile, say

FOLDER = Path(os.environ.get("HUB_BENCH_CROWD", Path(__file__).parents[3] / "shared/crowd"))
SEEDS, SEEDS_GOT_THROUGH = 4, 2
EACH = 6
GOLD = 0.05
MOST_ITEMS, ANSWERS = 1_500, 4_000
LEAST_HONEST = 15  # answers of an honest worker, to be counted
WITHOUT = {
    "all tests": ALL,
    "without skill": frozenset({MarkKind.UNSKILLED}),
    "without constant": frozenset({MarkKind.CONSTANT}),
    "without pair": frozenset({MarkKind.PAIR}),
    "without turned": frozenset({MarkKind.TURNED}),
}
AIMS = {"random": 0.85, "constant": 0.98, "colluder": 0.96, "sleeper": 0.8}


def run() -> dict[str, Any]:
    crowds = [simulated(seed, workers=60, tasks=1_000, answers=4, classes=2 + seed) for seed in range(2)]
    crowds += list(real(FOLDER, most=MOST_ITEMS)) if FOLDER.is_dir() else []
    flat = [one for crowd in crowds for one in _worlds(crowd, shipped=False)]
    shipped = [one for crowd in crowds for one in _worlds(crowd, shipped=True)]
    turncoats = _turncoats()
    wrong = got_through(SEEDS_GOT_THROUGH)
    known, own = _figures(flat, ALL), _figures(shipped, ALL)
    return {
        "name": "attackers",
        "value": turncoats["answers_until_found_median"],
        "unit": "answers after the turn, median, until a turncoat is found (2 % gold)",
        "reference": 40,
        "ratio": turncoats["answers_until_found_median"] / 40,
        "aim": f"turncoat <= 40; found at least {AIMS} at <= 2 % of honest ones marked",
        "within_aim": turncoats["answers_until_found_median"] <= 40
        and all(known["found"][kind] >= least for kind, least in AIMS.items())
        and known["honest_marked"] <= 0.02,
        "turncoats": turncoats,
        "five_percent_gold": known,
        "gold_as_shipped": own,
        "without": {name: _figures(flat, off) for name, off in WITHOUT.items() if off},
        "sets": {
            crowd.name: _figures([one for one in flat if one.name == crowd.name], ALL) for crowd in crowds
        },
        "wrong_answers_given_out": wrong,
        "method": f"{EACH} of each kind among {ANSWERS} answers of a crowd, at most {MOST_ITEMS} items a set, {SEEDS} seeds; "
        f"random, constant and colluders (by threes) with {Attackers.ANSWERS} answers each, sleepers with {Attackers.GOOD} good "
        f"and {Attackers.BAD} guessed ones; {GOLD:.0%} gold, or as the shipped policy draws it; honest: workers of at least "
        f"{LEAST_HONEST} answers whose accuracy, the mean over the true classes, is a quarter of the way up from chance (real "
        "ones among them are not all diligent); `honest_by_accuracy` is the same without the mean over classes",
    }


class World:
    """One crowd with its attackers, watched from its first answer to its last."""

    def __init__(self, crowd: Crowd, seed: int, *, shipped: bool):
        self.name, self.options = crowd.name, crowd.options
        self.dice = random.Random(f"{crowd.name} {seed}")
        tasks = tasks_of(crowd, self.dice, answers=ANSWERS)
        self.attackers = Attackers(self.dice, crowd.options, len(tasks), each=EACH)
        self.watch = Watch(crowd.options, without=WITHOUT.values())
        self.score: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        self.gold = self.answers = 0
        self.labelled: dict[str, list[Item]] = defaultdict(list)
        for item in crowd.items:
            for one in item.labels:
                self.labelled[one].append(item)
        for place, (truth, labels) in enumerate(tasks):
            for one, label in labels.items():
                self.score[one].append((truth, label == truth))
            answers = labels | self.attackers.answer(place, truth)
            self.watch.task({one: answers[one] for one in self.dice.sample(sorted(answers), len(answers))})
            self.answers += len(answers)
            for one in sorted(answers):
                if self.watch.draws_gold(one, self.dice) if shipped else self.dice.random() < GOLD:
                    self._known(one, crowd)
        self.watch.review()

    def _known(self, one: str, crowd: Crowd) -> None:
        """One more turn, at a question whose answer is known: a real worker's is one of those that they did answer."""
        self.gold += 1
        if one in self.attackers.kind:
            truth = self.dice.choice(crowd.items).truth
            self.watch.gold(one, self.attackers.alone(one, truth), truth)
        else:
            item = self.dice.choice(self.labelled[one])
            self.watch.gold(one, item.labels[one], item.truth)

    def honest(self, *, by_class: bool) -> list[str]:
        chance = 1 / len(self.options)
        least = chance + 0.25 * (1 - chance)
        return [
            one
            for one, seen in self.score.items()
            if len(seen) >= LEAST_HONEST and _accuracy(seen, by_class=by_class) > least
        ]


def _accuracy(seen: Iterable[tuple[str, bool]], *, by_class: bool) -> float:
    """Where nine of ten questions have one answer, who always gives it is right in nine of ten: the mean over the classes is
    what a guess does not reach."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for truth, right in seen:
        groups[truth if by_class else ""].append(right)
    return statistics.mean(statistics.mean(one) for one in groups.values())


def _worlds(crowd: Crowd, *, shipped: bool) -> list[World]:
    made = [World(crowd, seed, shipped=shipped) for seed in range(SEEDS)]
    figures = _figures(made, ALL)
    say(
        f"{crowd.name}{' (gold as shipped)' if shipped else ''}: {figures['found']}, honest {figures['honest_marked']:.3f}"
    )
    return made


def _figures(worlds: list[World], off: frozenset[MarkKind]) -> dict[str, Any]:
    """Over several worlds together: each attacker and each honest worker counts once."""
    found: dict[str, list[bool]] = defaultdict(list)
    until: dict[str, list[int]] = defaultdict(list)
    why: dict[str, int] = defaultdict(int)
    early = 0
    marked: dict[bool, list[bool]] = {True: [], False: []}
    for world in worlds:
        seen = world.watch.found[off]
        for name, kind in world.attackers.kind.items():
            turn = Attackers.GOOD if kind == "sleeper" else 0
            early += name in seen and seen[name][0] <= turn
            found[kind].append(name in seen and seen[name][0] > turn)
            if found[kind][-1]:
                until[kind].append(seen[name][0] - turn)
        for by_class, marks in marked.items():
            marks += [one in seen for one in world.honest(by_class=by_class)]
        for one in world.honest(by_class=True):
            for kind in seen[one][1] if one in seen else []:
                why[kind] += 1
    share = statistics.mean(marked[True])
    return {
        "found": {kind: statistics.mean(one) for kind, one in found.items()},
        "answers_until_found": {
            kind: {"median": statistics.median(one), "p90": percentile(one, 90)}
            for kind, one in until.items()
        },
        "sleepers_found_within_40": sum(one <= 40 for one in until["sleeper"]) / len(found["sleeper"]),
        "sleepers_marked_before_they_turned": early,
        "honest_marked": share,
        "honest_standard_error": math.sqrt(share * (1 - share) / len(marked[True])),
        "honest": len(marked[True]),
        "honest_marked_for": dict(why),
        "honest_by_accuracy_marked": statistics.mean(marked[False]),
        "gold": sum(one.gold for one in worlds) / sum(one.answers for one in worlds),
    }


def _turncoats() -> dict[str, Any]:
    """Four of forty are right in 88 % of 150 answers and in 35 % of those that follow; four answers a task, 2 % gold."""
    delays: list[int] = []
    early = steady = false = 0
    for seed in range(SEEDS):
        dice = random.Random(seed)
        options = ["a", "b"]
        skill = {f"w{n:02}": 0.88 for n in range(40)}
        turning = set(sorted(skill)[:4])
        given: dict[str, int] = defaultdict(int)
        watch = Watch(options)
        for _ in range(40 * 300 // 4):
            truth = dice.choice(options)
            answers: dict[str, str] = {}
            for one in dice.sample(sorted(skill), 4):
                given[one] += 1
                turned = one in turning and given[one] > 150
                answers[one] = noisy(dice, truth, options, 0.35 if turned else skill[one])
            known = [one for one in answers if dice.random() < 0.02]
            for one in known:
                watch.gold(one, answers[one], truth)
            watch.task({one: label for one, label in answers.items() if one not in known})
        for one in sorted(skill):
            at = watch.found[ALL].get(one, (10**6, []))[0]
            if one not in turning:
                steady += 1
                false += at < 10**6
            elif at <= 150:
                early += 1
            else:
                delays.append(min(at, 1_000) - 150)
    return {
        "answers_until_found_median": statistics.median(delays),
        "p90": percentile(delays, 90),
        "found": sum(one < 850 for one in delays) / len(delays),
        "marked_before_they_turned": early,
        "steady_marked": false / steady,
        "steady_answers": steady * 300,
    }
