"""The life of an assignment: one worker's turn at one task."""

from __future__ import annotations

from enum import StrEnum


class AssignmentState(StrEnum):
    OFFERED = "offered"  # shown to the worker, who has not answered; it holds their capacity
    ACCEPTED = "accepted"  # in the worker's hands
    SUBMITTED = "submitted"  # answered; the answer is being verified
    COUNTED = "counted"  # the answer passed and is paid; before it is, an operator may refuse it
    REFUSED = "refused"  # the answer did not pass; the worker sees why, and an upheld appeal turns it
    DECLINED = "declined"  # the worker said no to the offer
    RELEASED = "released"  # given back after accepting, without penalty
    LAPSED = "lapsed"  # time ran out, or the task ended; a late answer may still be taken


class AssignmentKind(StrEnum):
    PRIMARY = "primary"
    BACKUP = "backup"
    REDUNDANT = "redundant"  # asked the same as others, blind to them


LIVE = frozenset({AssignmentState.OFFERED, AssignmentState.ACCEPTED, AssignmentState.SUBMITTED})
HOLDS_CAPACITY = frozenset({AssignmentState.OFFERED, AssignmentState.ACCEPTED})

TRANSITIONS: dict[AssignmentState, frozenset[AssignmentState]] = {
    AssignmentState.OFFERED: frozenset(
        {AssignmentState.ACCEPTED, AssignmentState.DECLINED, AssignmentState.LAPSED}
    ),
    AssignmentState.ACCEPTED: frozenset(
        {AssignmentState.SUBMITTED, AssignmentState.RELEASED, AssignmentState.LAPSED}
    ),
    AssignmentState.SUBMITTED: frozenset(
        {AssignmentState.COUNTED, AssignmentState.REFUSED, AssignmentState.LAPSED}
    ),
    AssignmentState.COUNTED: frozenset(
        {AssignmentState.REFUSED}
    ),  # an operator confirmed a mark, before it was paid
    AssignmentState.REFUSED: frozenset({AssignmentState.COUNTED}),
    AssignmentState.DECLINED: frozenset(),
    AssignmentState.RELEASED: frozenset(),
    AssignmentState.LAPSED: frozenset({AssignmentState.SUBMITTED}),
}
