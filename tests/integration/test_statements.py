"""`Transaction.execute` on the driver itself: the errors are those of SQLAlchemy, and a connection that was left in the middle
of a statement is not used again."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from core.db.straight import PREPARED
from core.db.unit_of_work import UnitOfWork
from core.errors import Unavailable

_TABLE = "CREATE TABLE kept (id TEXT PRIMARY KEY, n BIGINT NOT NULL CONSTRAINT ck_kept CHECK (n > 0))"


async def _kept(work: UnitOfWork) -> list[tuple[str, int]]:
    async with work.begin("test.look") as tx:
        return list((await tx.execute("SELECT id, n FROM kept ORDER BY id")).all())


async def _prepared(work: UnitOfWork) -> None:
    async with work.begin("test.table") as tx:
        await tx.execute(_TABLE)
        insert = "INSERT INTO kept (id, n) VALUES ({}, {})".format(*_marks(work))
        assert (await tx.execute(insert, ("a", 1))).rowcount == 1
        await tx.execute(insert, [("b", 2), ("c", 3)])
        assert (await tx.execute("UPDATE kept SET n = n + 1")).rowcount == 3
        # the session sees what the statement wrote, and the other way round
        await tx.session.execute(text("UPDATE kept SET n = n + 1"))
        assert (await tx.execute("SELECT sum(n) FROM kept")).scalar_one() == 12


def _marks(work: UnitOfWork) -> tuple[str, str]:
    return ("$1", "$2") if work.database.dialect == "postgresql" else ("?1", "?2")


async def test_rows_counts_and_the_session_are_of_one_transaction(work: UnitOfWork) -> None:
    await _prepared(work)
    assert await _kept(work) == [("a", 3), ("b", 4), ("c", 5)]
    async with work.begin("test.found") as tx:
        nothing = await tx.execute("SELECT id FROM kept WHERE n > 100")
        assert (nothing.first(), nothing.one_or_none(), nothing.scalar(), nothing.scalars()) == (
            None,
            None,
            None,
            [],
        )
        all_of_them = await tx.execute("SELECT id FROM kept ORDER BY id")
        assert (all_of_them.scalars(), all_of_them.rowcount if tx.dialect == "postgresql" else 3) == (
            ["a", "b", "c"],
            3,
        )
        with pytest.raises(ValueError, match="one row was expected, none"):
            nothing.one()
        with pytest.raises(ValueError, match="one row was expected, 3"):
            all_of_them.scalar_one()


async def test_a_refused_statement_raises_as_sqlalchemy_does_and_rolls_back(work: UnitOfWork) -> None:
    await _prepared(work)

    async def too_little() -> None:
        async with work.begin("test.refused") as tx:
            await tx.execute("DELETE FROM kept WHERE id = 'b'")
            await tx.execute("UPDATE kept SET n = -1 WHERE id = 'a'")

    with pytest.raises(IntegrityError) as refused:
        await too_little()
    assert "ck_kept" in str(refused.value.orig)
    with pytest.raises(SQLAlchemyError) as unknown:
        async with work.begin("test.unknown") as tx:
            await tx.execute("SELECT nothing FROM kept")
    assert "nothing" in str(unknown.value)
    if work.database.dialect == "postgresql":
        assert isinstance(unknown.value, ProgrammingError)
        assert getattr(unknown.value.orig, "sqlstate", None) == "42703"
    assert await _kept(work) == [("a", 3), ("b", 4), ("c", 5)]


async def test_a_statement_that_is_cut_off_leaves_no_half_connection(work: UnitOfWork) -> None:
    await _prepared(work)

    async def endless() -> None:
        async with work.begin("test.endless") as tx:
            await tx.execute("DELETE FROM kept")
            await tx.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n"
            )

    running = asyncio.create_task(endless())
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await _kept(work) == [("a", 3), ("b", 4), ("c", 5)]


async def test_a_server_that_ends_the_session_is_unavailable_and_the_next_transaction_works(
    work: UnitOfWork,
) -> None:
    if work.database.dialect != "postgresql":
        return  # there is no server
    await _prepared(work)

    async def ended() -> None:
        async with work.begin("test.ended") as tx:
            [me] = (await tx.execute("SELECT pg_backend_pid()")).one()
            async with work.database.apart().engine.connect() as other:
                await other.exec_driver_sql("SELECT pg_terminate_backend($1::int)", (me,))
            await tx.execute("SELECT id FROM kept")

    with pytest.raises(Unavailable):
        await ended()
    assert await _kept(work) == [("a", 3), ("b", 4), ("c", 5)]


async def test_a_plan_that_a_migration_outdated_is_made_anew(work: UnitOfWork) -> None:
    await _prepared(work)
    async with work.begin("test.wide") as tx:
        assert (await tx.execute("SELECT * FROM kept WHERE id = 'a'")).one() == ("a", 3)
    async with work.begin("test.migrate") as tx:
        await tx.execute("ALTER TABLE kept ADD COLUMN word TEXT")
    for _ in range(2):  # the first may meet the old plan
        try:
            async with work.begin("test.wide") as tx:
                assert (await tx.execute("SELECT * FROM kept WHERE id = 'a'")).one() == ("a", 3, None)
                return
        except SQLAlchemyError:
            continue
    raise AssertionError("the outdated plan was kept")


async def test_more_statements_than_are_kept_prepared(work: UnitOfWork) -> None:
    async with work.begin("test.many") as tx:
        for number in range(PREPARED + 5):
            assert (await tx.execute(f"SELECT {number}")).scalar_one() == number
        assert (await tx.execute("SELECT 0")).scalar_one() == 0
