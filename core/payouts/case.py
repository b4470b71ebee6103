"""A payout with its newest attempt, as one step of the machine reads it, and the small moves that steps share."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.ledger import accounts
from core.ledger.accounts import Account
from core.ledger.post import Phase, Transfer, posted, voided
from core.payouts.rail import BankAccount, Invoice
from core.payouts.states import ATTEMPT_TRANSITIONS, TRANSITIONS, PayoutState
from core.payouts.tables import Payout, PayoutAttempt


class Case(msgspec.Struct, frozen=True):
    """`attempt` is the newest one, None before the first. While a payout is on its way both have the same state."""

    payout: Payout
    attempt: PayoutAttempt | None

    @property
    def state(self) -> PayoutState:
        return PayoutState(self.payout.state)

    @property
    def sent(self) -> PayoutAttempt:
        """The attempt of a payout that is past RESERVED."""
        if self.attempt is None:
            raise RuntimeError(f"{self.payout.id} is {self.payout.state} and has no attempt")
        return self.attempt


async def load(session: AsyncSession, payout_id: str, *, lock: bool = False) -> Case:
    """Raises NotFound. With `lock` nobody else moves the payout until the transaction ends."""
    payout = await session.get(Payout, payout_id, with_for_update=lock or None)
    if payout is None:
        raise NotFound("payout_not_found", "There is no such payout", payout=payout_id)
    newest = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout_id)
    attempt = await session.scalar(newest.order_by(PayoutAttempt.number.desc()).limit(1))
    return Case(payout, attempt)


async def rails_tried(session: AsyncSession, payout_id: str) -> list[str]:
    """The rails of all attempts, oldest first."""
    query = select(PayoutAttempt.rail).where(PayoutAttempt.payout_id == payout_id)
    return list(await session.scalars(query.order_by(PayoutAttempt.number)))


async def move_both(tx: Transaction, case: Case, to: PayoutState, **attempt_values: Any) -> None:
    """The payout and its attempt take the step together."""
    await move(tx, case.sent, to, table=ATTEMPT_TRANSITIONS, **attempt_values)
    await move(tx, case.payout, to, table=TRANSITIONS)


def invoice_of(attempt: PayoutAttempt, payee: BankAccount | None = None) -> Invoice:
    """What was committed; `payee` is the unsealed account of a payment to a bank."""
    return Invoice(
        bolt11=attempt.invoice,
        payment_hash=attempt.payment_hash,
        amount_msat=attempt.amount_msat,
        expires_at_ms=clock.to_ms(attempt.expires_at),
        reference=attempt.reference,
        cents=attempt.cents,
        payee=payee,
    )


def held_amount(payout: Payout, attempt: PayoutAttempt) -> Transfer:
    """payable -> clearing, pending: the worker's money is spoken for by this attempt, and still the worker's."""
    return Transfer(
        id=f"payout:{payout.id}:send:{attempt.number}",
        debit=accounts.payable(payout.worker_id),
        credit=accounts.clearing(payout.environment),
        amount_msat=attempt.amount_msat,
        kind="send",
        subject=payout.id,
        phase=Phase.PEND,
    )


def held_fee(payout: Payout, attempt: PayoutAttempt) -> Transfer:
    """network_fees -> clearing, pending: the most that the rail may take for this attempt."""
    return Transfer(
        id=f"payout:{payout.id}:fee:{attempt.number}",
        debit=accounts.network_fees(payout.environment),
        credit=accounts.clearing(payout.environment),
        amount_msat=attempt.max_fee_msat,
        kind="fee_limit",
        subject=payout.id,
        phase=Phase.PEND,
    )


def given_back(payout: Payout, attempt: PayoutAttempt) -> list[Transfer]:
    """The attempt is certainly dead: nothing is held for it any more."""
    return [
        voided(held, f"{held.id}:void", "return")
        for held in (held_amount(payout, attempt), held_fee(payout, attempt))
        if held.amount_msat
    ]


def settled(payout: Payout, attempt: PayoutAttempt, fee_msat: int) -> list[Transfer]:
    """What was held goes into clearing and leaves over the rail, with the fee that it took, which is the hub's cost. A fee
    over the limit is booked all the same: a payment that has left must always be recordable."""
    amount, fee = held_amount(payout, attempt), held_fee(payout, attempt)
    clearing, rail = accounts.clearing(payout.environment), accounts.rail(attempt.rail)
    costs = accounts.network_fees(payout.environment)
    within = min(fee_msat, attempt.max_fee_msat)

    def single(name: str, debit: Account, credit: Account, msat: int) -> Transfer:
        return Transfer(
            id=f"payout:{payout.id}:{name}:{attempt.number}",
            debit=debit,
            credit=credit,
            amount_msat=msat,
            kind=name,
            subject=payout.id,
        )

    moved = [posted(amount, amount.amount_msat, f"{amount.id}:post", "clear")]
    if fee.amount_msat:
        moved.append(
            posted(fee, within, f"{fee.id}:post", "clear_fee")
            if within
            else voided(fee, f"{fee.id}:void", "return")
        )
    return [
        *moved,
        single("fee_over", costs, clearing, fee_msat - within),
        single("settle", clearing, rail, attempt.amount_msat),
        single("network_fee", clearing, rail, fee_msat),
    ]


def taken_back(payout: Payout, attempt: PayoutAttempt) -> Transfer:
    """rail -> payable: the bank returned the money after it had settled. The fee stays spent."""
    return Transfer(
        id=f"payout:{payout.id}:reverse:{attempt.number}",
        debit=accounts.rail(attempt.rail),
        credit=accounts.payable(payout.worker_id),
        amount_msat=attempt.amount_msat,
        kind="reverse",
        subject=payout.id,
    )
