"""Loads what a task asks for: its question, with the people who had it before. Used by `core/routing/offering.py`,
`at_once.py` and `core/routing/waiting.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.routing.model import Candidate, Policy, Question
from core.routing.people import free_workers
from core.routing.statements import askers, turns
from core.routing.states import LIVE
from core.tasks.tables import Task
from core.tasks.types import TaskType

_ANY_PAYOUT = 2**63 - 1
_LIVE = frozenset(str(state) for state in LIVE)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A task's question, and the slots in which somebody has it now."""

    question: Question
    taken: frozenset[int]

    @property
    def free_slot(self) -> int:
        return min(set(range(len(self.taken) + 1)) - self.taken)


class Asker(NamedTuple):
    """What routing reads of an organisation: its plan, and whether it takes only people whom it has named."""

    plan: str
    allow_listed: bool


async def questions(
    session: AsyncSession, tasks: Sequence[tuple[Task, TaskType]], policy: Policy
) -> list[Asked]:
    """What each task asks, with the people who had it before; in the order given, two queries for all."""
    of_task: dict[str, list[Any]] = {task.id: [] for task, _ in tasks}
    for row in await turns(session, [task.id for task, _ in tasks]):
        of_task[row[0]].append(row[1:])
    found = await askers(session, sorted({task.organisation_id for task, _ in tasks}))
    by_id: Mapping[str, Asker] = {row[0]: Asker(row[1], bool(row[2])) for row in found}
    return [
        asked_of(task, kind, policy, of_task[task.id], by_id[task.organisation_id]) for task, kind in tasks
    ]


def asked_of(task: Task, kind: TaskType, policy: Policy, rows: Sequence[Any], asker: Asker) -> Asked:
    """`rows` are the turns of this task: worker, where they are paid, their cluster, slot, state."""
    return Asked(
        question=Question(
            task_id=task.id,
            environment=task.environment,
            skills=frozenset(task.skills) | frozenset(kind.skills),
            minimum_tier=policy.tier_for(task.risk_tier),
            payout_msat=task.payout_msat,
            task_type=task.task_type,
            risk=task.risk_tier,
            organisation_id=task.organisation_id,
            language=task.language or kind.language,
            experts_from=policy.expert_tier if asker.plan in policy.of_experts else None,
            allow_listed=asker.allow_listed,
            had=frozenset(row[0] for row in rows),
            addresses=frozenset(row[1] for row in rows if row[1] is not None),
            clusters=frozenset(row[2] for row in rows if row[2] is not None),
        ),
        taken=frozenset(row[3] for row in rows if row[4] in _LIVE),
    )


async def free(session: AsyncSession, environment: str, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who could take anything at all now."""
    anything = Question(
        task_id="", environment=environment, skills=frozenset(), minimum_tier=0, payout_msat=_ANY_PAYOUT
    )
    return await free_workers(session, anything, now_ms, policy.candidates)
