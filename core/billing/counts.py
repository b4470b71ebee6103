"""How many tasks of an organisation are verified: ever, which decides what is free, and in a calendar month (UTC), which
decides the tier of the fee. Called by `charge` alone, under the lock that it takes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from core import clock
from core.access.tables import Organisation
from core.billing.tables import VerifiedCount
from core.db.unit_of_work import Transaction
from core.tasks.model import Environment
from core.tasks.tables import Task

_COUNT = """
    INSERT INTO verified_counts (organisation_id, month, tasks) VALUES ($1, $2, 1)
    ON CONFLICT (organisation_id, month) DO UPDATE SET tasks = verified_counts.tasks + 1 RETURNING tasks"""


def month_of(at: datetime) -> str:
    """`2026-11`, in UTC."""
    return f"{at.year:04}-{at.month:02}"


async def count(tx: Transaction, task: Task) -> tuple[int, int]:
    """The number of this verified task among all of its organisation, and how many of the month came before it. A live
    task is counted in the statements that ask, so that of two at once exactly one gets the last free place, or the
    first place of a cheaper tier; a test task only reads the counts and uses nothing up."""
    month = month_of(clock.from_ms(await tx.now_ms()))
    if task.environment == Environment.TEST:
        number = await tx.session.scalar(
            select(Organisation.tasks_charged).where(Organisation.id == task.organisation_id)
        )
        before = await tx.session.scalar(
            select(VerifiedCount.tasks).where(
                VerifiedCount.organisation_id == task.organisation_id, VerifiedCount.month == month
            )
        )
        return int(number or 0) + 1, int(before or 0)
    await tx.session.flush()
    counted = await tx.session.execute(
        update(Organisation)
        .where(Organisation.id == task.organisation_id)
        .values(tasks_charged=Organisation.tasks_charged + 1)
        .returning(Organisation.tasks_charged)
        .execution_options(synchronize_session=False)
    )
    sql = _COUNT.replace("$", "?") if tx.dialect == "sqlite" else _COUNT
    in_month = (await tx.execute(sql, (task.organisation_id, month))).scalar_one()
    return int(counted.scalar_one()), int(in_month) - 1
