"""One seed of the hub's life with a label set: tasks come one after another, workers are drawn by `next_worker`, every
answer is judged by `judge`, every end teaches by `close`. Only `core.verification.consensus` decides.

A tenth of the tasks with a truth are gold. Who is drawn and has answered less than five per option of it answers one gold
task first, while there is another that they could (it counts as a label bought); then the draw is repeated with what that
showed, so that who is wrong is soon not drawn again and costs no more gold."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.verification.consensus import (
    Answer,
    Audit,
    Book,
    Changes,
    ConsensusPolicy,
    Decision,
    Kind,
    certify,
    close,
    judge,
    known,
    next_worker,
)
from core.verification.consensus.model import POOL, Key
from tests.bench.crowd.sets import CrowdSet

GOLD_SHARE = 0.1
GOLD_PER_OPTION = 5
LOOK_EVERY = 5  # audits; the hub looks after each
# What a wrong answer costs in prices of an answer. The same for every set.
POLICY = ConsensusPolicy(loss=150.0, price=1.0, least=2, most=1000, rho=0.05)


@dataclass
class Seen:
    """One finished task whose truth is known."""

    confidence: float
    right: bool


@dataclass
class Run:
    labels: int = 0
    gold: int = 0
    tasks: int = 0
    seen: list[Seen] = field(default_factory=list)
    judged_seconds: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        return sum(one.right for one in self.seen) / len(self.seen)

    @property
    def stated(self) -> float:
        return sum(one.confidence for one in self.seen) / len(self.seen)


class Stream:
    """The counters of one task type, and the tasks that are left."""

    def __init__(self, crowd: CrowdSet, seed: int) -> None:
        self.crowd, self.dice = crowd, random.Random(seed)
        self.seed = seed
        options = crowd.options
        self.schema: dict[str, Any] = {
            "type": "object",
            "required": ["label"],
            "properties": {"label": {"enum": options}},
        }
        self.wanted = GOLD_PER_OPTION * len(options)
        self.pool: dict[Key, float] = {}
        self.workers: dict[str, dict[Key, float]] = {}
        self.book = Book(pool=self.pool, workers=self.workers)
        items = sorted(crowd.labels)
        self.dice.shuffle(items)
        with_truth = [item for item in items if item in crowd.truth]
        gold = with_truth[: round(GOLD_SHARE * len(with_truth))]
        self.items = [item for item in items if item not in set(gold)]
        self.gold_of: dict[str, list[str]] = {}
        for item in gold:
            for worker in crowd.labels[item]:
                self.gold_of.setdefault(worker, []).append(item)
        self.gold_of = {worker: mine[: self.wanted] for worker, mine in self.gold_of.items()}

    def run(self) -> Run:
        done = Run()
        for item in self.items:
            answers, decision = self._answered(item, done)
            self._learn(close(answers, self.book, POLICY, self.schema))
            done.tasks += 1
            done.labels += len(answers)
            if (truth := self.crowd.truth.get(item)) is not None:
                done.seen.append(Seen(decision.confidence, decision.output == {"label": truth}))
        return done

    def _answered(self, item: str, done: Run) -> tuple[list[Answer], Decision]:
        left = set(self.crowd.labels[item])
        answers: list[Answer] = []
        tries = 0
        while True:
            task = f"{self.seed}/{item}/{tries}"
            worker = next_worker(task, answers, sorted(left), self.book, POLICY, self.schema).worker
            if self._try_out(worker, done):
                tries += 1
                continue
            left.discard(worker)
            answers.append(self._answer(worker, item))
            began = time.thread_time()
            decision = judge(answers, self.book, POLICY, self.schema)
            done.judged_seconds.append(time.thread_time() - began)
            if decision.kind is not Kind.ANOTHER or not left:
                return answers, decision

    def _answer(self, worker: str, item: str) -> Answer:
        return Answer(worker=worker, output={"label": self.crowd.labels[item][worker]})

    def _try_out(self, worker: str, done: Run) -> bool:
        """One gold task for who has not had enough; whether there was any."""
        if not (items := self.gold_of.get(worker)):
            return False
        item = items.pop()
        truth = {"label": self.crowd.truth[item]}
        self._learn(known([self._answer(worker, item)], truth, self.book, POLICY, self.schema))
        done.gold += 1
        return True

    def _learn(self, changes: Changes) -> None:
        for owner, key, delta in changes.add:
            counts = self.pool if owner == POOL else self.workers.setdefault(owner, {})
            counts[key] = counts.get(key, 0.0) + delta


@dataclass
class Released:
    """What went out under the promise `rho`, in the order of the stream."""

    tasks: int
    released: int = 0
    wrong: int = 0
    audits: int = 0

    @property
    def kept(self) -> bool:
        return self.rho_kept

    rho_kept: bool = True


def released(seen: Iterable[Seen], rho: float, seed: int, *, afterwards: float = 0.2) -> Released:
    """QA sees every task while the type is uncertified, and `afterwards` of all when it is, drawn before anybody knows
    how sure the answer is. What QA saw is not counted as released: it was checked."""
    seen, dice = list(seen), random.Random(seed)
    policy = ConsensusPolicy(rho=rho)
    audits: list[Audit] = []
    certificate = None
    found = Released(tasks=len(seen))
    for one in seen:
        if certificate is None or dice.random() < afterwards:
            audits.append(Audit(confidence=one.confidence, wrong=not one.right))
            if len(audits) % LOOK_EVERY == 0:
                certificate = certify(audits, policy)
        elif one.confidence >= certificate.threshold:
            found.released += 1
            found.wrong += not one.right
    found.audits = len(audits)
    found.rho_kept = found.wrong <= rho * found.released
    return found
