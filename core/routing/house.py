"""The hub's own organisation: it asks gold. A task of it is for one worker alone, so that routing offers it to nobody else
and ends it when that worker lets it go. It keeps the times of real ones: whoever compares moments to the millisecond (of
ids, offers, deadlines, outcomes) sees what they see of any other task."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.tasks.tables import Task

GOLD_ORGANISATION = "hub_gold"
_LOOKED_AT = 30  # of the worker's last turns at real tasks
_SPREAD = 25  # percent: a moment of theirs is never seen twice
_AT_ONCE_MS = 1_000  # what is judged within it needs no waiting: gold takes as long by itself

_TIMES = f"""
    SELECT a.offered_at - t.created_at, CASE WHEN a.state = 'counted' AND t.task_type = $2 AND t.risk_tier = $3
        THEN a.ended_at - s.created_at END
    FROM assignments a JOIN tasks t ON t.id = a.task_id LEFT JOIN submissions s ON s.assignment_id = a.id
    WHERE a.worker_id = $1 AND t.organisation_id <> '{GOLD_ORGANISATION}' AND a.offered_at < t.expires_at
    ORDER BY a.id DESC LIMIT {_LOOKED_AT}"""  # noqa: S608 - names of ours


def for_one_alone(task: Task) -> bool:
    return task.organisation_id == GOLD_ORGANISATION


async def age_like_real_ms(tx: Transaction, worker_id: str, like: Task) -> int:
    """How old a task of the hub's own shall be when this worker gets it: as one of their last ones was, more or less."""
    ages = [row[0] for row in await _times(tx, worker_id, like) if row[0] is not None]
    return min(_one_of(ages), like.sla_seconds * 1000 // 2)


async def wait_like_real_ms(tx: Transaction, worker_id: str, task: Task) -> int:
    """How long the answer to a task of the hub's own shall wait for its judgement: as their last ones of this type and risk
    did (for other people's answers, for a reviewer), more or less. 0 where those were judged at once."""
    waits = [row[1] for row in await _times(tx, worker_id, task) if row[1] is not None]
    left = clock.to_ms(task.hard_stop_at) - await tx.now_ms()
    wait = _one_of(waits)
    return min(wait, max(0, left)) if wait >= _AT_ONCE_MS else 0


async def _times(tx: Transaction, worker_id: str, like: Task) -> Sequence[Sequence[int | None]]:
    values = (worker_id, like.task_type, like.risk_tier)
    return (await tx.execute(for_dialect(_TIMES, tx.dialect), values)).all()


def _one_of(times: Sequence[int]) -> int:
    if not times:
        return 0
    percent = 100 - _SPREAD + secrets.randbelow(2 * _SPREAD + 1)
    return max(0, secrets.choice(times)) * percent // 100
