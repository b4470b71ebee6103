"""The schema on both databases: up, down and up again; equal to the tables of the code; safe when two processes start at
once; and the rules that the database itself keeps for the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

from core import clock
from core.db.engine import Database
from core.db.metadata import metadata
from core.db.migrate import _config as alembic_config
from core.db.migrate import downgrade, upgrade
from core.db.revision import at_head, newest
from core.db.unit_of_work import UnitOfWork
from core.ledger import accounts
from core.ledger.post import Transfer, post
from tests.conftest import new_postgres_database

SCRIPTS = ScriptDirectory.from_config(alembic_config())


@pytest.fixture
async def empty(database_url: str) -> AsyncGenerator[Database]:
    """A database without a schema."""
    database = Database(database_url)
    yield database
    await database.close()


async def tables(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def everything(database: Database) -> list[tuple[str, ...]]:
    """Every table, index, trigger and function of ours, as the database itself lists them."""
    sql = {
        "sqlite": "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2",
        "postgresql": """
            SELECT 'column', table_name || '.' || column_name, data_type || ' ' || is_nullable || ' '
                   || coalesce(column_default, '') FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
                      WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            ORDER BY 1, 2, 3""",
    }[database.dialect]
    async with database.engine.connect() as connection:
        return [tuple(map(str, row)) for row in await connection.execute(text(sql))]


async def test_up_down_and_up_again(empty: Database) -> None:
    assert not await at_head(empty)
    await upgrade(empty)
    assert await at_head(empty)
    first = await everything(empty)
    await downgrade(empty, "base")
    assert await tables(empty) == {"alembic_version"}
    assert [row for row in await everything(empty) if row[0] in ("trigger", "function")] == []
    assert not await at_head(empty)
    await upgrade(empty)
    assert await everything(empty) == first


async def test_every_step_can_be_taken_back(empty: Database) -> None:
    """Each revision alone: to it, back before it, to it again."""
    for script in reversed(list(SCRIPTS.walk_revisions())):
        await upgrade(empty, script.revision)
        after = await everything(empty)
        await downgrade(empty, str(script.down_revision or "base"))
        await upgrade(empty, script.revision)
        assert await everything(empty) == after
    assert await at_head(empty)


async def test_upgrading_what_is_at_head_changes_nothing(database: Database) -> None:
    before = await everything(database)
    await upgrade(database)
    assert await everything(database) == before


def test_the_migrations_are_one_line() -> None:
    """Two heads would make `hub migrate` refuse."""
    assert SCRIPTS.get_heads() == [newest()]  # by Alembic and by the text of the files
    assert len(SCRIPTS.get_bases()) == 1


def test_every_migration_says_what_it_does_and_bears_its_date() -> None:
    for script in SCRIPTS.walk_revisions():
        assert script.doc
        assert script.path.rpartition("/")[2].startswith(script.revision)


async def test_the_schema_is_that_of_the_code(database: Database) -> None:
    """Alembic's own comparison, types and defaults too. Nothing is left out."""
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences, metadata) == []


async def test_the_comparison_finds_a_column_that_is_missing(database: Database) -> None:
    other = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(other)
    tasks = other.tables["tasks"]
    tasks._columns.remove(tasks.c.payload)
    async with database.engine.connect() as connection:
        [difference] = await connection.run_sync(_differences, other)
    assert difference[0] == "remove_column"


def _differences(connection: Connection, wanted: MetaData) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, wanted))


async def test_two_at_once_migrate_one_after_the_other(postgres_server: str) -> None:
    """As when three containers start together. PostgreSQL's advisory lock makes the second wait, not fail."""
    url = await new_postgres_database(postgres_server)
    several = [Database(url) for _ in range(3)]
    await asyncio.gather(*(upgrade(one) for one in several))
    assert [await at_head(one) for one in several] == [True, True, True]
    await asyncio.gather(*(one.close() for one in several))


# What the database itself keeps of the ledger, whoever writes (core/db/ledger_triggers.py).

FROM, TO = accounts.capital("test"), accounts.prefund("org_1", "test")


@pytest.fixture
async def booked(work: UnitOfWork) -> Database:
    """A ledger with one transfer of 5,000 msat."""
    async with work.begin("test.post") as tx:
        transfer = Transfer(id="t1", debit=FROM, credit=TO, amount_msat=5_000, kind="credit", subject="org_1")
        await post(tx, [transfer])
    return work.database


async def refused(database: Database, sql: str) -> str:
    with pytest.raises(DBAPIError) as caught:
        async with database.engine.begin() as connection:
            await connection.execute(text(sql))
    return str(caught.value.orig)


async def balances(database: Database) -> dict[str, tuple[int, int]]:
    async with database.engine.connect() as connection:
        found = await connection.execute(text("SELECT id, debits_msat, credits_msat FROM ledger_accounts"))
        return {row[0]: (row[1], row[2]) for row in found}


async def test_a_transfer_is_added_to_both_accounts_by_the_database(booked: Database) -> None:
    assert await balances(booked) == {FROM.id: (5_000, 0), TO.id: (0, 5_000)}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE ledger_transfers SET amount_msat = 1", "append only"),
        ("UPDATE ledger_transfers SET subject = 'org_2' WHERE id = 't1'", "append only"),
        ("DELETE FROM ledger_transfers", "append only"),
        ("DELETE FROM ledger_accounts", "ledger"),
    ],
)
async def test_the_ledger_cannot_be_changed(booked: Database, sql: str, message: str) -> None:
    assert message in await refused(booked, sql)
    assert await balances(booked) == {FROM.id: (5_000, 0), TO.id: (0, 5_000)}


async def test_the_ledger_cannot_be_emptied(booked: Database) -> None:
    """SQLite has no TRUNCATE; its DELETE without WHERE fires the triggers."""
    if booked.dialect == "postgresql":
        assert "append only" in await refused(booked, "TRUNCATE ledger_transfers")
        assert "append only" in await refused(booked, "TRUNCATE ledger_accounts CASCADE")
    assert await balances(booked) == {FROM.id: (5_000, 0), TO.id: (0, 5_000)}


@pytest.mark.parametrize(
    ("debit", "credit", "amount", "constraint"),
    [
        (FROM.id, TO.id, 0, "amount"),
        (FROM.id, TO.id, -1, "amount"),
        (TO.id, TO.id, 1, "two_sides"),
        (TO.id, FROM.id, 5_001, "floor"),
        ("nobody", TO.id, 1, "FOREIGN KEY|foreign key"),
    ],
)
async def test_a_transfer_that_breaks_the_books_is_refused(
    booked: Database, debit: str, credit: str, amount: int, constraint: str
) -> None:
    now = clock.now_ms()
    message = await refused(
        booked,
        "INSERT INTO ledger_transfers (id, debit_account, credit_account, amount_msat, kind, subject, created_at) "
        f"VALUES ('t2', '{debit}', '{credit}', {amount}, 'credit', 'org_1', {now})",
    )
    assert any(part in message for part in constraint.split("|"))
    assert await balances(booked) == {FROM.id: (5_000, 0), TO.id: (0, 5_000)}
