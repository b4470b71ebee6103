"""The consensus of one leaf: its value, how sure it is, and how sure it may become by more answers. Called by `judge`
for every leaf; kinds other than closed ones are in `opened.py` (texts, lists) and `numbers.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from core.verification.consensus import numbers, opened
from core.verification.consensus.counts import EMPTY
from core.verification.consensus.leaves import Leaf
from core.verification.consensus.model import Book
from core.verification.consensus.plan import FieldKind
from core.verification.consensus.posterior import View, accuracy, field_accuracy, softmax, summed

# The accuracy to expect of who is asked next: Thompson sampling finds people better than the pool. With the pool's own
# figure a weak pool looks as if no answer could help, although its good people can.
PROMISING = 0.85
# How many answers' weight that has against what the answers to this very task tell of it: where people contradict one
# another the task is hard for everybody, and more of them turn little.
TASK_SHRINK = 8.0


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """`hoped(m)` is the confidence to expect after `m` more answers of good people (`PROMISING`, less where the task is hard); never below
    `confidence`. `options` is the posterior by canonical option where there are options."""

    value: Any  # canonical option for a closed leaf
    confidence: float
    options: dict[str, float]
    hoped: Callable[[int], float]


def judged(leaf: Leaf, book: Book, likeness: float) -> Judged:
    """`likeness`: token similarity from which two texts say the same."""
    match leaf.kind:
        case FieldKind.CLOSED:
            return _closed(leaf, book)
        case FieldKind.NUMBER:
            return _number(leaf, book, likeness)
        case _:
            return _open(leaf, book, likeness)


def _closed(leaf: Leaf, book: Book) -> Judged:
    """The likeliest of the options that somebody gave (nobody stands for another, and nobody could be paid for it);
    ties go to the one that the schema names first."""
    options = leaf.options
    logs, view, _ = closed_logs(leaf, book)
    posterior = softmax(logs)
    given = {view.place[vote] for vote in leaf.votes.values()}
    best = max(given, key=lambda k: (posterior[k], -k))
    second = max((p for k, p in enumerate(posterior) if k != best), default=0.0)
    agreed = math.fsum(posterior[view.place[vote]] for vote in leaf.votes.values())
    right = (TASK_SHRINK * max(view.right, PROMISING) + agreed) / (TASK_SHRINK + len(leaf.votes))
    wrong = (1.0 - right) / max(1, len(options) - 1)
    return Judged(
        value=options[best],
        confidence=posterior[best],
        options=dict(zip(options, posterior, strict=True)),
        hoped=lambda more: hoped(posterior[best], second, right, wrong, more),
    )


def closed_logs(leaf: Leaf, book: Book) -> tuple[list[float], View, dict[str, list[float]]]:
    """Unnormalised log posterior, what it was read from, and each worker's log column."""
    view = View(book.pool, leaf.field, leaf.options)
    columns = {
        worker: view.log_column(book.workers.get(worker, EMPTY), leaf.field, view.place[vote])
        for worker, vote in leaf.votes.items()
    }
    return summed(view.prior, columns), view, columns


def hoped(first: float, second: float, right: float, wrong: float, more: int) -> float:
    """Expected posterior of the best option after `more` answers, of which one supports the truth with probability
    `right` and the other of the two leading options with `wrong`; further options are left out. Looking several
    answers ahead sees what one answer cannot turn (Sheng 2008; the one-step value is nought there)."""
    if wrong >= right or second <= 0.0:
        return first
    neither = max(0.0, 1.0 - right - wrong)
    total = 0.0
    for ours in range(more + 1):
        for theirs in range(more + 1 - ours):
            rest = more - ours - theirs
            ways = math.comb(more, ours) * math.comb(more - ours, theirs) * neither**rest
            total += ways * max(first * right**ours * wrong**theirs, second * wrong**ours * right**theirs)
    return max(first, total)


def _open(leaf: Leaf, book: Book, likeness: float) -> Judged:
    right = {worker: accuracy(book, worker, leaf.field) for worker in leaf.votes}
    found = opened.consensus(leaf.kind, leaf.votes, right, likeness)
    usual = max(field_accuracy(book.pool, leaf.field), PROMISING)
    chance = (1.0 - usual) * opened.COINCIDENCE
    return Judged(
        value=found.value,
        confidence=found.confidence,
        options=found.options,
        hoped=lambda more: hoped(
            found.confidence, min(found.second, 1.0 - found.confidence), usual, chance, more
        ),
    )


def _number(leaf: Leaf, book: Book, likeness: float) -> Judged:
    """Without a tolerance a number is right or wrong as a word is; where no two agree, the robust mean is shown."""
    if leaf.tolerance <= 0.0:
        exact = _open(msgspec.structs.replace(leaf, kind=FieldKind.EXACT), book, likeness)
        if exact.confidence >= 0.5 or len(leaf.votes) < 2:
            return exact
        mean = numbers.estimate(leaf, book).mean
        nearest = min(leaf.votes.values(), key=lambda value: (abs(value - mean), value))
        return msgspec.structs.replace(exact, value=nearest)
    found = numbers.estimate(leaf, book)
    return Judged(
        value=numbers.shown(found.mean, leaf.votes.values()),
        confidence=numbers.within(leaf.tolerance, found.deviation),
        options={},
        hoped=lambda more: numbers.within(leaf.tolerance, found.after(more)),
    )
