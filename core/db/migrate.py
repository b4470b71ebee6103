"""Brings a database to the newest schema, or tells whether it is there. Called by `hub migrate`, `hub up`, `/readyz`
and the tests."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from core.db.engine import Database
from core.db.unit_of_work import away

_LOCK = 7_231_840_915  # any constant of ours: two processes that start at once migrate one after the other


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def upgrade(database: Database, revision: str = "head") -> None:
    """Raises Unavailable when the database is away."""
    with away():
        await _upgrade(database, revision)


async def _upgrade(database: Database, revision: str) -> None:
    async with database.engine.begin() as connection:
        if database.dialect == "postgresql":
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        await connection.run_sync(_run, revision)


async def downgrade(database: Database, revision: str) -> None:
    async with database.engine.begin() as connection:
        config = _config()

        def down(sync: Connection) -> None:
            config.attributes["connection"] = sync
            command.downgrade(config, revision)

        await connection.run_sync(down)


async def at_head(database: Database) -> bool:
    """True when the database carries exactly the schema of this code."""
    with away():
        current = await _current(database)
    return set(current) == set(ScriptDirectory.from_config(_config()).get_heads())


async def _current(database: Database) -> tuple[str, ...]:
    async with database.engine.connect() as connection:
        await connection.execution_options(reading=True)
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())


def _run(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
