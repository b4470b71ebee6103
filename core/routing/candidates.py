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
    rows = await turns(session, [task.id for task, _ in tasks])
    of_task: dict[str, list[Any]] = {task.id: [] for task, _ in tasks}
    for row in rows:
        of_task[row[0]].append(row)
    return [asked_of(task, kind, policy, of_task[task.id]) for task, kind in tasks]


def asked_of(task: Task, kind: TaskType, policy: Policy, rows: Sequence[Any]) -> Asked:
    """`rows` are the turns of this task (`statements.TURNS`)."""
    return Asked(
        question=Question(
            task_id=task.id,
            environment=task.environment,
            skills=frozenset(task.skills) | frozenset(kind.skills),
            minimum_tier=policy.tier_for(task.risk_tier),
            payout_msat=task.payout_msat,
            had=frozenset(worker_id for _, worker_id, *_ in rows),
            addresses=frozenset(address for _, _, address, *_ in rows if address is not None),
        ),
        taken=frozenset(slot for *_, slot, state in rows if state in _LIVE),
    )


async def able(session: AsyncSession, question: Question, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who may take the task. Beyond `policy.candidates` people only the most reliable are looked at."""
    return able_of(question, await free_workers(session, question, policy.candidates), now_ms)


def able_of(question: Question, rows: Sequence[Any], now_ms: int) -> list[Candidate]:
    found = [_candidate(row, now_ms) for row in rows]
    return [worker for worker in found if may_take(question, worker)]


async def free(session: AsyncSession, environment: str, now_ms: int, policy: Policy) -> list[Candidate]:
    """Who could take anything at all now."""
    anything = Question(
        task_id="", environment=environment, skills=frozenset(), minimum_tier=0, payout_msat=_ANY_PAYOUT
    )
    return [_candidate(row, now_ms) for row in await free_workers(session, anything, policy.candidates)]


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
