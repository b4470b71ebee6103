"""What a finished task teaches about its workers: additive changes of the counters. `close` once when the consensus is
final, `known` when the truth is known (gold, QA, an appeal). Called by the verification stage.

The answer that is judged never judges itself: a worker's evidence is weighted by what the others alone say about the
task (cavity), and is nothing where there are no others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.verification.consensus import numbers, opened
from core.verification.consensus.agreed import same
from core.verification.consensus.counts import (
    BAD,
    FIELD_BAD,
    FIELD_GOOD,
    GOOD,
    NUMBERS,
    PRIOR,
    SQUARES,
    Sum,
    only,
    together,
)
from core.verification.consensus.fields import closed_logs
from core.verification.consensus.leaves import Leaf, leaves, tree
from core.verification.consensus.model import POOL, Answer, Book, Changes, ConsensusPolicy
from core.verification.consensus.plan import FieldKind, plan
from core.verification.consensus.posterior import (
    accuracy,
    field_accuracy,
    information,
    pool_accuracy,
    softmax,
)

LEAST_WEIGHT = 0.02  # weaker evidence is dropped
_HALF = 0.5  # the chance of a guess at a number, so that little is said of who misses it
_TRUTH = POOL  # no worker has this name


def close(
    answers: Sequence[Answer],
    book: Book,
    policy: ConsensusPolicy,
    schema: Mapping[str, Any] | None,
    *,
    beside: Sequence[Answer] = (),
) -> Changes:
    """`book` and `answers` as `judge` had them at the end. Keep what it gives: `undo` takes it back when QA or an appeal
    finds the truth, and `known` puts that in its place. Of those `beside`, who had no say, something is learnt from the
    answers, and they teach nothing of anybody else."""
    found = _closing(answers, book, policy, schema).changes()
    for one in beside:
        found = together(found, only(_closing([*answers, one], book, policy, schema).changes(), one.worker))
    return found


def _closing(
    answers: Sequence[Answer], book: Book, policy: ConsensusPolicy, schema: Mapping[str, Any] | None
) -> Sum:
    found = Sum()
    votes = list(leaves(tree(plan(schema), {one.worker: one.output for one in answers})))
    for leaf in votes:
        match leaf.kind:
            case FieldKind.CLOSED:
                _closed(leaf, book, found, 1.0 / len(votes))
            case FieldKind.NUMBER if leaf.tolerance > 0.0:
                _number(leaf, book, found, 1.0 / len(votes))
            case _:
                _open(leaf, book, policy, found, 1.0 / len(votes))
    return found


def known(
    answers: Sequence[Answer],
    truth: Any,
    book: Book,
    policy: ConsensusPolicy,
    schema: Mapping[str, Any] | None,
) -> Changes:
    """The same where the truth is known: one answer to a gold task, or all answers of a task that QA decided."""
    found = Sum()
    outputs = {_TRUTH: truth, **{one.worker: one.output for one in answers}}
    votes = [leaf for leaf in leaves(tree(plan(schema), outputs)) if _TRUTH in leaf.votes]
    for leaf in votes:
        right = leaf.votes[_TRUTH]
        if leaf.kind is FieldKind.CLOSED:
            found.add(POOL, (leaf.field, PRIOR, right), 1.0)
        for worker, vote in leaf.votes.items():
            if worker == _TRUTH:
                continue
            good = 1.0 if same(leaf, vote, right, policy.text_likeness) else 0.0
            _taught(found, leaf, worker, good, 1.0, 1.0 / len(votes))
            found.told(worker, good, _chance(leaf), field_accuracy(book.pool, leaf.field))
            if leaf.kind is FieldKind.CLOSED:
                found.both(worker, (leaf.field, right, vote), 1.0)
            elif leaf.kind is FieldKind.NUMBER and leaf.tolerance > 0.0:
                found.both(worker, (leaf.field, SQUARES, ""), float(vote - right) ** 2)
                found.both(worker, (leaf.field, NUMBERS, ""), 1.0)
    return found.changes()


def _chance(leaf: Leaf) -> float:
    """Of a guess."""
    match leaf.kind:
        case FieldKind.CLOSED:
            return 1.0 / len(leaf.options)
        case FieldKind.NUMBER:
            return _HALF
        case _:
            return opened.COINCIDENCE


def _taught(found: Sum, leaf: Leaf, worker: str, good: float, weight: float, part: float) -> None:
    """A task counts once in what is shared over fields, however many fields it has: each counts a `part`."""
    found.both(worker, GOOD, weight * good * part)
    found.both(worker, BAD, weight * (1.0 - good) * part)
    found.add(POOL, (leaf.field, FIELD_GOOD, ""), weight * good)
    found.add(POOL, (leaf.field, FIELD_BAD, ""), weight * (1.0 - good))


def _closed(leaf: Leaf, book: Book, found: Sum, part: float) -> None:
    logs, view, columns = closed_logs(leaf, book)
    posterior = softmax(logs)
    for worker, vote in leaf.votes.items():
        cavity = softmax([total - own for total, own in zip(logs, columns[worker], strict=True)])
        weight = information(cavity)
        if weight < LEAST_WEIGHT:
            continue
        place = view.place[vote]
        _taught(found, leaf, worker, posterior[place], weight, part)
        found.told(worker, cavity[place], 1.0 / len(leaf.options), view.right)
        for option, p in zip(leaf.options, posterior, strict=True):
            found.both(worker, (leaf.field, option, vote), weight * p)
    for option, p in zip(leaf.options, posterior, strict=True):
        found.add(POOL, (leaf.field, PRIOR, option), p)


def _open(leaf: Leaf, book: Book, policy: ConsensusPolicy, found: Sum, part: float) -> None:
    """Without options there is no prior to compare with: the others teach as far as they are surer together than one
    person of the pool would be."""
    kind = FieldKind.EXACT if leaf.kind is FieldKind.NUMBER else leaf.kind
    right = {worker: accuracy(book, worker, leaf.field) for worker in leaf.votes}
    whole = opened.consensus(kind, leaf.votes, right, policy.text_likeness)
    usual = pool_accuracy(book.pool)
    for worker, group in whole.groups.items():
        others = {one: other for one, other in whole.groups.items() if one != worker}
        if not others:
            continue
        said = opened.posterior(others, right)
        weight = max(0.0, (max(said.values()) - usual) / (1.0 - usual))
        if weight >= LEAST_WEIGHT:
            _taught(found, leaf, worker, whole.options[group], weight, part)
            nobody = max(0.0, 1.0 - math.fsum(said.values()))
            found.told(worker, said.get(group, nobody * usual), opened.COINCIDENCE, usual)


def _number(leaf: Leaf, book: Book, found: Sum, part: float) -> None:
    """Right is who lies within the tolerance of what the others say; their share of the precision is the weight."""
    if len(leaf.votes) < 2:
        return
    whole = numbers.estimate(leaf, book)
    for worker, vote in leaf.votes.items():
        rest = numbers.estimate(leaf, book, without=worker)
        weight = 1.0 - rest.pool_variance / (rest.pool_variance + rest.pool_variance**2 * rest.precision)
        off, sd = float(vote) - whole.mean, whole.deviation
        good = _between(-leaf.tolerance - off, leaf.tolerance - off, sd)
        _taught(found, leaf, worker, good, weight, part)
        found.told(worker, weight * good + (1.0 - weight) * _HALF, _HALF, pool_accuracy(book.pool))
        squares = max(0.0, (float(vote) - rest.mean) ** 2 - rest.deviation**2)
        found.both(worker, (leaf.field, SQUARES, ""), weight * squares)
        found.both(worker, (leaf.field, NUMBERS, ""), weight)


def _between(low: float, high: float, sd: float) -> float:
    """P(low <= error <= high) of a normal error."""
    root = sd * math.sqrt(2.0)
    return (math.erf(high / root) - math.erf(low / root)) / 2.0
