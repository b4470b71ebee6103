"""The decision on a task after each answer: stop, buy one more, or QA. Called by the verification stage; pure, so that a
replay from the stored answers and book gives the same decision."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from core.verification.consensus import assemble
from core.verification.consensus.agreed import compared
from core.verification.consensus.assemble import Results, at, built, standing, whole
from core.verification.consensus.decide import decide, net_value
from core.verification.consensus.fields import judged
from core.verification.consensus.leaves import GIVEN, IN, Leaf, decisive, leaves, tree
from core.verification.consensus.model import Answer, Book, ConsensusPolicy, Decision, FieldResult
from core.verification.consensus.plan import FieldKind, plan

OPTIONS_KEPT = 8


def judge(
    answers: Sequence[Answer],
    book: Book,
    policy: ConsensusPolicy,
    schema: Mapping[str, Any] | None,
    valid: Callable[[Any], bool] | None = None,
    *,
    empty_is_sure: bool = False,
) -> Decision:
    """`answers` in any order, one or more, each from another worker; `book` as it was before this task (nothing that
    these answers taught). `valid` tells whether an assembled answer satisfies schema and rules; None: anything does.
    `empty_is_sure`: as decisions before version 3 of their record had it. Raises ValueError on no answers, or two of one
    worker."""
    _check(answers)
    ordered = sorted(answers, key=lambda one: one.worker)
    shape = plan(schema)
    node = tree(shape, {one.worker: one.output for one in ordered})
    results: Results = {at(leaf): judged(leaf, book, policy.text_likeness) for leaf in leaves(node)}
    held = decisive(shape, node)
    parts = standing(node, results)
    critical = [results[at(leaf)] for leaf in parts if leaf.pointer in held]
    if not critical and not empty_is_sure:
        critical = [judged(_nothing(ordered), book, policy.text_likeness)]
    confidence = math.prod(one.confidence for one in critical)
    output = built(node, results)
    source = "fields"
    if output is assemble.MISSING or (valid is not None and not valid(output)):
        one = whole(ordered, output, node, results, shape, policy, valid or (lambda _: True))
        output, source = (one.output, "worker") if one else (output, "none")
    value = net_value(critical, len(answers), policy)
    kind, reason = decide(len(answers), confidence, value, policy, book.certificate, whole=source != "none")
    certificate = book.certificate if policy.rho is not None else None
    vouched = certificate is not None and confidence >= certificate.threshold
    return Decision(
        kind=kind,
        reason=reason,
        output=output,
        confidence=confidence,
        bound=certificate.bound if certificate is not None and vouched else None,
        audits=certificate.audits if certificate is not None and vouched else 0,
        fields=tuple(_result(leaf, results, leaf.pointer in held) for leaf in parts),
        agreements=compared(ordered, output, policy, shape),
        value=value,
        source=source,
    )


def _nothing(answers: Sequence[Answer]) -> Leaf:
    """Nobody gave anything that could be compared where the money is: that they all say, and no surer than they would say
    anything else."""
    return Leaf(
        pointer="",
        field="",
        kind=FieldKind.WHOLE,
        votes={one.worker: None for one in answers},
        critical=True,
    )


def _check(answers: Sequence[Answer]) -> None:
    workers = [one.worker for one in answers]
    if not workers:
        raise ValueError("no answers to judge")
    if len(set(workers)) != len(workers):
        twice = next(worker for worker in workers if workers.count(worker) > 1)
        raise ValueError(f"two answers of worker {twice!r}; judge one answer per worker")
    if "" in workers:
        raise ValueError("an answer without a worker")


def _result(leaf: Leaf, results: Results, critical: bool) -> FieldResult:
    found = results[at(leaf)]
    closed = leaf.kind is FieldKind.CLOSED
    options = sorted(found.options.items(), key=lambda one: (-one[1], one[0]))[:OPTIONS_KEPT]
    return FieldResult(
        pointer=leaf.pointer,
        value=None if leaf.presence else json.loads(found.value) if closed else found.value,
        present=found.value in (GIVEN, IN) if leaf.presence else True,
        confidence=found.confidence,
        critical=critical,
        options=dict(options),
    )


def stored(decision: Decision) -> bytes:
    """The decision as bytes that are the same on every replay."""
    return msgspec.json.encode(decision, order="sorted")
