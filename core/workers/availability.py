"""Whether a worker gets offers: their own switch, their hours and a suspension, put together in `workers.available`,
which is all that routing reads. Called by the worker's pages and API, by the suspension, by routing when somebody
declines, and by the alarm `worker.hours` at the next beginning or end of their hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.outbox.rows import Lease
from core.workers.hours import next_change, open_at, zone
from core.workers.row import announce_free, locked
from core.workers.tables import Suspension, Worker, WorkerSettings

DECLINED = "declined_in_a_row"  # why the hub paused somebody


class Off(msgspec.Struct, frozen=True, kw_only=True):
    """Why a worker gets no offers: `suspended`, `paused` (by themselves), `declined_in_a_row` (the hub did it), or `hours`, in
    which case they come again at `until`."""

    why: str
    until: datetime | None = None


async def why_off(session: AsyncSession, worker_id: str, now_ms: int) -> Off:
    """Of somebody who is not available. What is first on the list hides the rest: a pause does not matter to who is suspended."""
    if await suspension_of(session, worker_id) is not None:
        return Off(why="suspended")
    kept = await session.get(WorkerSettings, worker_id)
    if kept is None or not kept.wants_work:
        return Off(why=(kept.paused_because if kept is not None else None) or "paused")
    following = next_change(kept.hours, zone(kept.timezone), now_ms)
    return Off(why="hours", until=None if following is None else clock.from_ms(following))


async def settings_of(tx: Transaction, worker: Worker) -> WorkerSettings:
    """The worker's own settings, made of what is in force when there are none. The caller holds the worker's row."""
    kept = await tx.session.get(WorkerSettings, worker.id)
    if kept is None:
        kept = WorkerSettings(worker_id=worker.id, wants_work=worker.available, hours=[], wanted_skills=[])
        tx.session.add(kept)
        await tx.session.flush()
        await tx.session.refresh(kept)
    return kept


async def pause(tx: Transaction, worker_id: str, *, actor: str) -> Worker:
    """No new offers from now on; what is in hand stays and is paid. Raises NotFound."""
    worker = await locked(tx, worker_id)
    return await _wish(tx, worker, wants=False, because=None, actor=actor)


async def resume(tx: Transaction, worker_id: str, *, actor: str) -> Worker:
    """Offers come again within the worker's hours, beginning with what waits. Raises NotFound, Conflict while they are
    suspended."""
    worker = await locked(tx, worker_id)
    if await suspension_of(tx.session, worker_id) is not None:
        raise Conflict("suspended", "Your account is suspended; you see why on your page, and can appeal")
    return await _wish(tx, worker, wants=True, because=None, actor=actor)


async def declined(tx: Transaction, worker_id: str, most: int) -> bool:
    """One more offer refused; True when that made `most` in a row and the worker is paused. 0: never."""
    worker = await locked(tx, worker_id)
    kept = await settings_of(tx, worker)
    kept.declined_in_a_row += 1
    if most == 0 or kept.declined_in_a_row < most or not kept.wants_work:
        return False
    await _wish(tx, worker, wants=False, because=DECLINED, actor="hub")
    return True


async def accepted(tx: Transaction, worker_id: str) -> None:
    """The row of refusals is broken. Locks nothing when there is none."""
    kept = await tx.session.get(WorkerSettings, worker_id)
    if kept is not None and kept.declined_in_a_row:
        kept.declined_in_a_row = 0


async def set_hours(
    tx: Transaction, worker_id: str, hours: Sequence[Sequence[int]], timezone: str, *, actor: str
) -> Worker:
    """`hours` as `hours.from_spans` gives them; none: always. Raises NotFound, Invalid for an unknown time zone."""
    zone(timezone)
    worker = await locked(tx, worker_id)
    kept = await settings_of(tx, worker)
    before = {"hours": kept.hours, "timezone": kept.timezone}
    kept.hours = [list(one) for one in hours]
    kept.timezone = timezone
    kept.hours_version += 1  # the former alarm rings for nothing
    await record(
        tx, actor=actor, action="worker.hours_changed", subject=worker_id, was=before, hours=kept.hours
    )
    await refresh(tx, worker)
    return worker


async def ring(tx: Transaction, lease: Lease) -> None:
    """Topic `worker.hours`: the worker's hours begin or end. What is true is read from the clock, not from the alarm,
    so an early, late or doubled one does no harm."""
    worker = await locked(tx, lease.subject)
    kept = await settings_of(tx, worker)
    if kept.hours_version != lease.body.get("version"):
        return
    left = int(lease.body.get("at_ms", 0)) - await tx.now_ms()
    if left > 0:  # a clock that was set back: its key is used up, and the alarm must not be lost
        tx.emit(lease.topic, worker.id, body=lease.body, delay=left / 1000)
    await refresh(tx, worker)


async def refresh(tx: Transaction, worker: Worker) -> None:
    """Put `available` together anew and set the next alarm. The caller holds the worker's row."""
    kept = await settings_of(tx, worker)
    now, timezone = await tx.now_ms(), zone(kept.timezone)
    suspended = await suspension_of(tx.session, worker.id) is not None
    wanted = kept.wants_work and not suspended and open_at(kept.hours, timezone, now)
    if wanted and not worker.available:
        worker.idle_since = clock.from_ms(now)
        announce_free(tx, worker.environment)
    if worker.available != wanted:
        worker.available = wanted
    following = next_change(kept.hours, timezone, now)
    if following is not None and kept.wants_work and not suspended:
        tx.emit(
            "worker.hours",
            worker.id,
            body={"version": kept.hours_version, "at_ms": following},
            delay=(following - now) / 1000,
            key=f"worker:{worker.id}:hours:{kept.hours_version}:{following}",
        )


async def suspension_of(session: AsyncSession, worker_id: str) -> Suspension | None:
    """The one in force, if any."""
    found: Any = await session.scalar(
        select(Suspension).where(Suspension.worker_id == worker_id, Suspension.state == "in_force")
    )
    return found


async def _wish(tx: Transaction, worker: Worker, *, wants: bool, because: str | None, actor: str) -> Worker:
    kept = await settings_of(tx, worker)
    if kept.wants_work == wants and kept.paused_because == because:
        if worker.available == wants:
            return worker
    elif kept.wants_work != wants:
        action = "worker.resumed" if wants else "worker.paused"
        detail = {"because": because} if because else {}
        await record(tx, actor=actor, action=action, subject=worker.id, **detail)
    kept.wants_work, kept.paused_because = wants, because
    if wants:
        kept.declined_in_a_row = 0
    await refresh(tx, worker)
    return worker
