"""Which schema this code expects and whether a database carries it. Without Alembic, whose import costs each process
that only asks 12 MB; `core/db/migrate.py` is what changes schemas. Called by `/readyz` and the command line."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from sqlalchemy import Connection, inspect

from core.db.engine import Database
from core.db.unit_of_work import away

MIGRATIONS = Path(__file__).parent / "migrations"
_TABLE = "alembic_version"  # Alembic's own: one row for each head


_REVISION = re.compile(r'^(down_)?revision = "(\w+)"', re.MULTILINE)


@functools.cache
def newest() -> str:
    """The id of the last migration: the one that no other follows. They form one line, whatever their files are called.
    Raises RuntimeError when they do not."""
    told = [
        (down, name)
        for path in (MIGRATIONS / "versions").glob("*.py")
        for down, name in _REVISION.findall(path.read_text())
    ]
    followed = {name for down, name in told if down}
    last = [name for down, name in told if not down and name not in followed]
    if len(last) != 1:
        raise RuntimeError(f"the migrations end in {sorted(last)}; they must be one line")
    return last[0]


async def at_head(database: Database) -> bool:
    """True when the database carries exactly the schema of this code. Raises Unavailable when it is away."""
    with away():
        async with database.engine.connect() as connection:
            await connection.execution_options(reading=True)
            return await connection.run_sync(_revisions) == [newest()]


def _revisions(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(_TABLE):
        return []
    return list(connection.exec_driver_sql(f"SELECT version_num FROM {_TABLE}").scalars())  # noqa: S608 - a constant
