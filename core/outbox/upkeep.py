"""Forgetting what nobody needs any more. Called once a day by the job `hub.upkeep`, which is its own cron slot: a row
keyed by the day, emitted by whichever worker starts first."""

from __future__ import annotations

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction

KEPT_DAYS = 30
DAY_MS = 86_400_000
BATCH = 5_000


async def purge_done(tx: Transaction, *, days: int = KEPT_DAYS) -> int:
    """Delete ended jobs older than `days`, at most BATCH at a time; how many went. Dead ones stay for the operator.
    Job ids sort by time (UUID version 7), so the primary key finds the old ones."""
    before = await tx.now_ms() - days * DAY_MS
    oldest_kept = f"job_{before:012x}"
    sql = for_dialect(
        "DELETE FROM outbox WHERE id IN "
        "(SELECT id FROM outbox WHERE id < $1 AND state = 'done' ORDER BY id LIMIT $2::bigint)",
        tx.dialect,
    )
    return (await tx.execute(sql, (oldest_kept, BATCH))).rowcount


async def schedule(tx: Transaction, *, in_days: int) -> None:
    """The slot of the day that is `in_days` from today (UTC); a second call for the same day changes nothing."""
    now = await tx.now_ms()
    day = now // DAY_MS + in_days
    name = clock.from_ms(day * DAY_MS).date().isoformat()
    tx.emit("hub.upkeep", "hub", delay=max(0, day * DAY_MS - now) / 1000, key=f"upkeep:{name}")
