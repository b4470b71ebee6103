"""What the verification works on: a task with what its answers need, and one answer with its run. Data only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.verification.policy import Requirement
from core.verification.stage import Verdict

if TYPE_CHECKING:
    from core.billing.plans import Plan
    from core.routing.tables import Assignment, Submission
    from core.tasks.tables import Task
    from core.tasks.types import TaskType, TaskTypes
    from core.verification.tables import VerificationRun


class Facing(msgspec.Struct, frozen=True, kw_only=True):
    """One task under its lock: its type, the plan of its organisation, and the checks that are in force."""

    task: Task
    kind: TaskType
    plan: Plan
    needed: Requirement
    types: TaskTypes


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that has been through its stages."""

    submission: Submission
    assignment: Assignment
    run: VerificationRun
    verdicts: list[Verdict]
