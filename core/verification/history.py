"""Takes in what people answered before they came here (or in a round of practice), each with the time it took: it goes
through the same stages, the same decision and the same detectors as an answer of today. Called by `hub demo`; for
questions that pay nothing, since what was paid elsewhere is not owed here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from core import clock, ids
from core.billing.plans import Plans
from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.routing.assignments import task_for_update
from core.routing.endings import fail
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment, Submission
from core.tasks.changes import change
from core.tasks.states import ENDED, TaskStatus
from core.tasks.types import TaskTypes
from core.verification.actions import judge_recorded
from core.verification.decide import decide, facing
from core.verification.fold import Decision


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as it was recorded: by whom, what, and how many seconds after the question was taken."""

    worker: str
    output: Any
    seconds: float


async def take_in(
    tx: Transaction, task_id: str, answers: Sequence[Past], types: TaskTypes, plans: Plans
) -> Decision | None:
    """All answers to one posted question, in the order of their coming, and what follows from them. Raises Invalid for a
    question that pays: its answers are earned here, or nowhere."""
    task = await task_for_update(tx, task_id)
    if task.payout_amount:
        raise Invalid("history_pays", "Recorded answers are taken in for questions that pay nothing")
    now = clock.from_ms(await tx.now_ms())
    task.answers_wanted = min(max(task.answers_wanted, len(answers)), task.answers_max)
    await change(tx, task, TaskStatus.SUBMITTED, actor="hub")
    submissions: list[str] = []
    for slot, one in enumerate(answers):
        began = now - timedelta(seconds=one.seconds)
        turn = Assignment(
            id=ids.new("asg"),
            task_id=task.id,
            worker_id=one.worker,
            slot=slot,
            kind=str(AssignmentKind.REDUNDANT if slot else AssignmentKind.PRIMARY),
            state=str(AssignmentState.SUBMITTED),
            score=0.0,
            offered_at=began,
            accepted_at=began,
            expires_at=now,
            due_at=now,
        )
        tx.session.add(turn)
        await tx.session.flush()
        given = Submission(
            id=ids.new("sub"),
            assignment_id=turn.id,
            task_id=task.id,
            worker_id=one.worker,
            output=one.output,
            created_at=now,
        )
        tx.session.add(given)
        submissions.append(given.id)
    await tx.session.flush()
    for submission in submissions:
        await judge_recorded(tx, submission, types, plans)
    decision = await decide(tx, await facing(tx, task, types, plans), None, closing=True)
    if task.status not in ENDED:  # nobody is asked again what is past
        await fail(tx, task, "The recorded answers came to nothing")
    return decision
