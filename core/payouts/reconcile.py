"""Reads a rail's history, holds it against our attempts (`compare.py`), and freezes payouts when money left that we do
not account for. Called by the job `rail.reconcile` every night, and by `hub payouts reconcile`."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record as audit
from core.db.unit_of_work import Transaction, UnitOfWork, refuse_open_transaction
from core.errors import NotFound
from core.outbox.rows import Lease
from core.payouts.compare import Finding, FindingKind, History, Ours, compare, fold
from core.payouts.controls import HUB, Cause, pause, rail_subject, resume
from core.payouts.rail import Rail, Recorded, Recording, Target
from core.payouts.states import PayoutState
from core.payouts.tables import ExplainedPayment, PayoutAttempt, Reconciliation
from core.repairs.actions import Kind, mended, needed

log = logging.getLogger(__name__)

OVERLAP = timedelta(days=1)  # each look begins a day before the last one did
SKEW = timedelta(hours=1)  # how far a rail's clock may be from ours
MARGIN = timedelta(minutes=10)  # what settled so lately may not be in a history that was read a moment ago
LONGEST = timedelta(days=90)  # from an attempt to its end, on the slowest bank
RENEW_SECONDS = 5.0
AT_ONCE = 500


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What one look covers (UTC): from `since` to `started`; the rail is asked from `ask_from` on. `first` is when the
    hub first used the rail. `settled` are ours that its history must have."""

    first: datetime
    since: datetime
    ask_from: datetime
    started: datetime
    settled: list[Ours]


async def reconcile(
    work: UnitOfWork, rail: Rail, *, lease: Lease | None = None, since_ms: int | None = None
) -> Reconciliation | None:
    """One look, from a day before the last one or from `since_ms` (UTC) if that is earlier; None for a rail whose history cannot be read or
    that the hub has not used yet. Holds on to `lease` while the history comes in. Raises Retryable when the rail cannot
    be asked."""
    if not isinstance(rail, Recording):
        return None
    async with work.begin("rails.window") as tx:
        window = await _window(tx, rail.name, since_ms)
    if window is None:
        return None
    refuse_open_transaction()
    history = await _read(work, lease, rail.payments(clock.to_ms(window.ask_from)))
    async with work.begin("rails.reconciled") as tx:
        return await _judge(tx, rail, window, history)


async def explain(tx: Transaction, rail: str, payment_hash: str, note: str, *, by: str) -> bool:
    """An operator says why a finding is right. True when payouts go on by that. Raises NotFound when the newest look at
    the rail found nothing about this hash."""
    newest = await newest_of(tx.session, rail)
    findings = [] if newest is None else [Finding.read(one) for one in newest.findings]
    kinds = {str(finding.kind) for finding in findings if finding.payment_hash == payment_hash}
    if not kinds:
        raise NotFound("no_finding", f"No reconciliation of {rail} found anything about {payment_hash}")
    known = await tx.session.get(ExplainedPayment, (rail, payment_hash), with_for_update=True)
    before = set(known.kinds.split(",")) if known else set[str]()
    if not kinds <= before:
        now, words = clock.from_ms(await tx.now_ms()), note[:2_000]
        if known is None:
            known = ExplainedPayment(rail=rail, payment_hash=payment_hash, note=words, by=by, at=now)
            tx.session.add(known)
        known.kinds, known.note, known.by, known.at = ",".join(sorted(kinds | before)), words, by, now
        await tx.session.flush()
        await audit(
            tx, actor=by, action="payouts.explained", subject=rail_subject(rail), payment_hash=payment_hash
        )
    explained = await _explained(tx.session, rail)
    if all((finding.payment_hash, str(finding.kind)) in explained for finding in findings):
        await mended(tx, rail_subject(rail), Kind.RECONCILIATION, actor=by)
    return await _unfreeze(tx, actor=by)


async def unexplained(session: AsyncSession) -> list[tuple[str, Finding]]:
    """The rail and what its newest look found, without what is explained."""
    newest = select(func.max(Reconciliation.id)).group_by(Reconciliation.rail)
    rows = await session.scalars(
        select(Reconciliation).where(Reconciliation.id.in_(newest)).order_by(Reconciliation.rail)
    )
    found: list[tuple[str, Finding]] = []
    for row in rows.all():
        explained = await _explained(session, row.rail)
        findings = [Finding.read(one) for one in row.findings]
        found.extend(
            (row.rail, one) for one in findings if (one.payment_hash, str(one.kind)) not in explained
        )
    return found


async def newest_of(session: AsyncSession, rail: str) -> Reconciliation | None:
    query = select(Reconciliation).where(Reconciliation.rail == rail)
    return await session.scalar(query.order_by(Reconciliation.id.desc()).limit(1))


async def _window(tx: Transaction, rail: str, since_ms: int | None) -> Window | None:
    started = clock.from_ms(await tx.now_ms())
    mine = select(PayoutAttempt).where(PayoutAttempt.rail == rail)
    first = await tx.session.scalar(mine.order_by(PayoutAttempt.id).limit(1))
    if first is None:
        return None
    newest = await newest_of(tx.session, rail)
    since = first.created_at if newest is None else newest.started_at - OVERLAP
    if since_ms is not None:  # never later: what lies between would be looked at by nobody
        since = min(since, clock.from_ms(since_ms))
    since = max(since, first.created_at)
    oldest_id = f"att_{max(0, clock.to_ms(since - LONGEST)):012x}"  # ids sort by time, see core/ids.py
    settled = await tx.session.scalars(
        mine.where(
            PayoutAttempt.id >= oldest_id,
            PayoutAttempt.state == str(PayoutState.SETTLED),
            PayoutAttempt.ended_at >= since,
            PayoutAttempt.ended_at < started - MARGIN,
        )
    )
    attempts = settled.all()
    sent = [attempt.sent_at or attempt.created_at for attempt in attempts]
    return Window(
        first=first.created_at,
        since=since,
        ask_from=min([since, *sent]) - SKEW,
        started=started,
        settled=[_ours(attempt) for attempt in attempts],
    )


async def _read(work: UnitOfWork, lease: Lease | None, payments: AsyncGenerator[Recorded]) -> History:
    """The whole history, holding on to the lease: a long one comes in pages."""
    found: list[Recorded] = []
    renewed = clock.monotonic()
    async with aclosing(payments) as pages:
        async for one in pages:
            found.append(one)
            if lease is not None and clock.monotonic() - renewed > RENEW_SECONDS:
                async with work.fenced(lease, "rails.reading"):
                    renewed = clock.monotonic()
    return fold(found)


async def _judge(tx: Transaction, rail: Rail, window: Window, history: History) -> Reconciliation:
    ours = await _with_hashes(tx.session, list(history.by_hash))
    found = compare(
        rail.name,
        history,
        ours,
        window.settled,
        first_ms=clock.to_ms(window.first),
        exact=rail.capabilities.pays is Target.INVOICE,
    )
    explained = await _explained(tx.session, rail.name)
    before = await newest_of(tx.session, rail.name)
    known = {finding.payment_hash for finding in found}
    # What froze payouts does so until it is explained, also when the window has moved on.
    carried = [Finding.read(one) for one in (before.findings if before else [])]
    found += [one for one in carried if one.freezes and one.payment_hash not in known]
    findings = [one for one in found if (one.payment_hash, str(one.kind)) not in explained]
    row = Reconciliation(
        id=ids.new("rec"),
        rail=rail.name,
        since=window.since,
        started_at=window.started,
        finished_at=clock.from_ms(await tx.now_ms()),
        payments=history.payments,
        findings=[msgspec.to_builtins(one) for one in findings],
    )
    tx.session.add(row)
    await tx.session.flush()
    await _tell(tx, rail.name, findings)
    return row


async def _tell(tx: Transaction, rail: str, findings: Sequence[Finding]) -> None:
    if not findings:
        await mended(tx, rail_subject(rail), Kind.RECONCILIATION, actor="hub")
    else:
        first = "; ".join(finding.words for finding in findings[:3])
        log.error("reconciliation of %s: %d findings: %s", rail, len(findings), first)
        words = f"{len(findings)} findings: {first}. `hub payouts explain {rail} HASH --note …` for each."
        await needed(tx, rail_subject(rail), Kind.RECONCILIATION, words)
    for finding in findings:
        if finding.kind is FindingKind.REVERSED and finding.payout_id is not None:
            # `look_back` asks the rail about this one, and takes it back by the book.
            key = f"payout:{finding.payment_hash}:look_back:found"
            tx.emit("payout.look_back", finding.payout_id, body={"days": 0}, queue="money", key=key)
    freezing = [finding for finding in findings if finding.freezes]
    if freezing:
        reason = f"{rail}: {freezing[0].words} ({freezing[0].payment_hash})"
        await pause(tx, HUB, Cause.RECONCILIATION, reason, by="hub")
    else:
        await _unfreeze(tx, actor="hub")


async def _unfreeze(tx: Transaction, *, actor: str) -> bool:
    if any(finding.freezes for _, finding in await unexplained(tx.session)):
        return False
    return await resume(tx, HUB, Cause.RECONCILIATION, actor=actor)


async def _explained(session: AsyncSession, rail: str) -> set[tuple[str, str]]:
    """Hash and kind: who explained a fee has not explained that it was paid twice."""
    rows = await session.scalars(select(ExplainedPayment).where(ExplainedPayment.rail == rail))
    return {(row.payment_hash, kind) for row in rows for kind in row.kinds.split(",")}


async def _with_hashes(session: AsyncSession, hashes: list[str]) -> dict[str, Ours]:
    found: dict[str, Ours] = {}
    for start in range(0, len(hashes), AT_ONCE):
        chunk = hashes[start : start + AT_ONCE]
        rows = await session.scalars(select(PayoutAttempt).where(PayoutAttempt.payment_hash.in_(chunk)))
        found |= {row.payment_hash: _ours(row) for row in rows}
    return found


def _ours(attempt: PayoutAttempt) -> Ours:
    return Ours(
        payment_hash=attempt.payment_hash,
        payout_id=attempt.payout_id,
        rail=attempt.rail,
        state=attempt.state,
        amount_msat=attempt.amount_msat,
        fee_msat=attempt.fee_msat,
    )
