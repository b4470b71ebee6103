"""Who is asked next: Thompson sampling among the eligible, with a share that is drawn evenly, so that new people are
tried and no clique that only agrees with itself takes over. Called by routing, through the verification stage.

The dice are the task's id and the number of the answer: the same question asked twice gives the same worker (replay), and
the order of the candidates plays no part."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from core.verification.consensus.counts import BAD, EMPTY, GOOD
from core.verification.consensus.fields import closed_logs
from core.verification.consensus.leaves import decisive, leaves, tree
from core.verification.consensus.model import Answer, Book, ConsensusPolicy, Counts
from core.verification.consensus.plan import FieldKind, plan
from core.verification.consensus.posterior import SHRINK, View, pool_accuracy, softmax


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """`how`: "random" or "thompson"; `draws` is each candidate's draw (0..1), the best first: routing may multiply it by
    the chance to be in time."""

    worker: str
    how: str
    draws: tuple[tuple[str, float], ...]


def next_worker(
    task: str,
    given: Sequence[Answer],
    candidates: Sequence[str],
    book: Book,
    policy: ConsensusPolicy,
    schema: Mapping[str, Any] | None,
) -> Pick:
    """The one to ask after the answers `given`. `candidates` are eligible and have not answered; `book` knows all of both.
    An accuracy is drawn for each. The first to be asked is who drew the highest; once there are answers, whose own would
    tell most about the options that are open: what it is expected to tell of all there is to tell, times the accuracy (who is
    surely wrong tells much too, and is not to be asked). Raises ValueError when there is no candidate."""
    if not candidates:
        raise ValueError("no candidates to choose from")
    evenly = _dice(task, len(given), "").random() < policy.random_share
    mean = pool_accuracy(book.pool)
    worth = None if evenly else _told(given, book, schema)
    draws: list[tuple[str, float]] = []
    for worker in set(candidates):
        dice = _dice(task, len(given), worker)
        if evenly:
            draws.append((worker, dice.random()))
            continue
        counts = book.workers.get(worker, EMPTY)
        good, bad = max(0.0, counts.get(GOOD, 0.0)), max(0.0, counts.get(BAD, 0.0))
        drawn = dice.betavariate(good + SHRINK * mean, bad + SHRINK * (1.0 - mean))
        draws.append((worker, drawn if worth is None else drawn * worth(counts, drawn)))
    draws.sort(key=lambda one: (-one[1], one[0]))
    return Pick(worker=draws[0][0], how="random" if evenly else "thompson", draws=tuple(draws))


def _told(
    given: Sequence[Answer], book: Book, schema: Mapping[str, Any] | None
) -> Callable[[Counts, float], float] | None:
    """What the answer of somebody with these counts and this accuracy tells of the deciding fields that have options, of
    all that can be told. None where there are no answers or no such fields."""
    if not given:
        return None
    shape = plan(schema)
    node = tree(shape, {one.worker: one.output for one in given})
    held = decisive(shape, node)
    closed = [leaf for leaf in leaves(node) if leaf.kind is FieldKind.CLOSED and len(leaf.options) > 1]
    asked = [leaf for leaf in closed if leaf.pointer in held]
    if not asked:
        return None
    views: list[tuple[View, str, list[float]]] = []
    for leaf in asked:
        logs, view, _ = closed_logs(leaf, book)
        views.append((view, leaf.field, softmax(logs)))
    most = math.fsum(math.log(len(leaf.options)) for leaf in asked)

    def told(counts: Counts, accuracy: float) -> float:
        return math.fsum(view.tells(counts, field, accuracy, now) for view, field, now in views) / most

    return told


def _dice(task: str, answers: int, worker: str) -> random.Random:
    text = f"{len(task)}:{task}:{answers}:{worker}"
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))  # noqa: S311 - not a secret
