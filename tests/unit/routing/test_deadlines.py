"""What is owed to a task, by the clock and its state alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.routing.deadlines import Deadlines, Held, Owed, overdue, owed, timers
from core.routing.states import AssignmentState
from core.tasks.states import TaskStatus

# created at 0, SLA 100 s, hard stop at 400 s
TASK = Deadlines(sla_ms=100_000, expires_at_ms=100_000, hard_stop_at_ms=400_000, reroutes=0, max_reroutes=2)
OFFERED = Held(id="a", state=AssignmentState.OFFERED, due_at_ms=100_000)
ACCEPTED = Held(id="b", state=AssignmentState.ACCEPTED, due_at_ms=100_000)
ANSWERED = Held(id="c", state=AssignmentState.SUBMITTED, due_at_ms=100_000)
ASSIGNED, POSTED, SUBMITTED = TaskStatus.ASSIGNED, TaskStatus.POSTED, TaskStatus.SUBMITTED


def task(**change: Any) -> Deadlines:
    return msgspec.structs.replace(TASK, **change)


@pytest.mark.parametrize(
    ("now_ms", "status", "held", "expected"),
    [
        (0, ASSIGNED, [ACCEPTED], Owed.NOTHING),
        (79_999, ASSIGNED, [ACCEPTED], Owed.NOTHING),
        (80_000, ASSIGNED, [ACCEPTED], Owed.BACKUP),
        (80_000, ASSIGNED, [OFFERED], Owed.BACKUP),
        (99_999, ASSIGNED, [OFFERED, ACCEPTED], Owed.NOTHING),  # has a backup
        (80_000, POSTED, [], Owed.NOTHING),  # nobody to stand beside
        (80_000, SUBMITTED, [ANSWERED], Owed.NOTHING),
        (100_000, ASSIGNED, [ACCEPTED], Owed.TAKE_BACK),
        (100_000, SUBMITTED, [ANSWERED, ACCEPTED], Owed.TAKE_BACK),
        (100_000, SUBMITTED, [ANSWERED], Owed.NOTHING),
        (100_000, POSTED, [], Owed.NOTHING),
        (399_999, POSTED, [], Owed.NOTHING),
        (400_000, POSTED, [], Owed.EXPIRE),
        (400_000, ASSIGNED, [ACCEPTED], Owed.EXPIRE),
        (400_000, SUBMITTED, [ANSWERED, ACCEPTED], Owed.CLOSE),
        (999_999, TaskStatus.VERIFIED, [], Owed.NOTHING),
        (999_999, TaskStatus.CANCELLED, [], Owed.NOTHING),
    ],
)
def test_owed(now_ms: int, status: TaskStatus, held: list[Held], expected: Owed) -> None:
    assert owed(now_ms, TASK, status, held) == expected


def test_who_is_not_yet_due_keeps_it() -> None:
    later = Held(id="d", state=AssignmentState.ACCEPTED, due_at_ms=200_000)
    assert overdue(100_000, TASK, [ACCEPTED, later, ANSWERED]) == ["b"]


def test_reroutes_used_up() -> None:
    spent = task(reroutes=2)
    assert owed(150_000, spent, ASSIGNED, [OFFERED, ACCEPTED]) == Owed.NOTHING
    assert spent.due_ms(50_000) == 400_000


@pytest.mark.parametrize(
    ("now_ms", "due_ms"),
    [(0, 100_000), (99_999, 100_000), (100_000, 200_000), (250_000, 300_000), (399_999, 400_000)],
)
def test_due_is_the_end_of_the_round(now_ms: int, due_ms: int) -> None:
    assert TASK.due_ms(now_ms) == due_ms


def test_due_never_passes_the_hard_stop() -> None:
    assert task(hard_stop_at_ms=150_000).due_ms(120_000) == 150_000


def test_timers_of_each_round() -> None:
    assert [(t.topic, t.key, t.at_ms) for t in timers("T", TASK, 0)] == [
        ("task.at_80", "task:T:80", 80_000),
        ("task.hard_stop", "task:T:stop", 400_000),
        ("task.at_100", "task:T:100:0", 100_000),
    ]
    assert timers("T", TASK, 250_000)[2].key == "task:T:100:2"
    assert timers("T", TASK, 250_000)[2].at_ms == 300_000
    assert len(timers("T", TASK, 300_000)) == 2  # the next would be the hard stop itself


def test_eighty_percent_of_an_odd_sla_is_exact() -> None:
    assert task(sla_ms=33_333, expires_at_ms=33_333).backup_at_ms == 33_333 - 6_666
