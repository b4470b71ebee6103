"""An organisation's own word on people: whom it wants no more, and whom alone it wants. Called by `hub organisations`,
the operator's pages and API, and read by routing (`statements.py`, `directory/entry.py`)."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.access.tables import Organisation, Person
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.routing.tables import OrganisationWorker
from core.workers.actions import announce_free
from core.workers.tables import Worker

REASON_LIMIT = 500


class Word(StrEnum):
    ALLOW = "allow"  # where one is allowed, nobody else gets the organisation's tasks
    BLOCK = "block"  # gets none of the organisation's tasks


async def say(
    tx: Transaction, organisation: Organisation, worker_id: str, word: Word, *, reason: str, actor: str
) -> None:
    """Put the worker on the list, or from the other list on this one. What they have in hand stays with them. Raises
    NotFound, Invalid for a reason that is too long."""
    if len(reason) > REASON_LIMIT or "\0" in reason:
        told = f"A reason has at most {REASON_LIMIT} characters, none of them U+0000"
        raise Invalid("bad_reason", told, field_errors={"reason": told})
    worker = await tx.session.get(Worker, worker_id)
    if worker is None:
        raise NotFound("unknown_worker", "There is no such worker")
    row = await tx.session.get(OrganisationWorker, (organisation.id, worker_id))
    before = None if row is None else row.kind
    if row is None:
        row = OrganisationWorker(
            organisation_id=organisation.id, worker_id=worker_id, created_at=clock.from_ms(await tx.now_ms())
        )
        tx.session.add(row)
    row.kind, row.reason = str(word), reason
    await record(
        tx,
        actor=actor,
        action=f"organisation.worker_{word}ed",
        subject=organisation.id,
        worker=worker_id,
        reason=reason,
        before=before,
    )
    announce_free(tx, worker.environment)


async def forget(tx: Transaction, organisation: Organisation, worker_id: str, *, actor: str) -> None:
    """Take the worker off the list. Raises Conflict when they are on none."""
    row = await tx.session.get(OrganisationWorker, (organisation.id, worker_id))
    if row is None:
        raise Conflict("not_listed", "This worker is on no list of the organisation")
    await tx.session.delete(row)
    await record(
        tx,
        actor=actor,
        action="organisation.worker_forgotten",
        subject=organisation.id,
        worker=worker_id,
        before=row.kind,
    )
    worker = await tx.session.get_one(Worker, worker_id)
    announce_free(tx, worker.environment)


async def listed(session: AsyncSession, organisation_id: str) -> list[tuple[OrganisationWorker, Person]]:
    """Everybody on the organisation's lists, by name."""
    statement = (
        select(OrganisationWorker, Person)
        .join(Person, Person.id == OrganisationWorker.worker_id)
        .where(OrganisationWorker.organisation_id == organisation_id)
        .order_by(OrganisationWorker.kind, Person.name, Person.id)
    )
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]


async def page(
    session: AsyncSession, organisation_id: str, *, after: str = "", limit: int = 50
) -> list[tuple[OrganisationWorker, Person]]:
    """Those on the lists by worker id, from the id `after` on; fewer than `limit` means the end."""
    statement = (
        select(OrganisationWorker, Person)
        .join(Person, Person.id == OrganisationWorker.worker_id)
        .where(OrganisationWorker.organisation_id == organisation_id, OrganisationWorker.worker_id > after)
        .order_by(OrganisationWorker.worker_id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in (await session.execute(statement)).all()]
