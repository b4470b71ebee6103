"""`attackers`: who does not do the work is found after how many answers, how many honest workers are marked with them, and how
many wrong answers get out with 10, 20 and 30 % bad workers, with and without each stage. In simulated crowds, and in the
real ones of a folder (HUB_BENCH_CROWD, `../shared/crowd` beside the repository)."""

from __future__ import annotations

import os
import random
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from core.verification.anomaly.suspicion import MarkKind
from tests.bench.attack_world import Attackers, Crowd, Watch, noisy, real, simulated
from tests.bench.harness import say

FOLDER = Path(os.environ.get("HUB_BENCH_CROWD", Path(__file__).parents[3] / "shared/crowd"))
SEEDS = 2
EACH, ANSWERS = 6, 40
GOLD = 0.05
PER_TASK = 5  # answers of real workers to one item, at most: what a hub buys
MOST_ITEMS = 400
LEAST_HONEST = 15  # answers of an honest worker, to be counted


def run() -> dict[str, Any]:
    crowds = [simulated(seed, workers=60, tasks=800, answers=4, classes=2 + seed % 2) for seed in range(2)]
    crowds += list(real(FOLDER, most=MOST_ITEMS)) if FOLDER.is_dir() else []
    sets = {crowd.name: _detection(crowd) for crowd in crowds}
    turncoats = _turncoats()
    wrong = _got_through()
    spotted = [one["found"] for one in sets.values()]
    return {
        "name": "attackers",
        "value": turncoats["answers_until_found_median"],
        "unit": "answers after the turn, median, until a turncoat is found (2 % gold)",
        "reference": 40,
        "ratio": turncoats["answers_until_found_median"] / 40,
        "aim": "turncoat <= 40; random >= .85, constant 1.0, colluders >= .96 at <= 2 % of honest ones marked",
        "within_aim": turncoats["answers_until_found_median"] <= 40
        and statistics.mean(one["random"] for one in spotted) >= 0.85
        and statistics.mean(one["colluder"] for one in spotted) >= 0.96
        and statistics.mean(one["honest_marked"] for one in sets.values()) <= 0.02,
        "turncoats": turncoats,
        "sets": sets,
        "wrong_answers_given_out": wrong,
        "method": f"{EACH} of each kind with {ANSWERS} answers each among the crowd, {GOLD:.0%} gold, at most {PER_TASK} real "
        f"answers an item, {MOST_ITEMS} items a set, {SEEDS} seeds; honest: real workers of at least {LEAST_HONEST} answers "
        "who are right more often than chance and a quarter of the way up",
    }


def _detection(crowd: Crowd) -> dict[str, Any]:
    found: dict[str, list[float]] = defaultdict(list)
    until: dict[str, list[int]] = defaultdict(list)
    why: dict[str, int] = defaultdict(int)
    marked = honest = 0
    for seed in range(SEEDS):
        dice = random.Random(f"{crowd.name} {seed}")
        attackers = Attackers(dice, crowd, each=EACH, answers=ANSWERS)
        watch = Watch(crowd.options)
        score: dict[str, list[bool]] = defaultdict(list)
        order = list(range(len(crowd.items)))
        dice.shuffle(order)
        for place in order:
            item = crowd.items[place]
            people = dice.sample(sorted(item.labels), min(PER_TASK, len(item.labels)))
            answers = {one: item.labels[one] for one in people}
            for one, label in answers.items():
                score[one].append(label == item.truth)
            answers |= attackers.answer(place, item.truth)
            answers = {one: answers[one] for one in dice.sample(sorted(answers), len(answers))}
            watch.task(answers, item.truth if dice.random() < GOLD else None)
        watch.review()
        for name, kind in attackers.kind.items():
            found[kind].append(name in watch.found)
            if name in watch.found:
                until[kind].append(watch.found[name][0])
        least = 1 / len(crowd.options) + 0.25 * (1 - 1 / len(crowd.options))
        for one, right in score.items():
            if len(right) >= LEAST_HONEST and statistics.mean(right) > least:
                honest += 1
                if one in watch.found:
                    marked += 1
                    for kind in watch.found[one][1]:
                        why[kind] += 1
    say(
        f"{crowd.name}: { {kind: statistics.mean(each) for kind, each in found.items()} }, {marked}/{honest} honest"
    )
    return {
        "found": {kind: statistics.mean(each) for kind, each in found.items()},
        "answers_until_found_median": {kind: statistics.median(each) for kind, each in until.items()},
        "honest_marked": marked / max(1, honest),
        "honest": honest,
        "honest_marked_for": dict(why),
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
            watch.task(answers, truth if dice.random() < 0.02 else None)
        for one in sorted(skill):
            at = watch.found.get(one, (10**6, []))[0]
            if one not in turning:
                steady += 1
                false += at < 10**6
            elif at <= 150:
                early += 1
            else:
                delays.append(min(at, 1_000) - 150)
    return {
        "answers_until_found_median": statistics.median(delays),
        "p90": sorted(delays)[int(len(delays) * 0.9)],
        "found": sum(one < 850 for one in delays) / len(delays),
        "marked_before_they_turned": early,
        "steady_marked": false / steady,
    }


STAGES: dict[str, dict[str, Any]] = {
    "one answer, no check": {"answers": 1},
    "consensus": {"answers": 3},
    "consensus and gold": {"answers": 3, "gold": GOLD},
    "consensus, gold and anomaly": {"answers": 3, "gold": GOLD, "marks": True},
    "the same without the pair test": {
        "answers": 3,
        "gold": GOLD,
        "marks": True,
        "off": frozenset({MarkKind.PAIR}),
    },
}


def _got_through() -> dict[str, dict[str, float]]:
    """Share of wrong answers among those given out, after the first third of the tasks (in which everybody is new)."""
    table: dict[str, dict[str, float]] = {}
    for name, options in STAGES.items():
        table[name] = {}
        for share in (0.1, 0.2, 0.3):
            wrong = [_share_wrong(seed, share, **options) for seed in range(SEEDS)]
            table[name][f"{share:.0%} bad"] = statistics.mean(wrong)
        say(f"{name}: {table[name]}")
    return table


def _share_wrong(
    seed: int,
    bad: float,
    *,
    answers: int,
    gold: float = 0.0,
    marks: bool = False,
    off: frozenset[MarkKind] = frozenset(),
    tasks: int = 900,
) -> float:
    """Sixty workers, `bad` of them random, constant or colluding by threes. Whoever is marked is asked no more."""
    dice = random.Random(seed)
    options = ["a", "b", "c"]
    people = [f"w{n:02}" for n in range(60)]
    kinds = dict.fromkeys(people, "honest")
    for n, one in enumerate(people[: round(60 * bad)]):
        kinds[one] = ("colluder", "colluder", "colluder", "random", "constant", "random")[n % 6]
    skill = {one: dice.uniform(0.7, 0.95) for one in people}
    watch = Watch(options, off=off)
    wrong = counted = 0
    for number in range(tasks):
        truth, guess = dice.choice(options), dice.choice(options)
        asked = dice.sample([one for one in people if not (marks and one in watch.found)], answers)
        given: dict[str, str] = {}
        for one in asked:
            match kinds[one]:
                case "honest":
                    given[one] = noisy(dice, truth, options, skill[one])
                case "constant":
                    given[one] = options[0]
                case "colluder":
                    given[one] = guess
                case _:
                    given[one] = dice.choice(options)
        if dice.random() < gold:
            watch.task(given, truth)
            continue
        output = given[asked[0]] if answers == 1 else watch.judged(given).output["x"]
        if answers > 1:
            watch.task(given)
        if number >= tasks // 3:
            counted += 1
            wrong += output != truth
    return wrong / max(1, counted)
