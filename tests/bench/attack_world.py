"""The world of the benchmark `attackers`: answers come in task by task; what the hub remembers of each worker is kept with the
hub's own pure functions, without a database. Crowds are simulated, or read from the folders of real labels."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.verification import consensus
from core.verification.anomaly import detect, pairs, suspicion
from core.verification.anomaly.model import Behaviour, Given, Memory, Pool
from core.verification.anomaly.pairs import Pair, Sums
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.consensus import Answer, Book, Changes, ConsensusPolicy
from core.verification.consensus.model import Key
from core.workers.records import ALARM_WEIGHT, LONG_RUN_PRIOR, Kind
from core.workers.reliability import ALARM_AT, Counts, added, alarm_sum, shrunk

GOOD, BAD = ("", "good", ""), ("", "bad", "")  # of `consensus/counts.py`
REVIEW_EVERY = 50  # tasks; the hub reviews every ten minutes


def shares(changes: Changes) -> dict[str, tuple[float, float]]:
    """(right, weight) of each worker, as verification tells the records."""
    found: dict[str, dict[Key, float]] = defaultdict(dict)
    for owner, key, delta in changes.add:
        if owner and key in (GOOD, BAD):
            found[owner][key] = max(0.0, delta)
    return {
        worker: (one.get(GOOD, 0.0) / total, min(1.0, total))
        for worker, one in found.items()
        if (total := sum(one.values())) > 0
    }


@dataclass
class Kept:
    """As a row of `worker_records`."""

    counts: Counts = field(default_factory=Counts)
    seen: float = 0.0
    right: float = 0.0
    cusum: float = 0.0
    alarmed: bool = False

    def add(self, kind: Kind, right: float, weight: float) -> None:
        long_run = shrunk(Counts(good=self.right, bad=self.seen - self.right), LONG_RUN_PRIOR)
        self.cusum = alarm_sum(self.cusum, long_run, right, weight * ALARM_WEIGHT[kind])
        self.counts = added(self.counts, right, weight)
        self.seen += weight
        self.right += right * weight
        if self.cusum >= ALARM_AT:
            self.cusum, self.alarmed = 0.0, True


class Watch:
    """Everything that the hub knows at one task type. `found` maps a worker to (answers given until then, why)."""

    def __init__(self, options: list[str], *, off: frozenset[MarkKind] = frozenset()):
        self.options = options
        self.schema = {"type": "object", "properties": {"x": {"enum": options}}, "required": ["x"]}
        self.policy = ConsensusPolicy(rho=None)
        self.counters: dict[str, dict[Key, float]] = {}
        self.records: dict[str, Kept] = defaultdict(Kept)
        self.memories: dict[str, Memory] = defaultdict(Memory)
        self.pool = Pool()
        self.sums: dict[Pair, Sums] = defaultdict(Sums)
        self.found: dict[str, tuple[int, list[MarkKind]]] = {}
        self.off = off
        self.tasks = 0

    def book(self, workers: Mapping[str, str]) -> Book:
        held = {worker: self.counters.get(worker, {}) for worker in workers}
        return Book(pool=self.counters.get("", {}), workers=held)

    def judged(self, answers: Mapping[str, str]) -> consensus.Decision:
        given = [Answer(worker=worker, output={"x": label}) for worker, label in sorted(answers.items())]
        return consensus.judge(given, self.book(answers), self.policy, self.schema, lambda _: True)

    def task(self, answers: Mapping[str, str], truth: str | None = None) -> None:
        """A task has ended with these answers; `truth` when it was gold."""
        before: list[Given] = []
        for worker, label in answers.items():
            one = Given(worker=worker, answer={"x": label})
            seen = Behaviour(given=one, memory=self.memories[worker], pool=self.pool, others=list(before))
            before.append(one)
            self.memories[worker] = detect.remembered(seen.memory, seen, [])
            self.pool = detect.pooled(self.pool, seen)
        given = [Answer(worker=worker, output={"x": label}) for worker, label in sorted(answers.items())]
        book = self.book(answers)
        if truth is None:
            changes = consensus.close(given, book, self.policy, self.schema)
        else:
            changes = consensus.known(given, {"x": truth}, book, self.policy, self.schema)
        self._learn(changes, Kind.CONSENSUS if truth is None else Kind.GOLD)
        for pair, one in pairs.terms(answers, self._accuracies(answers), len(self.options)):
            self.sums[pair] = self.sums[pair].plus(one)
        self.tasks += 1
        if self.tasks % REVIEW_EVERY == 0:
            self.review()

    def _learn(self, changes: Changes, kind: Kind) -> None:
        for owner, key, delta in changes.add:
            counts = self.counters.setdefault(owner, {})
            counts[key] = counts.get(key, 0.0) + delta
        for worker, (right, weight) in sorted(shares(changes).items()):
            self.records[worker].add(kind, right, weight)

    def _accuracies(self, answers: Mapping[str, str]) -> dict[str, float]:
        return {worker: shrunk(self.records[worker].counts, pairs.USUAL) for worker in answers}

    def review(self) -> None:
        reasons: dict[str, list[Suspicion]] = defaultdict(list)
        pool = detect.merged({"pool:0": self.pool})
        together = [record.counts for record in self.records.values()]
        usual = suspicion.usual_accuracy((one.good, one.weight) for one in together)
        for worker, memory in self.memories.items():
            record = self.records[worker]
            odd = suspicion.of_memory(memory, pool)
            skill = suspicion.of_skill(record.right, record.seen - record.right, len(self.options), usual)
            odd += [skill] if skill else []
            if record.alarmed:
                odd.append(Suspicion(kind=MarkKind.TURNED, p=1e-6, words="", evidence={}))
            reasons[worker] = [one for one in odd if one.kind not in self.off]
        if MarkKind.PAIR not in self.off:
            for pair, one in pairs.colluding(self.sums).items():
                for worker in pair:
                    reasons[worker].append(Suspicion(kind=MarkKind.PAIR, p=one.p, words="", evidence={}))
        for worker, shown in suspicion.found(reasons).items():
            self.found.setdefault(
                worker, (self.memories[worker].answers, sorted({one.kind for one in shown}))
            )


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


class Attackers:
    """Those who do not do the work, `each` of every kind, with `answers` answers each, spread over the items. Colluders
    come in threes and share what the first of them guessed; sleepers are good for a third of their answers."""

    KINDS = ("random", "constant", "colluder", "sleeper")

    def __init__(self, dice: random.Random, crowd: Crowd, *, each: int, answers: int):
        self.dice, self.options = dice, crowd.options
        self.kind = {f"{kind} {n}": kind for kind in self.KINDS for n in range(each)}
        self.given: Counter[str] = Counter()
        self.limit = answers
        self.favourite = {name: dice.choice(crowd.options) for name in self.kind}
        self.at: dict[int, list[str]] = defaultdict(list)
        for name in self.kind:
            if not name.startswith("colluder"):
                for place in dice.sample(range(len(crowd.items)), min(answers, len(crowd.items))):
                    self.at[place].append(name)
        rings = [[f"colluder {n}" for n in range(start, min(start + 3, each))] for start in range(0, each, 3)]
        for ring in rings:
            for place in dice.sample(range(len(crowd.items)), min(answers, len(crowd.items))):
                self.at[place] += ring

    def answer(self, place: int, truth: str) -> dict[str, str]:
        found: dict[str, str] = {}
        shared: dict[int, str] = {}
        for name in self.at.get(place, []):
            self.given[name] += 1
            match self.kind[name]:
                case "random":
                    found[name] = self.dice.choice(self.options)
                case "constant":
                    found[name] = self.favourite[name]
                case "colluder":
                    ring = int(name.split()[1]) // 3
                    found[name] = shared.setdefault(ring, self.dice.choice(self.options))
                case _:
                    good = 0.9 if self.given[name] <= self.limit // 3 else 1 / len(self.options)
                    found[name] = noisy(self.dice, truth, self.options, good)
        return found
