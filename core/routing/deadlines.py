"""When something is owed to a task: a backup, taking it back, its end. Pure; `core/routing/sla.py` asks it whenever a
timer rings, `core/routing/offering.py` when somebody is given the task.

    created ──── 80 %, or worry ─ 100 % ───────── 200 % ─ … ─ hard stop
                       backup     taken back      taken back   expired

A round is one SLA long. Who is offered the task in a round has until the end of that round; once `max_reroutes` are
used up, until the hard stop. Times are milliseconds UTC on the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from core.routing.states import HOLDS_CAPACITY, AssignmentState
from core.tasks.states import ENDED, TaskStatus

BACKUP_AT_PERCENT = 80


def backup_at(expires_at_ms: int, sla_ms: int) -> int:
    return expires_at_ms - sla_ms * (100 - BACKUP_AT_PERCENT) // 100


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """The clock of one task; `expires_at_ms` is 100 % of its first round."""

    sla_ms: int
    expires_at_ms: int
    hard_stop_at_ms: int
    reroutes: int
    max_reroutes: int

    @property
    def backup_at_ms(self) -> int:
        return backup_at(self.expires_at_ms, self.sla_ms)

    def round_at(self, now_ms: int) -> int:
        """0 until 100 % of the SLA, 1 until 200 %, and so on."""
        return 0 if now_ms < self.expires_at_ms else 1 + (now_ms - self.expires_at_ms) // self.sla_ms

    def round_end_ms(self, number: int) -> int:
        return self.expires_at_ms + number * self.sla_ms

    def due_ms(self, now_ms: int) -> int:
        """Until when somebody who is offered the task now may keep it."""
        if self.reroutes >= self.max_reroutes:
            return self.hard_stop_at_ms
        return min(self.round_end_ms(self.round_at(now_ms)), self.hard_stop_at_ms)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A living assignment as the clock sees it. From `worry_at_ms` on its answer is likely to be late."""

    id: str
    state: AssignmentState
    due_at_ms: int
    worry_at_ms: int | None = None


class Owed(StrEnum):
    NOTHING = "nothing"
    BACKUP = "backup"  # 80 %, or likely late: a second person is offered the task beside the first
    TAKE_BACK = "take_back"  # 100 %: who is overdue loses it, and it is routed anew
    CLOSE = "close"  # the hard stop, with an answer in hand: nobody else may answer, the answer is judged
    EXPIRE = "expire"  # the hard stop


def owed(now_ms: int, task: Deadlines, status: TaskStatus, held: Iterable[Held]) -> Owed:
    """What is owed now. It depends on the clock and the state alone, never on which timer rang, so that an early, a
    late and a doubled timer do no harm."""
    if status in ENDED:
        return Owed.NOTHING
    if now_ms >= task.hard_stop_at_ms:
        return Owed.CLOSE if status == TaskStatus.SUBMITTED else Owed.EXPIRE
    working = [one for one in held if one.state in HOLDS_CAPACITY]
    if overdue(now_ms, task, working):
        return Owed.TAKE_BACK
    if (
        status == TaskStatus.ASSIGNED
        and len(working) == 1
        and late_alone(now_ms, task.backup_at_ms, working[0])
    ):
        return Owed.BACKUP
    return Owed.NOTHING


def late_alone(now_ms: int, backup_at_ms: int, one: Held) -> bool:
    """Whether somebody should stand beside this one, who has the task alone."""
    return now_ms >= backup_at_ms or (one.worry_at_ms is not None and now_ms >= one.worry_at_ms)


def overdue(now_ms: int, task: Deadlines, held: Iterable[Held]) -> list[str]:
    """The ids of those who are past their time; nobody, once the reroutes are used up."""
    if task.reroutes >= task.max_reroutes:
        return []
    return [one.id for one in held if one.state in HOLDS_CAPACITY and one.due_at_ms <= now_ms]


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox row that rings at `at_ms`; its key makes it one row however often it is set."""

    topic: str
    key: str
    at_ms: int


def timers(task_id: str, task: Deadlines, now_ms: int) -> list[Timer]:
    """The alarms of the round that `now_ms` is in. Setting them again is harmless."""
    number = task.round_at(now_ms)
    result = [
        Timer(topic="task.at_80", key=f"task:{task_id}:80", at_ms=task.backup_at_ms),
        Timer(topic="task.hard_stop", key=f"task:{task_id}:stop", at_ms=task.hard_stop_at_ms),
    ]
    if task.round_end_ms(number) < task.hard_stop_at_ms:
        key = f"task:{task_id}:100:{number}"
        result.append(Timer(topic="task.at_100", key=key, at_ms=task.round_end_ms(number)))
    return result
