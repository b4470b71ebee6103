"""The life of a payout and of one attempt at paying it."""

from __future__ import annotations

from enum import StrEnum


class PayoutState(StrEnum):
    RESERVED = "reserved"  # owed to the worker, amount and rate fixed; waits for an invoice or an address
    READY = "ready"  # rail, invoice, payment hash, amount and fee limit are committed
    SENDING = "sending"  # the bytes may have left
    UNKNOWN = "unknown"  # we cannot tell; only a look-up clears it. The worker reads "on its way"
    SETTLED = "settled"  # paid, with the preimage as proof
    FAILED = "failed"  # the rail said of this hash that it will never pay it; a new attempt may follow
    REVERSED = "reversed"  # a bank took it back


TRANSITIONS: dict[PayoutState, frozenset[PayoutState]] = {
    PayoutState.RESERVED: frozenset({PayoutState.READY}),
    PayoutState.READY: frozenset({PayoutState.SENDING, PayoutState.FAILED}),
    PayoutState.SENDING: frozenset({PayoutState.SETTLED, PayoutState.FAILED, PayoutState.UNKNOWN}),
    PayoutState.UNKNOWN: frozenset({PayoutState.SETTLED, PayoutState.FAILED}),
    PayoutState.FAILED: frozenset({PayoutState.RESERVED}),
    PayoutState.SETTLED: frozenset({PayoutState.REVERSED}),
    PayoutState.REVERSED: frozenset(),
}
