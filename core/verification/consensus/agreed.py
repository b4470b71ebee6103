"""Who agreed with the final answer, and in words why somebody did not. Called by `judge` (with the consensus) and by the
verification stage (with QA's answer, and for audits)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.verification.consensus.leaves import ABSENT, GIVEN, IN, Leaf, decisive, leaves, tree
from core.verification.consensus.model import POOL, Agreement, Answer, ConsensusPolicy
from core.verification.consensus.opened import likeness_of, text
from core.verification.consensus.plan import FieldKind, Plan, canonical, plan

_RESULT = POOL  # no worker has this name
_SHOWN = 60  # characters of a value in a sentence


def agreements(
    answers: Sequence[Answer], output: Any, policy: ConsensusPolicy, schema: Mapping[str, Any] | None
) -> tuple[Agreement, ...]:
    """One for each answer, by worker. Agreed is who has every field right that holds the money (`leaves.decisive`)."""
    return compared(answers, output, policy, plan(schema))


def wrong(output: Any, truth: Any, policy: ConsensusPolicy, schema: Mapping[str, Any] | None) -> bool:
    """For an audit: whether what was decided differs from QA's answer in a field that holds the money."""
    [found] = agreements([Answer(worker="decided", output=output)], truth, policy, schema)
    return not found.agreed


def compared(
    answers: Sequence[Answer], output: Any, policy: ConsensusPolicy, shape: Plan
) -> tuple[Agreement, ...]:
    return tuple(
        _one(answer, output, policy, shape) for answer in sorted(answers, key=lambda one: one.worker)
    )


def _one(answer: Answer, output: Any, policy: ConsensusPolicy, shape: Plan) -> Agreement:
    if answer.output == output and canonical(answer.output) == canonical(output):  # 1 == True in Python
        return Agreement(worker=answer.worker, agreed=True, share=1.0)
    node = tree(shape, {_RESULT: output, answer.worker: answer.output})
    held = decisive(shape, node)
    differs: dict[str, str] = {}
    agreed, both = True, 0
    for leaf in leaves(node):
        if _RESULT not in leaf.votes or answer.worker not in leaf.votes:
            continue  # the vote on the presence of what is around it tells
        both += 1
        mine, result = leaf.votes[answer.worker], leaf.votes[_RESULT]
        if not same(leaf, mine, result, policy.text_likeness):
            differs[leaf.pointer] = _sentence(leaf, mine, result)
            agreed = agreed and leaf.pointer not in held
    share = 1.0 - len(differs) / both if both else 1.0
    return Agreement(worker=answer.worker, agreed=agreed, share=share, differs=differs)


def same(leaf: Leaf, mine: Any, result: Any, likeness: float) -> bool:
    match leaf.kind:
        case FieldKind.CLOSED:
            return mine == result
        case FieldKind.NUMBER:
            return abs(mine - result) <= leaf.tolerance
        case FieldKind.EXACT | FieldKind.WHOLE:
            return text(leaf.kind, mine) == text(leaf.kind, result)
        case _:
            equal = text(leaf.kind, mine) == text(leaf.kind, result)
            return equal or likeness_of(leaf.kind, mine, result) >= likeness


def _sentence(leaf: Leaf, mine: Any, result: Any) -> str:
    if leaf.presence and leaf.options == (ABSENT, '"null"', GIVEN):
        said = {ABSENT: "left it out", GIVEN: "filled it in"}
        return f"you {said.get(mine, 'gave null')}, the result {said.get(result, 'is null')}"
    if leaf.presence:
        return f"you {'chose' if mine == IN else 'did not choose'} it, the result {'has' if result == IN else 'does not have'} it"
    if leaf.kind is FieldKind.WHOLE:
        return "it is not the same as the result"
    if leaf.kind is FieldKind.CLOSED:
        mine, result = json.loads(mine), json.loads(result)
    apart = (
        f", more than {leaf.tolerance:g} apart" if leaf.kind is FieldKind.NUMBER and leaf.tolerance else ""
    )
    return f"you gave {_short(mine)}, the result is {_short(result)}{apart}"


def _short(value: Any) -> str:
    shown = canonical(value)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
