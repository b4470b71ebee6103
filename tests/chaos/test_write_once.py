"""kill -9 at every commit point of the reply machine while the ticket system misbehaves: a fresh process finishes, and
the ticket carries one note, of an answer as of its correction. All cells on SQLite; on PostgreSQL the fault that leaves the most doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.db.engine import Database
from core.db.migrate import upgrade
from tests.chaos.write_once_matrix import AT_ONCE, FAULTS, every_cell, matrix, sqlite_databases, table
from tests.chaos.write_once_vendors import vendors
from tests.conftest import new_postgres_database

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


async def test_one_note_on_sqlite(tmp_path: Path) -> None:
    async with matrix(await sqlite_databases(tmp_path), tmp_path / "processes.log") as ready:
        outcomes = await ready.run(vendors(), every_cell(vendors(), FAULTS))
    print(table(outcomes))
    assert [one for one in outcomes if one.problem] == []
    assert len(outcomes) == len(vendors()) * 8 * 7


async def test_one_note_on_postgresql(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = await new_postgres_database(request.getfixturevalue("postgres_server"))
    database = Database(url)
    await upgrade(database)
    await database.close()
    async with matrix([url] * AT_ONCE, tmp_path / "processes.log") as ready:
        outcomes = await ready.run(vendors(), every_cell(vendors(), ["none", "reset after"]))
    print(table(outcomes))
    assert [one for one in outcomes if one.problem] == []


async def test_one_note_of_a_correction(tmp_path: Path) -> None:
    """What tells the ticket that its answer was wrong goes the same way, and is killed on it as well."""
    async with matrix(await sqlite_databases(tmp_path), tmp_path / "processes.log") as ready:
        cells = every_cell(vendors(), ["none", "reset after"], correction=True)
        outcomes = await ready.run(vendors(), cells)
    print(table(outcomes))
    assert [one for one in outcomes if one.problem] == []
    assert len(outcomes) == len(vendors()) * 8 * 2
    assert sum(one.killed for one in outcomes) == len(outcomes)
