"""The life of one callback delivery: one event to one address. A receiver dedupes by the event id, so an uncertain
delivery is simply tried again with the same id."""

from __future__ import annotations

from enum import StrEnum


class CallbackState(StrEnum):
    PENDING = "pending"  # due at its job's time
    DELIVERED = "delivered"  # the receiver answered 2xx
    DEAD = "dead"  # the schedule is over, or the receiver said 410; redrive brings it back


TRANSITIONS: dict[CallbackState, frozenset[CallbackState]] = {
    CallbackState.PENDING: frozenset({CallbackState.DELIVERED, CallbackState.DEAD}),
    CallbackState.DELIVERED: frozenset(),
    CallbackState.DEAD: frozenset({CallbackState.PENDING}),
}
