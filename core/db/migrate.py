"""Brings a database to the newest schema. Called by `hub migrate`, `hub up`, `hub demo` and the tests; the only file that
imports Alembic."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from core.db.engine import UNLIMITED, Database
from core.db.revision import MIGRATIONS
from core.db.unit_of_work import away

_LOCK = 7_231_840_915  # any constant of ours: two processes that start at once migrate one after the other


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


async def upgrade(database: Database, revision: str = "head") -> None:
    """Raises Unavailable when the database is away."""
    with away():
        await _upgrade(database, revision)


async def _upgrade(database: Database, revision: str) -> None:
    async with database.engine.begin() as connection:
        if database.dialect == "postgresql":
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.exec_driver_sql(UNLIMITED)
        await connection.run_sync(_run, revision)


async def downgrade(database: Database, revision: str) -> None:
    async with database.engine.begin() as connection:
        if database.dialect == "postgresql":
            await connection.exec_driver_sql(UNLIMITED)
        config = _config()

        def down(sync: Connection) -> None:
            config.attributes["connection"] = sync
            command.downgrade(config, revision)

        await connection.run_sync(down)


def _run(connection: Connection, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
