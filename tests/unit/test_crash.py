"""Crash points (`core/crash.py`): the process dies by SIGKILL where the environment says, at that passing, nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core import crash

PASSING = """
from core import crash
for number in range(3):
    for point in ("tasks.create:before", "tasks.create:after"):
        crash.reach(point)
        print(number, point, flush=True)
"""


def passed(crash_at: str | None) -> tuple[int, list[str]]:
    """The exit code, and the points that were passed alive."""
    environment = {name: value for name, value in os.environ.items() if name != "HUB_CRASH_AT"}
    if crash_at is not None:
        environment["HUB_CRASH_AT"] = crash_at
    done = subprocess.run(
        [sys.executable, "-c", PASSING],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("crash_at", [None, "", "tasks.verify:before", "tasks.create:before:4"])
def test_without_a_wish_nothing_happens(crash_at: str | None) -> None:
    code, lines = passed(crash_at)
    assert code == 0
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("crash_at", "alive"),
    [
        ("tasks.create:before", 0),
        ("tasks.create:before:1", 0),
        ("tasks.create:after", 1),
        ("tasks.create:before:2", 2),
        ("tasks.create:after:3", 5),
    ],
)
def test_it_dies_at_the_wished_passing(crash_at: str, alive: int) -> None:
    code, lines = passed(crash_at)
    assert code == -signal.SIGKILL
    assert len(lines) == alive


def test_every_name_has_two_points() -> None:
    assert len(crash.POINTS) == 2 * (len(crash.TRANSACTIONS) + len(crash.CALLS))
    assert len(set(crash.POINTS)) == len(crash.POINTS)
    assert {"tasks.verify:before", "tasks.verify:after", "rail.pay:before", "rail.pay:after"} <= set(
        crash.POINTS
    )


def test_a_point_passes_in_no_time_when_nobody_wishes() -> None:
    assert crash.reach("tasks.create:before") is None
