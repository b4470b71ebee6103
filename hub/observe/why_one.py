"""What the kept decisions do not tell of a task: why there is none, and why one worker, named, may take it or not as things
are now. Used by `hub task why` and the operator's page of a task."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.access.tables import Person
from core.errors import NotFound
from core.routing.candidates import questions
from core.routing.eligible import SENTENCES, refusals
from core.routing.house import for_one_alone
from core.routing.model import Policy
from core.routing.people import named_workers
from core.routing.queries import of_task as assignments_of
from core.tasks.states import ENDED, TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes

_DAY_MS = 86_400_000


async def untold(session: AsyncSession, task: Task, policy: Policy) -> str:
    """Why no decision on this task is kept, in a sentence."""
    if for_one_alone(task):
        return "Nobody was chosen: the answer is known, and it is asked of one worker alone."
    old = clock.now_ms() - clock.to_ms(task.created_at) > policy.decisions_days * _DAY_MS
    if old or await assignments_of(session, task.id):
        return f"The reasons are forgotten: they are kept for {policy.decisions_days} days."
    if task.status in ENDED:
        return f"Nobody was looked for: it was {task.status} before."
    if not task.funded:
        return "Nobody is looked for yet: it waits for funds of its organisation."
    return "Nobody has been looked for yet: that is done within a second while `hub up` or `hub work` runs."


async def lines(session: AsyncSession, task: Task, who: str, types: TaskTypes, policy: Policy) -> list[str]:
    """For the worker with the id or e-mail address `who`: whether they may take the task as things are now, every reason why
    not, and the turns that they had at it. Raises NotFound."""
    wanted = who.strip()
    person = await session.get(Person, wanted) or await session.scalar(
        select(Person).where(Person.email == wanted.lower())
    )
    [asked] = await questions(session, [(task, types.of(task.task_type))], policy)
    found = (
        [] if person is None else await named_workers(session, asked.question, [person.id], clock.now_ms())
    )
    if person is None or not found:
        raise NotFound("unknown_worker", f"No worker has the id or e-mail address {wanted[:320]}")
    name = f"{person.name} ({person.id})"
    reasons = refusals(asked.question, found[0])
    told = [
        f"{name} may take it as things are now."
        if not reasons
        else f"{name} may not take it as things are now. They"
    ]
    told += [f"  {SENTENCES[reason]} ({reason})" for reason in reasons]
    if task.status in ENDED:
        told.append(f"It is over: {task.status}.")
    elif task.status == TaskStatus.POSTED and not task.funded:
        told.append("Nobody may have it yet: it waits for funds of its organisation.")
    for turn in await assignments_of(session, task.id):
        if turn.worker_id == person.id:
            why = f", {turn.reason}" if turn.reason else ""
            told.append(f"{clock.iso(turn.offered_at)}  {turn.kind} in slot {turn.slot}: {turn.state}{why}")
    return told
