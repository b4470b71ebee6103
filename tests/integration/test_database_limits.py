"""No session keeps its locks for ever: what our connections are told, and that it ends the one state that
PostgreSQL's older limits do not end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import text

from core.db.engine import UNLIMITED, Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Unavailable
from tests.conftest import new_postgres_database
from tests.wait import wait_until


@pytest.fixture
async def postgres(request: pytest.FixtureRequest) -> AsyncGenerator[Database]:
    database = Database(await new_postgres_database(request.getfixturevalue("postgres_server")))
    yield database
    await database.close()


async def shown(connection: Any, name: str) -> str:
    return (await connection.execute(text(f"SHOW {name}"))).scalar_one()


async def test_a_transaction_ends_after_half_a_minute_unless_it_says_that_it_takes_longer(
    postgres: Database,
) -> None:
    async with postgres.engine.connect() as connection:
        assert await shown(connection, "transaction_timeout") == "30s"
        await connection.rollback()
        await connection.execute(text(UNLIMITED))
        assert await shown(connection, "transaction_timeout") == "0"
        assert await shown(connection, "statement_timeout") == "0"
        await connection.rollback()
        assert await shown(connection, "transaction_timeout") == "30s"
        assert await shown(connection, "statement_timeout") == "15s"


async def test_a_client_frozen_between_parse_and_execute_loses_its_locks(postgres: Database) -> None:
    """Such a session is "active" and reads: neither the statement's limit nor that of an idle transaction ends it."""
    async with postgres.engine.connect() as frozen, postgres.engine.connect() as other:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            await frozen.execute(text(f"SET {name} = '500ms'"))
        await frozen.execute(text("SET transaction_timeout = '2s'"))
        await frozen.commit()  # a running transaction keeps the limit that it began with
        await frozen.execute(text("SELECT pg_advisory_xact_lock(4711)"))
        driver: Any = (await frozen.get_raw_connection()).driver_connection
        await driver.prepare("SELECT 1 AS asked_and_never_run")  # ends with a Flush, and then nothing comes

        async def free() -> bool:
            taken = (await other.execute(text("SELECT pg_try_advisory_xact_lock(4711)"))).scalar_one()
            await other.rollback()
            return taken

        try:
            assert not await free()
            await wait_until(free, timeout=10)
        finally:
            driver.terminate()
            await frozen.invalidate()


async def test_a_lock_that_is_not_had_in_time_is_a_wait_and_not_a_fault(postgres: Database) -> None:
    async def wait_in_vain() -> None:
        async with UnitOfWork(postgres).begin("test.wait") as tx:
            await tx.session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await tx.session.execute(text("SELECT pg_advisory_xact_lock(4711)"))

    async with postgres.engine.connect() as holder:
        await holder.execute(text("SELECT pg_advisory_xact_lock(4711)"))
        with pytest.raises(Unavailable) as raised:
            await wait_in_vain()
    assert raised.value.code == "database_unavailable"


async def test_a_read_through_years_of_rows_has_no_limit(postgres: Database) -> None:
    work = UnitOfWork(postgres)
    async with work.read() as session:
        assert await shown(session, "transaction_timeout") == "30s"
    async with work.read(unlimited=True) as session:
        assert await shown(session, "transaction_timeout") == "0"
        assert await shown(session, "statement_timeout") == "0"
