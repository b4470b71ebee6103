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
from core.ledger.post import Transfer
from core.payouts.rail import Invoice
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


async def move_both(tx: Transaction, case: Case, to: PayoutState, **attempt_values: Any) -> None:
    """The payout and its attempt take the step together."""
    await move(tx, case.sent, to, table=ATTEMPT_TRANSITIONS, **attempt_values)
    await move(tx, case.payout, to, table=TRANSITIONS)


def invoice_of(attempt: PayoutAttempt) -> Invoice:
    return Invoice(
        bolt11=attempt.invoice,
        payment_hash=attempt.payment_hash,
        amount_msat=attempt.amount_msat,
        expires_at_ms=clock.to_ms(attempt.expires_at),
    )


def into_clearing(payout: Payout, number: int) -> Transfer:
    """payable -> clearing: the money is on its way with attempt `number`."""
    return Transfer(
        id=f"payout:{payout.id}:clear:{number}",
        debit=accounts.payable(payout.worker_id),
        credit=accounts.clearing(payout.environment),
        amount_msat=payout.amount_msat,
        kind="clear",
        subject=payout.id,
    )


def back_to_payable(payout: Payout, number: int) -> Transfer:
    """clearing -> payable: attempt `number` is certainly dead, the money is the worker's as before."""
    return Transfer(
        id=f"payout:{payout.id}:return:{number}",
        debit=accounts.clearing(payout.environment),
        credit=accounts.payable(payout.worker_id),
        amount_msat=payout.amount_msat,
        kind="return",
        subject=payout.id,
    )
