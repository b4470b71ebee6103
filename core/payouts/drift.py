"""Does a rail hold what the books say? What its node had when the hub came is the operator's own and unknown, but it must not
change by itself: balance + sent - received stays the same. Asked in every round of `hub/jobs/payout_watch.py`, of rails whose
balance is exact to the satoshi."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.billing.states import TopUpState
from core.billing.tables import TopUp
from core.db.unit_of_work import Transaction
from core.ledger import accounts
from core.ledger.tables import LedgerAccount
from core.payouts.controls import rail_subject
from core.payouts.states import IN_CLEARING
from core.payouts.tables import PayoutAttempt, RailFunds
from core.repairs.actions import Kind, mended, needed
from core.repairs.tables import Repair

WITHIN_MSAT = 1_000  # some wallets tell whole satoshis


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of a rail at a moment, in msat: `sent_msat` left over it less what came in; `doubt_msat` may have
    left besides (payments on their way, with their fee limits), `expected_msat` may have come in (invoices of ours)."""

    sent_msat: int
    doubt_msat: int
    expected_msat: int


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's own money lies between the two, in msat."""

    low_msat: int
    high_msat: int

    def meets(self, other: Span) -> bool:
        return (
            self.low_msat <= other.high_msat + WITHIN_MSAT and other.low_msat <= self.high_msat + WITHIN_MSAT
        )

    def cut(self, other: Span) -> Span:
        """What both allow; where they only touch within the rounding, the newer one (`other`)."""
        low, high = max(self.low_msat, other.low_msat), min(self.high_msat, other.high_msat)
        return Span(low_msat=low, high_msat=high) if low <= high else other


def own_funds(balance_msat: int, before: Books, after: Books) -> Span:
    """`before` and `after` are the books around the moment at which the node told its balance: what happened meanwhile may be
    in it or not."""
    sent = (before.sent_msat, after.sent_msat)
    doubt = max(before.doubt_msat, after.doubt_msat)
    expected = max(before.expected_msat, after.expected_msat)
    return Span(low_msat=balance_msat + min(sent) - expected, high_msat=balance_msat + max(sent) + doubt)


async def books_of(session: AsyncSession, rail: str) -> Books:
    account = await session.get(LedgerAccount, accounts.rail(rail).id, populate_existing=True)
    attempts = select(func.sum(PayoutAttempt.amount_msat + PayoutAttempt.max_fee_msat)).where(
        PayoutAttempt.rail == rail, PayoutAttempt.state.in_(_words(IN_CLEARING))
    )
    # A lapsed one too: its rail may have taken a late payment that nobody has looked for.
    invoices = select(func.sum(TopUp.amount_msat)).where(
        TopUp.rail == rail, TopUp.state != str(TopUpState.CREDITED)
    )
    return Books(
        sent_msat=account.credits_msat - account.debits_msat if account else 0,
        doubt_msat=int(await session.scalar(attempts) or 0),
        expected_msat=int(await session.scalar(invoices) or 0),
    )


async def judge(tx: Transaction, rail: str, found: Span) -> None:
    """Holds the span against the one that is noted. Closing the repair item is the operator's word that the change is right:
    the next round takes it as the new truth."""
    now = clock.from_ms(await tx.now_ms())
    noted = await tx.session.get(RailFunds, rail, with_for_update=True)
    if noted is None:
        tx.session.add(
            RailFunds(
                rail=rail, low_msat=found.low_msat, high_msat=found.high_msat, disputed=False, seen_at=now
            )
        )
        return
    before = Span(low_msat=noted.low_msat, high_msat=noted.high_msat)
    accepted = noted.disputed and not await _is_open(tx.session, rail)
    if before.meets(found) or accepted:
        kept = found if accepted else before.cut(found)
        noted.low_msat, noted.high_msat, noted.disputed, noted.seen_at = (
            kept.low_msat,
            kept.high_msat,
            False,
            now,
        )
        await mended(tx, rail_subject(rail), Kind.DRIFT, actor="hub")
        return
    noted.disputed, noted.seen_at = True, now
    await needed(tx, rail_subject(rail), Kind.DRIFT, _words_of(rail, before, found))


def _words_of(rail: str, before: Span, found: Span) -> str:
    gone = before.low_msat - found.high_msat
    change = f"{gone} msat less" if gone > 0 else f"{found.low_msat - before.high_msat} msat more"
    return (
        f"Rail {rail} holds {change} than the books explain: money that you put in or took out, a channel's cost, or a "
        f"payment that nobody wrote down. `hub payouts reconcile {rail}` reads its history; close this item when it is right."
    )


async def _is_open(session: AsyncSession, rail: str) -> bool:
    query = select(Repair.id).where(
        Repair.subject == rail_subject(rail), Repair.kind == str(Kind.DRIFT), Repair.closed_at.is_(None)
    )
    return await session.scalar(query.limit(1)) is not None


def _words(states: Collection[str]) -> list[str]:
    return sorted(str(state) for state in states)
