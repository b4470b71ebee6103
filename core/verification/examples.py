"""Runs the examples beside a task type: one answer each, with what its checks shall say. Pure; called by `hub task-types test`
and by tests, so that a changed rule is seen before the first answer."""

from __future__ import annotations

import msgspec

from core.errors import Misconfigured
from core.tasks.types import Example, TaskType
from core.verification.pipeline import Failed, NextStage, after
from core.verification.stage import Evidence, Reason, Verdict
from core.verification.stages import stage

_PURE = ("schema", "rules")  # what one answer says of itself; the others need a history


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One example: what came out, and whether that was expected."""

    name: str
    outcome: str
    reasons: list[Reason]
    expected: bool


def run(kind: TaskType) -> list[Ran]:
    """Every example of the type, in order. Raises Misconfigured for two of one name."""
    names = [example.name for example in kind.examples]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Misconfigured("example_twice", f"task type {kind.name!r}: two examples are called {twice!r}")
    return [_run(kind, example) for example in kind.examples]


def _run(kind: TaskType, example: Example) -> Ran:
    evidence = Evidence(
        payload=example.payload,
        output=example.output,
        output_schema=example.schema or kind.output_schema or {"type": "object"},
        task_type=kind,
        task=example.task,
    )
    stages = [name for name in kind.stages if name in _PURE]
    verdicts: list[Verdict] = []
    while isinstance(step := after(stages, verdicts), NextStage):
        verdicts.append(stage(step.name).judge(evidence))
    reasons = step.reasons if isinstance(step, Failed) else step.unsure
    outcome = "fail" if isinstance(step, Failed) else "unsure" if step.unsure else "pass"
    codes = sorted({reason.code for reason in reasons})
    expected = outcome == example.expect and codes == sorted(set(example.reasons))
    return Ran(name=example.name, outcome=outcome, reasons=reasons, expected=expected)
