"""The life of one verification: the stages that one submission goes through."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    QUEUED = "queued"  # no stage has run
    RUNNING = "running"  # `stage` is the next one
    PASSED = "passed"  # every stage passed
    FAILED = "failed"  # a stage said no
    LAPSED = "lapsed"  # the task ended meanwhile


TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.PASSED, RunState.FAILED, RunState.LAPSED}),
    RunState.RUNNING: frozenset({RunState.RUNNING, RunState.PASSED, RunState.FAILED, RunState.LAPSED}),
    RunState.PASSED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.LAPSED: frozenset(),
}
