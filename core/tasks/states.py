"""The life of a task, in the words of the published API."""

from __future__ import annotations

from enum import StrEnum


class TaskStatus(StrEnum):
    POSTED = "posted"  # waits for a worker (or for funds)
    ASSIGNED = "assigned"  # offered to, or in the hands of, at least one worker
    SUBMITTED = "submitted"  # an answer is being verified
    VERIFIED = "verified"  # the answer passed every stage; it is in `output`
    FAILED = "failed"  # no answer passed within the task type's limit; `failureReason` says why
    CANCELLED = "cancelled"  # the asker, or the source, withdrew it
    EXPIRED = "expired"  # the hard stop came first


OPEN = frozenset({TaskStatus.POSTED, TaskStatus.ASSIGNED, TaskStatus.SUBMITTED})
ENDED = frozenset(TaskStatus) - OPEN
CANCELLABLE = frozenset({TaskStatus.POSTED, TaskStatus.ASSIGNED})

TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.POSTED: frozenset(
        {
            TaskStatus.ASSIGNED,
            TaskStatus.SUBMITTED,  # a late answer of somebody from whom it was taken back
            TaskStatus.FAILED,
            TaskStatus.CANCELLED,
            TaskStatus.EXPIRED,
        }
    ),
    TaskStatus.ASSIGNED: frozenset(
        {TaskStatus.POSTED, TaskStatus.SUBMITTED, TaskStatus.CANCELLED, TaskStatus.EXPIRED}
    ),
    TaskStatus.SUBMITTED: frozenset(
        {TaskStatus.POSTED, TaskStatus.ASSIGNED, TaskStatus.VERIFIED, TaskStatus.FAILED, TaskStatus.EXPIRED}
    ),
    TaskStatus.VERIFIED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
    TaskStatus.EXPIRED: frozenset(),
}
