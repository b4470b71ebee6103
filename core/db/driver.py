"""Opens PostgreSQL's own driver with what cannot be told to every server at the start. Used by `core/db/engine.py`."""

from __future__ import annotations

from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs] - asyncpg ships none; only this file and quick.py import it

_driver: Any = asyncpg

# A process that is frozen between the messages of one statement (asyncpg sends Parse with a Flush, not with a Sync) keeps
# its session "active" and its row locks for ever: neither the statement's limit nor that of an idle transaction ends that, only this one does. It came with
# PostgreSQL 17, and an unknown setting would refuse the connection: it is set where it is known.
_TRANSACTION_LIMIT = """
    SELECT set_config(name, '30s', false) FROM pg_settings WHERE name = 'transaction_timeout'
"""


async def connect_postgres(**options: Any) -> Any:
    """An asyncpg connection (SQLAlchemy's `async_creator_fn`)."""
    connection = await _driver.connect(**options)
    await connection.execute(_TRANSACTION_LIMIT)
    return connection
