"""Connections of the quick lanes: handed on between them, never all of the pool, and not after their server has ended them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Unavailable
from tests.conftest import new_postgres_database
from tests.wait import wait_until

PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def work(request: pytest.FixtureRequest) -> AsyncGenerator[UnitOfWork]:
    database = Database(await new_postgres_database(request.getfixturevalue("postgres_server")), pool_size=2)
    yield UnitOfWork(database)
    await database.close()


async def pid(work: UnitOfWork) -> int:
    async with work.quick("test.quick") as quick:
        return (await quick.read(PID))[0][0]


async def end(work: UnitOfWork, backend: int) -> None:
    async with work.begin("test.end") as tx:
        await tx.execute("SELECT pg_terminate_backend($1::int)", (backend,))


async def busy(work: UnitOfWork) -> int:
    async with work.quick("test.busy") as quick:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT pg_sleep(10)'"
        return (await quick.read(f"{sql} AND state = 'active'"))[0][0]


async def test_the_next_lane_has_the_connection_of_the_last(work: UnitOfWork) -> None:
    assert len({await pid(work) for _ in range(3)}) == 1


async def test_one_that_the_server_ended_meanwhile_is_replaced(work: UnitOfWork) -> None:
    before = await pid(work)
    await end(work, before)
    [idle] = work.database.idle._free

    async def noticed() -> bool:
        return idle.driver.is_closed()

    await wait_until(noticed, timeout=10)
    assert await pid(work) != before


async def test_one_that_the_server_ends_in_a_statement_is_an_unavailable_and_replaced(
    work: UnitOfWork,
) -> None:
    before = await pid(work)

    async def cut() -> None:
        async with work.quick("test.cut") as quick:
            await quick.read("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Unavailable):
        await cut()
    assert await pid(work) != before


async def test_one_that_was_interrupted_in_a_statement_serves_again(work: UnitOfWork) -> None:
    async def slow() -> None:
        async with work.quick("test.slow") as quick:
            await quick.read("SELECT pg_sleep(10)")

    async def begun() -> bool:
        return await busy(work) == 1

    running = asyncio.create_task(slow())
    await wait_until(begun, timeout=10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.gather(*(pid(work) for _ in range(8)))


async def test_many_at_once_leave_the_pool_to_others(work: UnitOfWork) -> None:
    pids = await asyncio.gather(*(pid(work) for _ in range(6)))
    assert len(set(pids)) > 1
    async with asyncio.timeout(10):  # all but the one that is kept: two of the pool and four beyond, less one
        opened = [await work.database.engine.connect() for _ in range(5)]
    for connection in opened:
        await connection.close()
