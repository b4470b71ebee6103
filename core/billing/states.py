"""The life of a top-up: one invoice of ours, and what arrived for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TopUpState(StrEnum):
    OPEN = "open"  # the invoice waits for its payment
    CREDITED = "credited"  # what arrived is in the organisation's prefund
    LAPSED = "lapsed"  # the rail says that it can never be paid any more; `look` asks once again


TRANSITIONS: Mapping[TopUpState, frozenset[TopUpState]] = {
    TopUpState.OPEN: frozenset({TopUpState.CREDITED, TopUpState.LAPSED}),
    TopUpState.LAPSED: frozenset({TopUpState.CREDITED}),
    TopUpState.CREDITED: frozenset(),
}
