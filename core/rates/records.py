"""Writes down what was decided on the exchange rate, and reads it back: the table through which all processes of a hub
agree on one. Called by `hub/rate_feed.py`, `hub rates` and the daily upkeep."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.db.unit_of_work import Transaction
from core.rates.decide import Cause, Leap, Refusal, agreed
from core.rates.model import Judged, Rate
from core.rates.tables import RateRow

KEPT = timedelta(days=2)  # a payout keeps the samples of its own rate


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision rests on. `silent`: why a source gave no sample, by its name. `cause` and `leap` of a refusal."""

    samples: tuple[Judged, ...] = ()
    silent: dict[str, str] = {}
    cause: Cause | None = None
    leap: Leap | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one look at the sources, at `decided_ms` (UTC)."""

    decided_ms: int
    found: Rate | Refusal
    silent: dict[str, str] = {}


async def keep(tx: Transaction, decision: Decision) -> None:
    """Write one decision down."""
    found = decision.found
    refused = isinstance(found, Refusal)
    evidence = Evidence(
        samples=found.samples,
        silent=decision.silent,
        cause=found.cause if refused else None,
        leap=found.leap if refused else None,
    )
    tx.session.add(
        RateRow(
            id=ids.new("rate"),
            usd_per_btc=None if refused else found.usd_per_btc,
            decided_at=clock.from_ms(decision.decided_ms),
            samples=msgspec.to_builtins(evidence),
            refusal=found.reason if refused else None,
        )
    )
    await tx.session.flush()


async def latest(session: AsyncSession) -> tuple[Decision | None, Rate | None]:
    """The last decision, and the last rate that was agreed on (of the same decision, or an earlier one)."""
    newest = select(RateRow).order_by(RateRow.decided_at.desc(), RateRow.id.desc()).limit(1)
    row = await session.scalar(newest)
    if row is None:
        return None, None
    decision = _decision(row)
    if isinstance(decision.found, Rate):
        return decision, decision.found
    before = await session.scalar(newest.where(RateRow.usd_per_btc.is_not(None)))
    former = None if before is None else _decision(before).found
    return decision, former if isinstance(former, Rate) else None


async def forget_old(tx: Transaction) -> None:
    """Decisions older than KEPT, which no quote may use any more."""
    limit = clock.from_ms(await tx.now_ms()) - KEPT
    await tx.session.execute(delete(RateRow).where(RateRow.decided_at < limit))


def _decision(row: RateRow) -> Decision:
    evidence = msgspec.convert(row.samples, Evidence)
    decided_ms = clock.to_ms(row.decided_at)
    found: Rate | Refusal
    if row.usd_per_btc is not None:
        found = agreed(row.usd_per_btc, evidence.samples, decided_ms)
    else:
        found = Refusal(
            cause=evidence.cause or Cause.DISPUTE,
            reason=row.refusal or "no reason was kept",
            samples=evidence.samples,
            leap=evidence.leap,
        )
    return Decision(decided_ms=decided_ms, found=found, silent=evidence.silent)
