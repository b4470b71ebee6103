"""The life of an inbound delivery."""

from __future__ import annotations

from enum import StrEnum


class InboundState(StrEnum):
    RECEIVED = "received"  # verified and stored, not yet read
    ACCEPTED = "accepted"  # became a task, or cancelled one
    IGNORED = "ignored"  # asks nothing of us; the reason is kept
    FAILED = "failed"  # our mapping or configuration broke on it; replay brings it back


TRANSITIONS: dict[InboundState, frozenset[InboundState]] = {
    InboundState.RECEIVED: frozenset({InboundState.ACCEPTED, InboundState.IGNORED, InboundState.FAILED}),
    InboundState.FAILED: frozenset({InboundState.RECEIVED}),
    InboundState.IGNORED: frozenset({InboundState.RECEIVED}),
    InboundState.ACCEPTED: frozenset(),
}
