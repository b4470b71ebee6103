"""Puts the results of the leaves together to one answer that satisfies schema and rules. Called by `judge`.

Fields that come from different people may contradict one another; then the answer of one person is taken whole, of those
whose critical fields are the consensus's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from core.verification.consensus.agreed import compared
from core.verification.consensus.fields import Judged
from core.verification.consensus.leaves import ABSENT, GIVEN, IN, NULL, Leaf, Node, leaves
from core.verification.consensus.model import Answer, ConsensusPolicy
from core.verification.consensus.plan import FieldKind, Plan, canonical

MISSING: Final = object()  # a place that the answer does not have
Results = Mapping[tuple[str, bool], Judged]  # by (pointer, whether it is the vote on the presence)


def at(leaf: Leaf) -> tuple[str, bool]:
    return leaf.pointer, leaf.presence


def standing(node: Node, results: Results) -> list[Leaf]:
    """The leaves that are part of the assembled answer: nothing inside of a place that is not there."""
    found: list[Leaf] = []
    if node.presence is not None:
        found.append(node.presence)
        if results[at(node.presence)].value not in (GIVEN, IN):
            return found
    if node.leaf is not None:
        found.append(node.leaf)
    for part in node.parts.values():
        found.extend(standing(part, results))
    return found


def built(node: Node, results: Results) -> Any:
    """The value of a place, MISSING where the consensus leaves it out."""
    if node.presence is not None:
        match results[at(node.presence)].value:
            case found if found == ABSENT:
                return MISSING
            case found if found == NULL:
                return None
            case _:
                pass
    match node.kind:
        case FieldKind.OBJECT:
            values = {name: built(part, results) for name, part in node.parts.items()}
            return {name: value for name, value in values.items() if value is not MISSING}
        case FieldKind.SET:
            return [
                json.loads(option)
                for option, part in node.parts.items()
                if part.presence is not None and results[at(part.presence)].value == IN
            ]
        case FieldKind.KEYED:
            members = [built(part, results) for part in node.parts.values()]
            return [member for member in members if member is not MISSING]
        case _:
            if node.leaf is None:  # everybody gave null
                return None
            value = results[at(node.leaf)].value
            return json.loads(value) if node.leaf.kind is FieldKind.CLOSED else value


def whole(
    answers: Sequence[Answer],
    consensus: Any,
    node: Node,
    results: Results,
    shape: Plan,
    policy: ConsensusPolicy,
    valid: Callable[[Any], bool],
) -> Answer | None:
    """The one person's answer to be taken as it is: valid, agreeing with the consensus in what is critical, and of
    those the likeliest by the posterior of its closed fields; ties by the answer's text. None when there is no such."""
    if consensus is MISSING:
        return None
    agreed = {one.worker for one in compared(answers, consensus, policy, shape) if one.agreed}
    fitting = [one for one in answers if one.worker in agreed and valid(one.output)]
    votes = [(leaf, results[at(leaf)].options) for leaf in leaves(node) if leaf.kind is FieldKind.CLOSED]

    def likely(worker: str) -> float:
        return sum(options.get(leaf.votes[worker], 0.0) for leaf, options in votes if worker in leaf.votes)

    return min(
        fitting, key=lambda one: (-likely(one.worker), canonical(one.output), one.worker), default=None
    )
