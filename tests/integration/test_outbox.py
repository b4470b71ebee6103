"""The outbox on both databases: one holder at a time, fences, lost leases, timers."""

from __future__ import annotations

import asyncio

import pytest

from core.db.unit_of_work import UnitOfWork, refuse_open_transaction
from core.errors import LeaseLost
from core.outbox import rows


async def emit(work: UnitOfWork, **options: object) -> str:
    async with work.begin("test.emit") as tx:
        tx.emit("test.topic", "subject", **options)
        return tx.jobs[0].id


async def test_a_job_is_leased_once_and_ends_with_its_effects(work: UnitOfWork) -> None:
    job = await emit(work, body={"n": 1})
    async with work.begin("outbox.lease") as tx:
        lease = await rows.lease(tx, job)
        assert await rows.lease(tx, job) is None
    assert lease is not None
    assert (lease.token, lease.attempt, lease.body) == (1, 1, {"n": 1})
    async with work.finishing(lease, "test.effect") as tx:
        tx.emit("test.next", "subject")
    with pytest.raises(LeaseLost):
        async with work.finishing(lease, "test.effect"):
            pass


async def test_eight_at_once_one_wins(work: UnitOfWork) -> None:
    job = await emit(work)

    async def take() -> rows.Lease | None:
        async with work.begin("outbox.lease") as tx:
            return await rows.lease(tx, job)

    taken = await asyncio.gather(*(take() for _ in range(8)))
    assert len([lease for lease in taken if lease]) == 1


async def test_a_holder_that_slept_past_its_lease_writes_nothing(work: UnitOfWork) -> None:
    job = await emit(work)
    async with work.begin("outbox.lease") as tx:
        late = await rows.lease(tx, job, lease_ms=0)
    assert late is not None
    await asyncio.sleep(0.01)
    with pytest.raises(LeaseLost):
        async with work.finishing(late, "test.effect") as tx:
            tx.emit("test.written_by_the_late", "subject")
    async with work.begin("outbox.lease") as tx:
        again = await rows.lease(tx, job)
        assert await rows.due(tx, "default") == []
    assert again is not None
    assert again.token == 2
    with pytest.raises(LeaseLost):
        async with work.fenced(late, "test.effect"):
            pass


async def test_a_timer_is_not_due_before_its_time(work: UnitOfWork) -> None:
    job = await emit(work, delay=60)
    async with work.begin("test.look") as tx:
        assert await rows.due(tx, "default") == []
        assert await rows.lease(tx, job) is None


async def test_later_dead_and_redrive(work: UnitOfWork) -> None:
    job = await emit(work)
    async with work.begin("outbox.lease") as tx:
        lease = await rows.lease(tx, job)
    assert lease is not None
    async with work.begin("outbox.end") as tx:
        await rows.dead(tx, lease, error="refused: \0 field name")
        assert await rows.due(tx, "default") == []
        assert await rows.redrive(tx, job)
        assert not await rows.redrive(tx, job)
        assert await rows.due(tx, "default") == [job]


async def test_the_same_key_is_one_job(work: UnitOfWork) -> None:
    for _ in range(3):
        await emit(work, key="task:1:stop")
    async with work.begin("test.look") as tx:
        assert len(await rows.due(tx, "default")) == 1


async def test_no_call_to_the_outside_inside_a_transaction(work: UnitOfWork) -> None:
    async with work.begin("test.open"):
        with pytest.raises(RuntimeError, match=r"inside the open transaction 'test\.open'"):
            refuse_open_transaction()
    refuse_open_transaction()


async def test_nothing_is_written_when_the_block_raises(work: UnitOfWork) -> None:

    async def fail() -> None:
        async with work.begin("test.fail") as tx:
            tx.emit("test.topic", "subject")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    async with work.begin("test.look") as tx:
        assert await rows.due(tx, "default") == []
