"""The life of one write into a ticket."""

from __future__ import annotations

from enum import StrEnum


class ReplyState(StrEnum):
    PENDING = "pending"  # to be sent
    SENDING = "sending"  # committed before the call: the bytes may have left
    DELIVERED = "delivered"  # the vendor's id of our note is stored
    UNCERTAIN = "uncertain"  # sent, answer lost: look for the marker before anything else
    DEAD = "dead"  # refused for good, or given up; the reason is kept


TRANSITIONS: dict[ReplyState, frozenset[ReplyState]] = {
    ReplyState.PENDING: frozenset({ReplyState.SENDING, ReplyState.DEAD}),
    ReplyState.SENDING: frozenset(
        {ReplyState.DELIVERED, ReplyState.UNCERTAIN, ReplyState.PENDING, ReplyState.DEAD}
    ),
    ReplyState.UNCERTAIN: frozenset({ReplyState.DELIVERED, ReplyState.SENDING, ReplyState.DEAD}),
    ReplyState.DELIVERED: frozenset(),
    ReplyState.DEAD: frozenset({ReplyState.PENDING, ReplyState.UNCERTAIN}),
}
