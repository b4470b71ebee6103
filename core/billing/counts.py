"""How many tasks of an organisation are verified: ever, which decides what is free, and in a calendar month (UTC), which
decides the tier of the fee. Called by `charge` alone, under the lock that it takes."""

from __future__ import annotations

from datetime import datetime

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.tasks.model import Environment
from core.tasks.tables import Task

_COUNT = """
    INSERT INTO verified_counts (organisation_id, month, tasks) VALUES ($1, $2, 1)
    ON CONFLICT (organisation_id, month) DO UPDATE SET tasks = verified_counts.tasks + 1 RETURNING tasks"""


_EVER = "UPDATE organisations SET tasks_charged = tasks_charged + 1 WHERE id = $1 RETURNING tasks_charged"
# Both in one round trip.
_COUNT_BOTH = f"WITH ever AS ({_EVER}), month AS ({_COUNT}) SELECT tasks_charged, tasks FROM ever, month"  # noqa: S608 - text of ours
_SEEN = """
    SELECT (SELECT tasks_charged FROM organisations WHERE id = $1),
           (SELECT tasks FROM verified_counts WHERE organisation_id = $1 AND month = $2)"""


def month_of(at: datetime) -> str:
    """`2026-11`, in UTC."""
    return f"{at.year:04}-{at.month:02}"


async def count(tx: Transaction, task: Task) -> tuple[int, int]:
    """The number of this verified task among all of its organisation, and how many of the month came before it. A live
    task is counted in the statements that ask, so that of two at once exactly one gets the last free place, or the
    first place of a cheaper tier; a test task only reads the counts and uses nothing up."""
    month = month_of(clock.from_ms(await tx.now_ms()))
    organisation = task.organisation_id
    if task.environment == Environment.TEST:
        found = (await tx.execute(for_dialect(_SEEN, tx.dialect), (organisation, month))).one()
        return int(found[0] or 0) + 1, int(found[1] or 0)
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    if tx.dialect == "postgresql":
        number, in_month = (await tx.execute(_COUNT_BOTH, (organisation, month))).one()
        return int(number), int(in_month) - 1
    number = (await tx.execute(for_dialect(_EVER, tx.dialect), (organisation,))).scalar_one()
    in_month = (await tx.execute(for_dialect(_COUNT, tx.dialect), (organisation, month))).scalar_one()
    return int(number), int(in_month) - 1
