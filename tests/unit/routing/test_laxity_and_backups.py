"""The order of waiting tasks, and whether a backup is affordable."""

from __future__ import annotations

import pytest

from core.routing.backups import Backups, Budget, NoBackup, refusal
from core.routing.laxity import Waiting, ordered

RULES = Backups(share_percent=10, burst=3, busy_percent=85)


def a_task(name: str, *, created: int, sla: int, typical: int = 60, value: int = 1) -> Waiting:
    return Waiting(
        task_id=name,
        created_at_ms=created * 1000,
        expires_at_ms=(created + sla) * 1000,
        sla_ms=sla * 1000,
        typical_ms=typical * 1000,
        value=value,
    )


def names(*tasks: Waiting, now: int) -> list[str]:
    return [one.task_id for one in ordered(tasks, now * 1000)]


def test_least_laxity_first_then_hopeless_then_late() -> None:
    assert names(
        a_task("late", created=0, sla=90),
        a_task("hopeless", created=60, sla=60, typical=300),
        a_task("loose", created=90, sla=900),
        a_task("tight", created=90, sla=100),
        now=100,
    ) == ["tight", "loose", "hopeless", "late"]


def test_long_work_is_tighter_than_short_work_with_the_same_deadline() -> None:
    short, long = a_task("short", created=0, sla=600), a_task("long", created=0, sla=600, typical=500)
    assert names(short, long, now=10) == ["long", "short"]


def test_the_dearer_breaks_a_tie_and_what_starves_goes_first() -> None:
    cheap, dear = a_task("cheap", created=0, sla=600), a_task("dear", created=0, sla=600, value=2)
    starved = a_task("starved", created=0, sla=100)
    assert names(cheap, dear, now=10) == ["dear", "cheap"]
    assert names(cheap, starved, now=299) == ["cheap", "starved"]
    assert names(cheap, starved, now=300) == ["starved", "cheap"]


@pytest.mark.parametrize(
    ("budget", "free", "waiting", "expected"),
    [
        (Budget(capacity=10), 2, 1, None),
        (Budget(capacity=10), 0, 0, NoBackup.NOBODY_FREE),
        (Budget(capacity=10), 2, 2, NoBackup.NEEDED_ELSEWHERE),
        (Budget(load=85, capacity=100), 9, 0, None),
        (Budget(load=86, capacity=100), 9, 0, NoBackup.BUSY),
        (Budget(assigned=10, backups=2, capacity=10), 9, 0, None),  # the burst
        (Budget(assigned=10, backups=3, capacity=10), 9, 0, NoBackup.SPENT),
        (Budget(assigned=50, backups=4, capacity=10), 9, 0, None),  # a tenth
        (Budget(assigned=50, backups=5, capacity=10), 9, 0, NoBackup.SPENT),
    ],
)
def test_a_backup_is_paid_from_the_budget(
    budget: Budget, free: int, waiting: int, expected: NoBackup | None
) -> None:
    assert refusal(RULES, [Budget(capacity=1), budget], free, waiting) == expected
