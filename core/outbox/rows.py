"""Lease, renew, finish, postpone and bury outbox rows. Every comparison of time is made by the database's clock,
every write behind a lease checks its token. Used by the unit of work and by `hub/jobs/run.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from core import ids
from core.db.base import to_json
from core.db.hot import insert_jobs, outbox_sql
from core.errors import LeaseLost

if TYPE_CHECKING:
    from core.db.unit_of_work import Transaction, UnitOfWork

LEASE_MS = 30_000

# What a worker process serves. Calls to strangers have a queue of their own, so that a slow receiver never stands
# before routing, and money has a process of its own.
WORKERS: dict[str, tuple[str, ...]] = {"default": ("default", "outside"), "money": ("money",)}
QUEUES = tuple(queue for queues in WORKERS.values() for queue in queues)


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A row about to be written. `delay_ms` counts from the database's clock at the insert."""

    id: str
    queue: str
    topic: str
    subject: str
    body: dict[str, Any]
    key: str | None
    delay_ms: int

    @classmethod
    def make(
        cls,
        topic: str,
        subject: str,
        *,
        body: dict[str, Any] | None,
        delay: float,
        queue: str,
        key: str | None,
    ) -> NewJob:
        if queue not in QUEUES:
            raise ValueError(f"unknown queue {queue!r}")
        return cls(
            id=ids.new("job"),
            queue=queue,
            topic=topic,
            subject=subject,
            body=body or {},
            key=key,
            delay_ms=max(0, round(delay * 1000)),
        )


def new_job(topic: str, subject: str) -> NewJob:
    """One that is due at once, on the default queue."""
    return NewJob(
        id=ids.new("job"), queue="default", topic=topic, subject=subject, body={}, key=None, delay_ms=0
    )


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A job this process may work on until `until_ms` on the database's clock."""

    id: str
    token: int
    topic: str
    subject: str
    body: dict[str, Any]
    attempt: int
    queue: str
    until_ms: int
    age_ms: int
    lease_ms: int

    @property
    def begun_ms(self) -> int:
        """When it was taken, by the database's clock."""
        return self.until_ms - self.lease_ms


async def insert(tx: Transaction, jobs: list[NewJob]) -> None:
    if jobs:
        await insert_jobs(
            tx, [(j.id, j.queue, j.topic, j.subject, to_json(j.body), j.key, j.delay_ms) for j in jobs]
        )


async def lease(tx: Transaction, job_id: str, lease_ms: int = LEASE_MS) -> Lease | None:
    """Take the job if it is due and nobody holds it; None when there is nothing to take."""
    found = (await tx.execute(outbox_sql(tx.dialect).lease, (lease_ms, job_id))).first()
    return None if found is None else _lease(job_id, found, lease_ms)


async def lease_at_once(work: UnitOfWork, job_id: str, lease_ms: int = LEASE_MS) -> Lease | None:
    """`lease` in a transaction of its own, which on PostgreSQL is its one statement."""
    if work.database.dialect != "postgresql":
        async with work.begin("outbox.lease") as tx:
            return await lease(tx, job_id, lease_ms)
    async with work.quick("outbox.lease") as quick:
        found = await quick.write(outbox_sql("postgresql").lease, lease_ms, job_id)
    return _lease(job_id, found[0], lease_ms) if found else None


def _lease(job_id: str, found: Any, lease_ms: int) -> Lease:
    token, queue, topic, subject, body, attempts, until, age = found
    return Lease(
        id=job_id,
        token=token,
        queue=queue,
        topic=topic,
        subject=subject,
        body=msgspec.json.decode(body),
        lease_ms=lease_ms,
        attempt=attempts,
        until_ms=until,
        age_ms=age,
    )


async def renew(tx: Transaction, lease: Lease) -> None:
    await _held(tx, outbox_sql(tx.dialect).renew, (lease.lease_ms, lease.id, lease.token), lease)


async def done(tx: Transaction, lease: Lease) -> None:
    await _held(tx, outbox_sql(tx.dialect).done, (lease.id, lease.token), lease)


async def _held(tx: Transaction, sql: str, parameters: tuple[Any, ...], lease: Lease) -> None:
    """A write behind the lease that brings the clock back with it."""
    found = (await tx.execute(sql, parameters)).first()
    if found is None:
        raise _lost(lease)
    tx.saw_now(found[0])


async def later(tx: Transaction, lease: Lease, *, delay: float, error: str | None) -> None:
    """Give the job back; it is due again in `delay` seconds."""
    await _owned(
        tx, outbox_sql(tx.dialect).later, (round(delay * 1000), _cut(error), lease.id, lease.token), lease
    )


async def dead(tx: Transaction, lease: Lease, *, error: str) -> None:
    """Stop trying. The row stays, with its last error, for the operator's redrive."""
    await _owned(tx, outbox_sql(tx.dialect).dead, (_cut(error), lease.id, lease.token), lease)


async def redrive(tx: Transaction, job_id: str) -> bool:
    """Bring a dead job back, due now, attempts counted from zero. False when it is not dead."""
    return (await tx.execute(outbox_sql(tx.dialect).redrive, (job_id,))).rowcount == 1


async def due(tx: Transaction, queue: str, limit: int = 200) -> list[str]:
    """Ids of jobs that are due, or whose holder has gone, oldest first. The sweep's question."""
    found = await tx.execute(outbox_sql(tx.dialect).due, (queue, limit))
    return [str(row[0]) for row in found]


async def _owned(tx: Transaction, sql: str, parameters: tuple[Any, ...], lease: Lease) -> None:
    if (await tx.execute(sql, parameters)).rowcount != 1:
        raise _lost(lease)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost("lease_lost", f"The lease on {lease.id} is over", job=lease.id, topic=lease.topic)


def _cut(error: str | None) -> str | None:
    return None if error is None else error.replace("\0", "")[:2000]
