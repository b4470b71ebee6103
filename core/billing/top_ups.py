"""An organisation pays in over Lightning: an invoice of one of our own rails, looked at until it is paid, and credited
once for what has arrived. Called by the API, the operator's page, `hub organisations top-up` and the job `top_up.look`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access.organisations import get as get_organisation
from core.audit.record import record
from core.billing.actions import announce_credit
from core.billing.states import TRANSITIONS, TopUpState
from core.billing.tables import TopUp
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.errors import Conflict, Invalid, Misconfigured, NotFound
from core.ledger import accounts
from core.ledger.post import Transfer, post
from core.money import MSAT_PER_SAT
from core.outbox.rows import Lease
from core.payouts.rail import Invoice, Rail, Receiving
from core.tasks.model import Environment

MOST_OPEN = 20  # invoices of one organisation that wait at once: each is looked at every few seconds
LATE = timedelta(hours=1)  # between two looks after the invoice has ended


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """`rail` makes the invoices (empty: no rail can be paid), of `least_msat` to `most_msat`, that live for `seconds`."""

    rail: str = ""
    least_msat: int = MSAT_PER_SAT
    most_msat: int = 100_000_000 * MSAT_PER_SAT
    seconds: int = 3600


def terms_of(
    rails: Mapping[str, Rail], *, named: str, least_sats: int, most_sats: int, minutes: int
) -> Terms:
    """The rail `named` by the operator, else the first that can be paid. Raises Misconfigured for one that cannot."""
    able = [name for name, rail in rails.items() if isinstance(rail, Receiving)]
    if named and named not in able:
        raise Misconfigured(
            "top_up_rail",
            f"hub.yaml: billing.top_up_rail: {named!r} is not among the rails of rails.use that can be paid "
            f"({', '.join(able) or 'none'})",
        )
    if least_sats > most_sats:
        raise Misconfigured("top_up_limits", "hub.yaml: billing.top_up_least_sats is above top_up_most_sats")
    return Terms(
        rail=named or next(iter(able), ""),
        least_msat=least_sats * MSAT_PER_SAT,
        most_msat=most_sats * MSAT_PER_SAT,
        seconds=minutes * 60,
    )


async def ask(
    work: UnitOfWork,
    rails: Mapping[str, Rail],
    terms: Terms,
    *,
    organisation_id: str,
    environment: Environment,
    amount_msat: int,
    actor: str,
) -> TopUp:
    """A new invoice for the organisation, written down before anybody sees it. Raises Invalid for an amount out of bounds,
    Conflict where nothing can be paid in and while too many invoices wait, NotFound for an unknown organisation,
    Retryable and Rejected as the rail does."""
    if not terms.least_msat <= amount_msat <= terms.most_msat:
        bounds = f"{terms.least_msat // MSAT_PER_SAT} to {terms.most_msat // MSAT_PER_SAT} sat"
        raise Invalid(
            "bad_amount",
            f"A top-up is {bounds}",
            field_errors={"amountSats": f"Must be {bounds}"},
        )
    rail = rails.get(terms.rail)
    if not isinstance(rail, Receiving):
        raise Conflict("no_top_up", "No rail of this hub can be paid; ask its operator for a credit")
    if environment is Environment.TEST and rail.capabilities.real_money:
        raise Conflict("test_environment", "The test environment has play money; top up with a live key")
    async with work.read() as session:
        await get_organisation(session, organisation_id)
        await _refuse_many(session, organisation_id)
    top_up_id = ids.new("top")
    refuse_open_transaction()
    invoice = await rail.receive(amount_msat, memo=f"Top-up {top_up_id}", expires_seconds=terms.seconds)
    async with work.begin("top_ups.open") as tx:
        return await _write(tx, top_up_id, organisation_id, environment, terms.rail, invoice, actor)


async def _refuse_many(session: AsyncSession, organisation_id: str) -> None:
    open_ = await session.scalar(
        select(func.count()).where(
            TopUp.organisation_id == organisation_id, TopUp.state == str(TopUpState.OPEN)
        )
    )
    if int(open_ or 0) >= MOST_OPEN:
        raise Conflict(
            "too_many_top_ups", f"{MOST_OPEN} invoices wait for their payment; pay one or let it expire"
        )


async def _write(
    tx: Transaction,
    top_up_id: str,
    organisation_id: str,
    environment: Environment,
    rail: str,
    invoice: Invoice,
    actor: str,
) -> TopUp:
    row = TopUp(
        id=top_up_id,
        organisation_id=organisation_id,
        environment=str(environment),
        state=str(TopUpState.OPEN),
        rail=rail,
        invoice=invoice.bolt11,
        payment_hash=invoice.payment_hash,
        amount_msat=invoice.amount_msat,
        received_msat=0,
        created_at=clock.from_ms(await tx.now_ms()),
        expires_at=clock.from_ms(invoice.expires_at_ms),
        paid_at=None,
    )
    tx.session.add(row)
    await tx.session.flush()
    await record(
        tx,
        actor=actor,
        action="top_up.asked",
        subject=row.id,
        organisation=organisation_id,
        environment=str(environment),
        amount_msat=row.amount_msat,
        payment_hash=row.payment_hash,
    )
    await _look_later(tx, row, 1)
    return row


async def look(work: UnitOfWork, lease: Lease, rails: Mapping[str, Rail]) -> None:
    """One look at one invoice of ours. Raises Retryable when the rail cannot be asked, Misconfigured when the rail is no
    longer in the hub: then the job goes on asking, for the money may be there."""
    async with work.read() as session:
        known = await session.get(TopUp, lease.subject)
    waits = known is None or known.state == TopUpState.OPEN
    received = await _received(work, rails, lease.subject) if waits else None
    async with work.finishing(lease, "top_ups.look") as tx:
        row = await _locked(tx, lease.subject)
        if row.state != TopUpState.OPEN:
            return
        await _judge(tx, row, received, actor="hub")
        if row.state == TopUpState.OPEN:
            await _look_later(tx, row, int(lease.body.get("looks", 1)) + 1)


async def look_now(work: UnitOfWork, rails: Mapping[str, Rail], top_up_id: str, *, actor: str) -> TopUp:
    """Asked by a person: also about one that has lapsed. Raises as `look` does, and NotFound."""
    received = await _received(work, rails, top_up_id)
    async with work.begin("top_ups.look_now") as tx:
        row = await _locked(tx, top_up_id)
        if row.state == TopUpState.OPEN or (row.state == TopUpState.LAPSED and received):
            await _judge(tx, row, received, actor=actor)
        return row


async def _received(work: UnitOfWork, rails: Mapping[str, Rail], top_up_id: str) -> int | None:
    async with work.read() as session:
        row = await session.get(TopUp, top_up_id)
    if row is None:
        raise NotFound("top_up_not_found", "Top-up not found")
    rail = rails.get(row.rail)
    if not isinstance(rail, Receiving):
        raise Misconfigured(
            "top_up_rail",
            f"top-up {row.id} was asked for over {row.rail}, which is not in rails.use any more",
        )
    refuse_open_transaction()
    return await rail.received_msat(row.payment_hash)


async def _locked(tx: Transaction, top_up_id: str) -> TopUp:
    row = await tx.session.get(TopUp, top_up_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("top_up_not_found", "Top-up not found")
    return row


async def _judge(tx: Transaction, row: TopUp, received_msat: int | None, *, actor: str) -> None:
    """What the rail says has arrived for good. The transfer's id is the top-up's, so that it is credited once whoever
    comes second."""
    if received_msat is None:
        await move(tx, row, TopUpState.LAPSED, table=TRANSITIONS)
        return
    if received_msat <= 0:
        return
    now = clock.from_ms(await tx.now_ms())
    transfer = Transfer(
        id=f"top_up:{row.id}",
        debit=accounts.rail(row.rail),
        credit=accounts.prefund(row.organisation_id, row.environment),
        amount_msat=received_msat,
        kind="top_up",
        subject=row.organisation_id,
    )
    await move(tx, row, TopUpState.CREDITED, table=TRANSITIONS, received_msat=received_msat, paid_at=now)
    await post(tx, [transfer])
    await record(
        tx,
        actor=actor,
        action="top_up.credited",
        subject=row.id,
        organisation=row.organisation_id,
        environment=row.environment,
        amount_msat=received_msat,
        asked_msat=row.amount_msat,
    )
    announce_credit(tx, row.organisation_id, row.environment)


async def _look_later(tx: Transaction, row: TopUp, looks: int) -> None:
    """One chain of looks for each invoice: close ones while somebody stands before a wallet, hourly ones after its end,
    because a rail may still take a late payment."""
    now = clock.from_ms(await tx.now_ms())
    age = now - row.created_at
    if now >= row.expires_at:
        delay = LATE.total_seconds()
    else:
        delay = 2 if age < timedelta(minutes=5) else 15
        delay = min(delay, max(1, (row.expires_at - now).total_seconds()))
    tx.emit(
        "top_up.look",
        row.id,
        body={"looks": looks},
        queue="money",
        delay=delay,
        key=f"top_up:{row.id}:look:{looks}",
    )


async def one(session: AsyncSession, organisation_id: str, environment: str, top_up_id: str) -> TopUp:
    """Raises NotFound, also for another tenant's."""
    row = await session.get(TopUp, top_up_id)
    if row is None or (row.organisation_id, row.environment) != (organisation_id, str(environment)):
        raise NotFound("top_up_not_found", "Top-up not found")
    return row


async def listing(
    session: AsyncSession,
    organisation_id: str,
    environment: str,
    *,
    before: str | None = None,
    limit: int = 20,
) -> tuple[list[TopUp], bool]:
    """Newest first, those older than the top-up `before`; True when there are more."""
    query = select(TopUp).where(
        TopUp.organisation_id == organisation_id, TopUp.environment == str(environment)
    )
    if before is not None:
        query = query.where(TopUp.id < before)
    rows = list((await session.scalars(query.order_by(TopUp.id.desc()).limit(limit + 1))).all())
    return rows[:limit], len(rows) > limit
