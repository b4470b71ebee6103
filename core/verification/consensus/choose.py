"""Who is asked next: Thompson sampling among the eligible, with a share that is drawn evenly, so that new people are
tried and no clique that only agrees with itself takes over. Called by routing, through the verification stage.

The dice are the task's id and the number of the answer: the same question asked twice gives the same worker (replay), and
the order of the candidates plays no part."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import msgspec

from core.verification.consensus.counts import BAD, EMPTY, GOOD
from core.verification.consensus.model import Book, ConsensusPolicy
from core.verification.consensus.posterior import SHRINK, pool_accuracy


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """`how`: "random" or "thompson"; `draws` is each candidate's draw (0..1), the best first: routing may multiply it by
    the chance to be in time."""

    worker: str
    how: str
    draws: tuple[tuple[str, float], ...]


def next_worker(
    task: str, answers: int, candidates: Sequence[str], book: Book, policy: ConsensusPolicy
) -> Pick:
    """The one to ask for answer number `answers` + 1. `candidates` are eligible and have not answered. Raises
    ValueError when there is none."""
    if not candidates:
        raise ValueError("no candidates to choose from")
    evenly = _dice(task, answers, "").random() < policy.random_share
    mean = pool_accuracy(book.pool)
    draws: list[tuple[str, float]] = []
    for worker in set(candidates):
        dice = _dice(task, answers, worker)
        if evenly:
            draws.append((worker, dice.random()))
            continue
        counts = book.workers.get(worker, EMPTY)
        good, bad = max(0.0, counts.get(GOOD, 0.0)), max(0.0, counts.get(BAD, 0.0))
        draws.append((worker, dice.betavariate(good + SHRINK * mean, bad + SHRINK * (1.0 - mean))))
    draws.sort(key=lambda one: (-one[1], one[0]))
    return Pick(worker=draws[0][0], how="random" if evenly else "thompson", draws=tuple(draws))


def _dice(task: str, answers: int, worker: str) -> random.Random:
    text = f"{len(task)}:{task}:{answers}:{worker}"
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))  # noqa: S311 - not a secret
