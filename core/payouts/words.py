"""What a worker reads of a payout, true at every moment. Pure; asked by `queries.py`. While a payment is in doubt nobody
reads "failed": a person who does so asks for a second payment (ZEUS #3165, #4317)."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

import msgspec

from core.payouts.hold import until
from core.payouts.states import IN_CLEARING, OWED, PAID, PayoutState
from core.payouts.tables import Payout, PayoutAttempt, PayoutHold

WORDS: dict[PayoutState, str] = {
    PayoutState.EARNED: "earned, waits for an exchange rate",
    PayoutState.RESERVED: "about to be sent",
    PayoutState.READY: "on its way",
    PayoutState.SENDING: "on its way",
    PayoutState.UNKNOWN: "on its way",
    PayoutState.SETTLED: "paid",
    PayoutState.FAILED: "not delivered, still yours",
    PayoutState.REVERSED: "taken back by the bank, owed again",
    PayoutState.WITHHELD: "not paid: the answer was not accepted",
}
NO_ADDRESS = "waits for your payout address"
NEW_INVOICE = "waits for a new invoice"
STUCK = "not sent yet, still yours"

RATE_NOTE = (
    "The price is in dollars. It is fixed in satoshis as soon as there is a rate again, and sent then."
)
BANK_NOTE = "It leaves with the next batch to the bank; that takes days, not minutes."
INVOICE_NOTE = "The invoice that you pasted was not paid, and never will be. Paste another one."
RETURNED_NOTE = "The bank sent it back. Look over your bank details, or name another place to be paid."
OWN_INVOICE = (
    "This invoice"  # how every refusal of a pasted one begins (connectors/rails/lightning_address.py)
)
HOLD_NOTE = "Where you are paid was changed. Until then nothing is sent, to the old place or the new one."
LOOKED_AT = "held while somebody looks at it"
LOOKED_AT_NOTE = "Something about your recent answers is looked at. It is decided by {until}; if nobody has decided by then, it is sent."
WITHHELD_NOTE = "An operator looked at it: {note} You may ask for another look, from your history."
RETURN_NOTE = "A bank can still return it; then it is owed to you again."

AGAIN = ":again"  # ends the reason of a payout that takes the place of a reversed one
_DETAIL = re.compile(r" \[[^\[\]]*\]\Z")
_CODE = re.compile(r"\A[a-z][a-z0-9_]*: ")


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker is paid. `bank` is the label. `address_from` and `bank_from` (UTC): paid from then on. Until
    `changes_until` a change is not trusted, so that no invoice is taken either. `ever`: there was a target before."""

    address: str | None = None
    address_from: datetime | None = None
    bank: str | None = None
    bank_kind: str | None = None
    bank_from: datetime | None = None
    changes_until: datetime | None = None
    ever: bool = False

    def held_until(self, now: datetime) -> datetime | None:
        """While every target waits: until when the first one does. None when one is usable, or there is none."""
        targets = [(self.address, self.address_from), (self.bank, self.bank_from)]
        starts = [start for target, start in targets if target is not None]
        if not starts or any(start is None or start <= now for start in starts):
            return None
        return min(start for start in starts if start is not None)

    def takes_invoices(self, now: datetime) -> bool:
        return self.changes_until is None or self.changes_until <= now


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The job of a payout that is owed: what it `said` last; `dead`: it will not try again by itself."""

    said: str | None
    dead: bool


class PayoutLine(msgspec.Struct, frozen=True, kw_only=True):
    """One payout for its worker. `amount` in `currency` is what was promised, `amount_msat` what is owed or sent, of which
    whole cents may leave `remainder_msat` over. `words` may be shown as they are; `note` says what to know or to do.
    `target` is where the newest attempt goes, `cents` what a bank carries. With `settled_at`: the payment hash and the
    preimage, by which the worker's wallet finds it. `takes_invoice`: one of the worker's own may be pasted now."""

    id: str
    task_id: str
    state: PayoutState
    words: str
    note: str | None
    amount: Decimal
    currency: str
    amount_msat: int
    remainder_msat: int = 0
    rail: str | None
    target: str | None = None
    cents: int = 0
    takes_invoice: bool = False
    has_invoice: bool = False
    created_at: datetime
    settled_at: datetime | None
    payment_hash: str | None
    preimage: str | None


def line(
    payout: Payout,
    attempt: PayoutAttempt | None,
    job: Job | None,
    where: Where,
    now: datetime,
    hold: PayoutHold | None = None,
) -> PayoutLine:
    """`attempt` is the newest one, `job` that of a payout that is owed, `hold` what keeps or kept it waiting."""
    state = PayoutState(payout.state)
    words, note = looked_at(payout, hold) or said(payout, attempt, job, where, now)
    paid = attempt if attempt is not None and state in PAID else None
    sent = attempt if attempt is not None and state in PAID | IN_CLEARING | {PayoutState.REVERSED} else None
    return PayoutLine(
        id=payout.id,
        task_id=payout.task_id,
        state=state,
        words=words,
        note=note,
        amount=payout.amount,
        currency=payout.currency,
        amount_msat=payout.amount_msat,
        remainder_msat=payout.remainder_msat,
        rail=payout.rail,
        target=sent.address if sent else None,
        cents=sent.cents if sent else 0,
        takes_invoice=state in OWED and where.takes_invoices(now),
        has_invoice=state in OWED and payout.invoice is not None,
        created_at=payout.created_at,
        settled_at=payout.settled_at,
        payment_hash=paid.payment_hash if paid else None,
        preimage=paid.preimage if paid else None,
    )


def looked_at(payout: Payout, hold: PayoutHold | None) -> tuple[str, str | None] | None:
    """While somebody looks at the worker, and when they found the answer wanting; None for everything else."""
    if hold is None:
        return None
    if payout.state == PayoutState.WITHHELD:
        note = (hold.note or "").strip().rstrip(".")
        return WORDS[PayoutState.WITHHELD], WITHHELD_NOTE.format(note=f"{note}." if note else "")
    if hold.ended_at is None and PayoutState(payout.state) in OWED | {PayoutState.EARNED}:
        return LOOKED_AT, LOOKED_AT_NOTE.format(until=until(hold.until))
    return None


def said(
    payout: Payout, attempt: PayoutAttempt | None, job: Job | None, where: Where, now: datetime
) -> tuple[str, str | None]:
    """The words and the note."""
    state = PayoutState(payout.state)
    if state is PayoutState.EARNED:
        return WORDS[state], RATE_NOTE
    by_bank = attempt is not None and attempt.cents > 0
    if state in IN_CLEARING:
        return WORDS[state], BANK_NOTE if by_bank else None
    if state in PAID and by_bank:
        return "paid by bank", RETURN_NOTE
    if state not in OWED:
        return WORDS[state], None
    note = None if job is None or job.said is None else tidy(job.said)
    if payout.invoice is not None and attempt is not None and attempt.invoice == payout.invoice:
        return NEW_INVOICE, INVOICE_NOTE
    if payout.invoice is not None and note is not None and note.startswith(OWN_INVOICE):
        return NEW_INVOICE, note
    if payout.invoice is None and where.address is None and where.bank is None:
        return NO_ADDRESS, None
    held = where.held_until(now) if payout.invoice is None else None
    if held is not None:
        return f"held until {until(held)}", HOLD_NOTE
    if state is PayoutState.FAILED:
        return WORDS[state], RETURNED_NOTE if payout.reason.endswith(AGAIN) else note
    return (WORDS[state], None) if note is None else (STUCK, note)


def tidy(error: str) -> str:
    """A job's word without its code and without what stands in brackets for the operator, as a sentence."""
    text = _DETAIL.sub("", _CODE.sub("", error))
    return text[:1].upper() + text[1:]
