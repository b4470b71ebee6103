"""The life of a batch of bank payments."""

from __future__ import annotations

from enum import StrEnum


class BatchState(StrEnum):
    MADE = "made"  # frozen by one operator; waits for the word of another
    CONFIRMED = "confirmed"  # a second operator has agreed: the file may be read, and its answers taken in
    DISSOLVED = "dissolved"  # taken apart before anybody confirmed; its payments wait for the next batch


TRANSITIONS: dict[BatchState, frozenset[BatchState]] = {
    BatchState.MADE: frozenset({BatchState.CONFIRMED, BatchState.DISSOLVED}),
    BatchState.CONFIRMED: frozenset(),
    BatchState.DISSOLVED: frozenset(),
}
