"""The life of one write into a ticket."""

from __future__ import annotations

from enum import StrEnum


class ReplyState(StrEnum):
    PENDING = "pending"  # to be sent
    SENDING = "sending"  # committed before the call: the bytes may have left
    DELIVERED = "delivered"  # the vendor's id of our note is stored
    UNCERTAIN = "uncertain"  # sent, answer lost: look for the marker before anything else
    SHADOWED = "shadowed"  # the connector is in shadow mode: what would have been sent is kept
    MOOT = "moot"  # the ticket wanted it no more (answered elsewhere, expired)
    DEAD = "dead"  # refused for good, or given up; the reason is kept


TRANSITIONS: dict[ReplyState, frozenset[ReplyState]] = {
    ReplyState.PENDING: frozenset({ReplyState.SENDING, ReplyState.SHADOWED, ReplyState.DEAD}),
    ReplyState.SENDING: frozenset(
        {ReplyState.DELIVERED, ReplyState.UNCERTAIN, ReplyState.PENDING, ReplyState.MOOT, ReplyState.DEAD}
    ),
    ReplyState.UNCERTAIN: frozenset(
        {ReplyState.DELIVERED, ReplyState.SENDING, ReplyState.MOOT, ReplyState.DEAD}
    ),
    ReplyState.DELIVERED: frozenset(),
    ReplyState.SHADOWED: frozenset(),
    ReplyState.MOOT: frozenset(),
    ReplyState.DEAD: frozenset({ReplyState.PENDING, ReplyState.UNCERTAIN}),
}
