"""The life of a payout and of one attempt at paying it."""

from __future__ import annotations

from enum import StrEnum


class PayoutState(StrEnum):
    EARNED = "earned"  # verified, in dollars; waits for an exchange rate, still reserved for its task
    RESERVED = "reserved"  # owed to the worker, amount and rate fixed; waits for an invoice or an address
    READY = "ready"  # rail, invoice, payment hash, amount and fee limit are committed
    SENDING = "sending"  # the bytes may have left
    UNKNOWN = "unknown"  # we cannot tell; only a look-up clears it. The worker reads "on its way"
    SETTLED = "settled"  # paid, with the preimage as proof
    FAILED = "failed"  # every attempt failed for good; still owed, an operator or a new address goes on
    REVERSED = "reversed"  # a bank took it back; a new payout of the same amount is owed in its place
    WITHHELD = "withheld"  # an operator found that the answer was none; the asker has it back, an appeal may earn it anew


# Where the money of a payout lies in the ledger.
OWED = frozenset({PayoutState.RESERVED, PayoutState.FAILED})  # in the worker's payable account
IN_CLEARING = frozenset({PayoutState.READY, PayoutState.SENDING, PayoutState.UNKNOWN})  # there, but held
PAID = frozenset({PayoutState.SETTLED})  # in the rail's account

TRANSITIONS: dict[PayoutState, frozenset[PayoutState]] = {
    PayoutState.EARNED: frozenset({PayoutState.RESERVED, PayoutState.WITHHELD}),
    PayoutState.RESERVED: frozenset({PayoutState.READY, PayoutState.WITHHELD}),
    PayoutState.READY: frozenset({PayoutState.SENDING, PayoutState.FAILED}),
    PayoutState.SENDING: frozenset({PayoutState.SETTLED, PayoutState.FAILED, PayoutState.UNKNOWN}),
    # back to SENDING only with the same invoice, when the rail has certainly never seen its hash
    PayoutState.UNKNOWN: frozenset({PayoutState.SETTLED, PayoutState.FAILED, PayoutState.SENDING}),
    PayoutState.FAILED: frozenset({PayoutState.RESERVED, PayoutState.WITHHELD}),
    PayoutState.SETTLED: frozenset({PayoutState.REVERSED}),
    PayoutState.REVERSED: frozenset(),
    PayoutState.WITHHELD: frozenset(),
}

# One attempt has the same words without `earned` and `reserved`, and its failure is its end: a new attempt is a new row.
ATTEMPT_TRANSITIONS: dict[PayoutState, frozenset[PayoutState]] = {
    **TRANSITIONS,
    PayoutState.EARNED: frozenset(),
    PayoutState.RESERVED: frozenset(),
    PayoutState.FAILED: frozenset(),
}
