"""The lives of a suspension, an appeal and an attempt at a quiz."""

from __future__ import annotations

from enum import StrEnum


class SuspensionState(StrEnum):
    IN_FORCE = "in_force"  # the worker gets nothing new; what they have earned is paid
    LIFTED = "lifted"  # by an operator, or because an appeal was right


class AppealState(StrEnum):
    OPEN = "open"  # waits for another operator than the one it is against
    GRANTED = "granted"  # the suspension is lifted, or the tier given back
    REFUSED = "refused"  # it stays as it was; the worker reads why


class QuizState(StrEnum):
    OPEN = "open"  # the questions are drawn and the clock runs
    PASSED = "passed"  # the skill is granted
    FAILED = "failed"  # too few were right; another try after the cool-down
    LAPSED = "lapsed"  # the time was over before anything was sent; counts as a try


SUSPENSION_TRANSITIONS: dict[SuspensionState, frozenset[SuspensionState]] = {
    SuspensionState.IN_FORCE: frozenset({SuspensionState.LIFTED}),
    SuspensionState.LIFTED: frozenset(),
}
APPEAL_TRANSITIONS: dict[AppealState, frozenset[AppealState]] = {
    AppealState.OPEN: frozenset({AppealState.GRANTED, AppealState.REFUSED}),
    AppealState.GRANTED: frozenset(),
    AppealState.REFUSED: frozenset(),
}
QUIZ_TRANSITIONS: dict[QuizState, frozenset[QuizState]] = {
    QuizState.OPEN: frozenset({QuizState.PASSED, QuizState.FAILED, QuizState.LAPSED}),
    QuizState.PASSED: frozenset(),
    QuizState.FAILED: frozenset(),
    QuizState.LAPSED: frozenset(),
}
