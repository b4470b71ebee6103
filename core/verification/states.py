"""The lives of verification: the stages that one submission goes through, what a person has to decide, a gold item, and
one worker's turn at it."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    QUEUED = "queued"  # no stage has run
    RUNNING = "running"  # `stage` is the next one
    NEEDS_ANSWER = "needs_answer"  # good so far; waits for what others answer to the same question
    NEEDS_QA = "needs_qa"  # waits for a reviewer
    PASSED = "passed"  # the answer counts and is paid
    FAILED = "failed"  # a stage, the other answers or a reviewer said no; an upheld appeal turns it
    LAPSED = "lapsed"  # the task ended meanwhile


_WAITING = {RunState.NEEDS_ANSWER, RunState.NEEDS_QA}
_ENDS = {RunState.PASSED, RunState.FAILED, RunState.LAPSED}

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, *_ENDS}),
    RunState.RUNNING: frozenset({RunState.RUNNING, *_WAITING, *_ENDS}),
    RunState.NEEDS_ANSWER: frozenset({*_WAITING, *_ENDS}),
    RunState.NEEDS_QA: frozenset({*_WAITING, *_ENDS}),
    RunState.PASSED: frozenset(),
    RunState.FAILED: frozenset({RunState.PASSED}),
    RunState.LAPSED: frozenset(),
}


class ReviewState(StrEnum):
    OPEN = "open"  # waits for a reviewer
    DECIDED = "decided"  # a reviewer has judged, for good
    LAPSED = "lapsed"  # nobody decided in time, or the task ended


REVIEW_TRANSITIONS: dict[ReviewState, frozenset[ReviewState]] = {
    ReviewState.OPEN: frozenset({ReviewState.DECIDED, ReviewState.LAPSED}),
    ReviewState.DECIDED: frozenset(),
    ReviewState.LAPSED: frozenset(),
}


class GoldState(StrEnum):
    ACTIVE = "active"  # is asked of workers
    RETIRED = "retired"  # seen by as many as may see it, taken out by an operator, or found wrong


GOLD_TRANSITIONS: dict[GoldState, frozenset[GoldState]] = {
    GoldState.ACTIVE: frozenset({GoldState.RETIRED}),
    GoldState.RETIRED: frozenset(),
}


class ExposureState(StrEnum):
    ASKED = "asked"  # offered to the worker, or in their hands
    JUDGED = "judged"  # answered and compared with the known answer
    DISPUTED = "disputed"  # the worker says that the known answer is wrong
    UNDONE = "undone"  # the dispute, or another's about the same item, was upheld: it counts for nothing


EXPOSURE_TRANSITIONS: dict[ExposureState, frozenset[ExposureState]] = {
    ExposureState.ASKED: frozenset({ExposureState.JUDGED}),
    ExposureState.JUDGED: frozenset({ExposureState.DISPUTED, ExposureState.UNDONE}),
    ExposureState.DISPUTED: frozenset({ExposureState.JUDGED, ExposureState.UNDONE}),
    ExposureState.UNDONE: frozenset(),
}
