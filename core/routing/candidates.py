"""Loads what `eligible` and `score` decide on, in two queries that already leave out most who cannot take the task.
Used by `core/routing/offering.py` and `core/routing/waiting.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.routing.eligible import may_take
from core.routing.model import Candidate, Policy, Question
from core.routing.statements import free_workers, turns
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


async def questions(
    session: AsyncSession, tasks: Sequence[tuple[Task, TaskType]], policy: Policy
) -> list[Asked]:
    """What each task asks, with the people who had it before; in the order given, one query for all."""
    had: dict[str, set[str]] = {task.id: set() for task, _ in tasks}
    addresses: dict[str, set[str]] = {task.id: set() for task, _ in tasks}
    taken: dict[str, set[int]] = {task.id: set() for task, _ in tasks}
    for task_id, worker_id, address, slot, state in await turns(session, list(had)):
        had[task_id].add(worker_id)
        if address is not None:
            addresses[task_id].add(address)
        if state in _LIVE:
            taken[task_id].add(slot)
    return [
        Asked(
            question=Question(
                task_id=task.id,
                environment=task.environment,
                skills=frozenset(task.skills) | frozenset(kind.skills),
                minimum_tier=policy.tier_for(task.risk_tier),
                payout_msat=task.payout_msat,
                had=frozenset(had[task.id]),
                addresses=frozenset(addresses[task.id]),
            ),
            taken=frozenset(taken[task.id]),
        )
        for task, kind in tasks
    ]


async def able(session: AsyncSession, question: Question, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who may take the task. Beyond `policy.candidates` people only the most reliable are looked at."""
    rows = await free_workers(
        session,
        question.environment,
        tier=question.minimum_tier,
        payout_msat=question.payout_msat,
        not_of=question.task_id,
        skills=question.skills,
        limit=policy.candidates,
    )
    found = [_candidate(row, now_ms) for row in rows]
    return [worker for worker in found if may_take(question, worker)]


async def free(session: AsyncSession, environment: str, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who could take anything at all now."""
    rows = await free_workers(
        session,
        environment,
        tier=0,
        payout_msat=_ANY_PAYOUT,
        not_of="",
        skills=(),
        limit=policy.candidates,
    )
    return [_candidate(row, now_ms) for row in rows]


def _candidate(row: Any, now_ms: int) -> Candidate:
    name, environment, available, tier, reliability, floor, capacity, load, address, idle_since, skills = row
    return Candidate(
        worker_id=name,
        environment=environment,
        available=bool(available),
        skills=frozenset(msgspec.json.decode(skills, type=list[str]) if skills else ()),
        tier=tier,
        reliability=reliability,
        price_floor_msat=floor,
        capacity=capacity,
        load=load,
        payout_address=address,
        idle_seconds=(now_ms - idle_since) / 1000,
    )
