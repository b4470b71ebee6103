"""The world of the benchmark `attackers`: answers come in task by task; what the hub remembers of each worker is kept with the
hub's own pure functions, without a database. Crowds are simulated, or read from the folders of real labels."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.verification import consensus, gold_rate
from core.verification.anomaly import detect, pairs, suspicion
from core.verification.anomaly.model import Behaviour, Given, Memory, Pool
from core.verification.anomaly.pairs import LEAST_ANSWERS, Pair, Sums
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.consensus import Answer, Book, Changes, ConsensusPolicy
from core.verification.consensus.model import Key
from core.verification.evidence import shares, sign_of
from core.verification.policy import Gold, Level, Marks
from core.workers import reliability
from core.workers.reliability import Alarm, Counts, Sign, added, beta_share, listened, shrunk

REVIEW_EVERY = 50  # tasks; the hub reviews every ten minutes
PER_TASK = 5  # answers of real workers to one question, at most: what a hub buys
LEVEL = Level(gold_floor=0.02)  # low risk


@dataclass
class Kept:
    """As a row of `worker_records`."""

    counts: Counts = field(default_factory=Counts)
    seen: float = 0.0
    right: float = 0.0
    alarm: Alarm = field(default_factory=Alarm)
    alarmed: bool = False
    gold: int = 0
    gold_right: float = 0.0
    since_gold: int = 0

    def add(self, right: float, weight: float, sign: Sign | None) -> None:
        self.alarm = listened(self.alarm, sign or Sign(right=weight * right + (1 - weight) * 0.5))
        self.counts = added(self.counts, right, weight)
        self.seen += weight
        self.right += right * weight
        if self.alarm.rings:
            self.alarm = Alarm()
            self.alarmed = True


ALL: frozenset[MarkKind] = frozenset()


class Watch:
    """Everything that the hub knows at one task type. `found` maps a set of tests that are left out to
    {worker: (answers given until then, why)}: what one world shows with and without each of them."""

    def __init__(self, options: list[str], *, without: Iterable[frozenset[MarkKind]] = (ALL,)):
        self.options = options
        self.schema = {"type": "object", "properties": {"x": {"enum": options}}, "required": ["x"]}
        self.policy = ConsensusPolicy(rho=None)
        self.counters: dict[str, dict[Key, float]] = {}
        self.records: dict[str, Kept] = defaultdict(Kept)
        self.memories: dict[str, Memory] = defaultdict(Memory)
        self.pool = Pool()
        self.sums: dict[Pair, Sums] = defaultdict(Sums)
        self.found: dict[frozenset[MarkKind], dict[str, tuple[int, list[MarkKind]]]] = {
            one: {} for one in without
        }
        self.clusters: dict[str, str] = {}
        self.tasks = 0

    def book(self, workers: Iterable[str]) -> Book:
        held = {worker: self.counters.get(worker, {}) for worker in workers}
        return Book(pool=self.counters.get("", {}), workers=held)

    def judged(self, answers: Mapping[str, str]) -> consensus.Decision:
        return consensus.judge(_given(answers), self.book(answers), self.policy, self.schema, lambda _: True)

    def draws_gold(self, worker: str, dice: random.Random, *, marked: bool = False) -> bool:
        """Whether the hub, as shipped, asks this worker a question whose answer is known."""
        kept = self.records[worker]
        chance = gold_rate.rate(
            Gold(),
            LEVEL,
            lower_bound=_lower_bound(round(kept.counts.good * 2) / 2, round(kept.counts.bad * 2) / 2),
            gold_seen=kept.gold,
            since_gold=kept.since_gold,
            alarmed=kept.alarmed,
            marked=Marks().gold_rate if marked else 0.0,
            options=len(self.options),
        )
        return dice.random() < chance

    def gold(self, worker: str, label: str, truth: str) -> None:
        """A turn of one worker whose answer is known."""
        self._remember({worker: label})
        given = _given({worker: label})
        changes = consensus.known(given, {"x": truth}, self.book([worker]), self.policy, self.schema)
        self._learn(changes)
        self.records[worker].gold += 1
        self.records[worker].gold_right += label == truth
        self.records[worker].since_gold = 0

    def task(self, answers: Mapping[str, str], voices: Collection[str] | None = None) -> None:
        """A task has ended with these answers, of which the `voices` (None: all) count as independent."""
        self._remember(answers)
        heard = {one: answers[one] for one in answers if voices is None or one in voices}
        if len(heard) > 1:
            self._learn(consensus.close(_given(heard), self.book(heard), self.policy, self.schema))
        for pair, one in pairs.terms(answers, self._accuracies(answers), 2):
            self.sums[pair] = self.sums[pair].plus(one)
        self.tasks += 1
        if self.tasks % REVIEW_EVERY == 0:
            self.review()

    def _remember(self, answers: Mapping[str, str]) -> None:
        before: list[Given] = []
        for worker, label in answers.items():
            one = Given(worker=worker, answer={"x": label})
            seen = Behaviour(given=one, memory=self.memories[worker], pool=self.pool, others=list(before))
            before.append(one)
            self.memories[worker] = detect.remembered(seen.memory, seen, [])
            self.pool = detect.pooled(self.pool, seen)
            self.records[worker].since_gold += 1

    def _learn(self, changes: Changes) -> None:
        for owner, key, delta in changes.add:
            counts = self.counters.setdefault(owner, {})
            counts[key] = counts.get(key, 0.0) + delta
        for worker, (right, weight) in sorted(shares(changes).items()):
            self.records[worker].add(right, weight, sign_of(changes, worker))

    def _accuracies(self, answers: Mapping[str, str]) -> dict[str, float]:
        return {worker: shrunk(self.records[worker].counts, pairs.USUAL) for worker in answers}

    def review(self) -> None:
        """As `anomaly/review.py` does it, once for each set of tests."""
        reasons = self._reasons()
        colluding = pairs.colluding(self.sums)
        for pair, one in sorted(colluding.items()):
            for worker in pair:
                reasons[worker].append(Suspicion(kind=MarkKind.PAIR, p=one.p, words="", evidence={}))
        self.clusters = pairs.groups(sorted(colluding))
        for off, found in self.found.items():
            asked = {worker: [one for one in said if one.kind not in off] for worker, said in reasons.items()}
            for worker, shown in suspicion.found(asked).items():
                found.setdefault(worker, (self.memories[worker].answers, sorted({one.kind for one in shown})))

    def _reasons(self) -> dict[str, list[Suspicion]]:
        reasons: dict[str, list[Suspicion]] = defaultdict(list)
        pool = detect.merged({"pool:0": self.pool})
        classes = suspicion.classes_of(pool)
        together = [record.counts for record in self.records.values()]
        usual = suspicion.usual_accuracy((one.good, one.weight) for one in together)
        for worker, memory in self.memories.items():
            record = self.records[worker]
            odd = suspicion.of_memory(memory, pool)
            skill = suspicion.of_skill(record.right, record.seen - record.right, classes, usual)
            odd += [skill] if skill else []
            if record.alarmed:
                odd.append(Suspicion(kind=MarkKind.TURNED, p=1e-6, words="", evidence={}))
            reasons[worker] = odd
        known = {worker: (kept.gold_right, float(kept.gold)) for worker, kept in self.records.items()}
        least = suspicion.least_accuracy(classes, usual)
        return defaultdict(list, suspicion.borne_out(reasons, known, least))


@cache
def _lower_bound(good: float, bad: float) -> float:
    """As `reliability.lower_bound`, to a half answer and a thousandth: it is asked for each of many answers."""
    low, high = 0.0, 1.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (
            (middle, high) if beta_share(middle, 1 + good, 1 + bad) < reliability.LEVEL else (low, middle)
        )
    return low


def _given(answers: Mapping[str, str]) -> list[Answer]:
    return [Answer(worker=worker, output={"x": label}) for worker, label in sorted(answers.items())]


@dataclass(frozen=True)
class Item:
    truth: str
    labels: dict[str, str]  # of real workers


@dataclass(frozen=True)
class Crowd:
    name: str
    options: list[str]
    items: list[Item]


def real(folder: Path, *, most: int) -> Iterator[Crowd]:
    """Every set of the folder, at most `most` of its items that have a truth (the first ones), in order of their names."""
    for path in sorted(folder.glob("*/label.csv")):
        truths = dict(row[:2] for row in _rows(path.with_name("truth.csv")))
        labels: dict[str, dict[str, str]] = defaultdict(dict)
        for item, worker, label, *_ in _rows(path):
            labels[item][worker] = label
        known = [one for one in sorted(labels) if one in truths][:most]
        options = sorted(
            {truths[one] for one in known} | {label for one in known for label in labels[one].values()}
        )
        yield Crowd(path.parent.name, options, [Item(truths[one], labels[one]) for one in known])


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        yield from rows


def simulated(seed: int, *, workers: int, tasks: int, answers: int, classes: int = 3) -> Crowd:
    """Honest people of skill .65 to .95; every fifth task is hard and takes .2 of it."""
    dice = random.Random(seed)
    options = [f"option {n}" for n in range(classes)]
    skill = {f"w{n:03}": dice.uniform(0.65, 0.95) for n in range(workers)}
    items: list[Item] = []
    for _ in range(tasks):
        truth = dice.choice(options)
        loss = 0.2 if dice.random() < 0.2 else 0.0
        people = dice.sample(sorted(skill), answers)
        items.append(Item(truth, {one: noisy(dice, truth, options, skill[one] - loss) for one in people}))
    return Crowd(f"simulated ({classes} options)", options, items)


def noisy(dice: random.Random, truth: str, options: list[str], accuracy: float) -> str:
    if dice.random() < accuracy:
        return truth
    return dice.choice([one for one in options if one != truth])


Task = tuple[str, dict[str, str]]  # the truth, and what real workers said


def tasks_of(crowd: Crowd, dice: random.Random, *, answers: int) -> list[Task]:
    """Every item is asked as many times as it has labels for, of `PER_TASK` people each and never of one twice; in random
    order, until there are so many answers."""
    asked: list[Task] = []
    for item in crowd.items:
        people = dice.sample(sorted(item.labels), len(item.labels))
        for start in range(0, len(people), PER_TASK):
            some = people[start : start + PER_TASK]
            if len(some) >= LEAST_ANSWERS:
                asked.append((item.truth, {one: item.labels[one] for one in some}))
    dice.shuffle(asked)
    count = 0
    for number, (_, labels) in enumerate(asked):
        if count >= answers:
            return asked[:number]
        count += len(labels)
    return asked


class Attackers:
    """Those who do not do the work, `each` of every kind, spread over the tasks. Random, constant and colluding ones give
    `ANSWERS` answers each; colluders come in threes and share what the first of them guessed. Sleepers are right in .9 of
    `GOOD` answers, then guess `BAD` times."""

    KINDS = ("random", "constant", "colluder", "sleeper")
    ANSWERS, GOOD, BAD = 40, 30, 80

    def __init__(self, dice: random.Random, options: list[str], tasks: int, *, each: int):
        self.dice, self.options = dice, options
        self.kind = {f"{kind} {n}": kind for kind in self.KINDS for n in range(each)}
        self.given: Counter[str] = Counter()
        self.favourite = {name: dice.choice(options) for name in self.kind}
        self.at: dict[int, list[str]] = defaultdict(list)
        for name, kind in self.kind.items():
            if kind != "colluder":
                self._spread([name], self.GOOD + self.BAD if kind == "sleeper" else self.ANSWERS, tasks)
        for start in range(0, each, 3):
            ring = [f"colluder {n}" for n in range(start, min(start + 3, each))]
            self._spread(ring, self.ANSWERS, tasks)

    def _spread(self, names: list[str], answers: int, tasks: int) -> None:
        for place in self.dice.sample(range(tasks), min(answers, tasks)):
            self.at[place] += names

    def answer(self, place: int, truth: str) -> dict[str, str]:
        """By worker, of those who are at this task."""
        shared: dict[int, str] = {}
        return {name: self._said(name, truth, shared) for name in self.at.get(place, [])}

    def alone(self, name: str, truth: str) -> str:
        """Of one of them, where nobody else is asked."""
        return self._said(name, truth, {})

    def _said(self, name: str, truth: str, shared: dict[int, str]) -> str:
        self.given[name] += 1
        match self.kind[name]:
            case "random":
                return self.dice.choice(self.options)
            case "constant":
                return self.favourite[name]
            case "colluder":
                return shared.setdefault(int(name.split()[1]) // 3, self.dice.choice(self.options))
            case _:
                good = 0.9 if self.given[name] <= self.GOOD else 1 / len(self.options)
                return noisy(self.dice, truth, self.options, good)
