"""The port of a verification stage: it looks at the evidence and gives a verdict with reasons. Implemented in
`core/verification/stages/`, run by `core/verification/actions.py`. A stage is pure and deterministic: the same evidence
gives the same verdict, and whatever an answer contains, a verdict comes back and not an exception."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import msgspec

from core.tasks.types import TaskType
from core.verification.anomaly.model import Behaviour


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - the word of a verdict
    FAIL = "fail"
    UNSURE = "unsure"  # the stage cannot tell; such an answer is not given out before a person has looked


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why, for the worker and the operator. `code` is stable, `pointer` (RFC 6901) names the place in the answer."""

    code: str
    message: str
    pointer: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fail or unsure has at least one reason. `score` (0 to 1, 1 is best) and `evidence` (small, JSON) are for who has
    to understand the verdict later: an operator, a reviewer, a worker who appeals."""

    stage: str
    outcome: Outcome
    reasons: list[Reason] = []
    score: float | None = None
    evidence: dict[str, Any] | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage may look at: the question, the answer and what kind of question it is. `task` has what rules may read
    of the task itself (see `task_facts`), `behaviour` how the answer came about, where that is wanted."""

    payload: dict[str, Any]
    output: Any
    output_schema: dict[str, Any]
    task_type: TaskType
    task: dict[str, Any] = {}
    behaviour: Behaviour | None = None


class Stage(Protocol):
    @property
    def name(self) -> str: ...

    def judge(self, evidence: Evidence) -> Verdict: ...
