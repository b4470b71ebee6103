"""Single statements on PostgreSQL's own driver, for the two lanes (deliveries in, tasks created) where BEGIN, the ORM and
COMMIT cost five times the work. Opened by `UnitOfWork.quick`; the only file that knows asyncpg's errors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs] - asyncpg ships none; only this file and driver.py import it

from core import crash
from core.db.idle import Idle
from core.errors import Unavailable
from core.outbox.rows import NewJob

_errors: Any = asyncpg
_LOST = (
    _errors.PostgresConnectionError,
    _errors.InterfaceError,
    _errors.OperatorInterventionError,  # the server is stopping, or somebody ended our backend
    ConnectionError,
    TimeoutError,
)
_AWAY = (_errors.InsufficientResourcesError, _errors.LockNotAvailableError, _errors.DeadlockDetectedError)


class Refused(Exception):
    """A constraint of the database said no; nothing was written."""

    def __init__(self, constraint: str):
        super().__init__(constraint)
        self.constraint = constraint


class Quick:
    """Statements that are committed when they return. `jobs`: the outbox rows that they wrote, for the nudge."""

    def __init__(self, name: str, driver: Any):
        self.name = name
        self.jobs: list[NewJob] = []
        self._driver = driver

    async def read(self, sql: str, *parameters: Any) -> list[Any]:
        return await self._driver.fetch(sql, *parameters)

    async def write(self, sql: str, *parameters: Any) -> list[Any]:
        """The rows that came back, once they are on disk. Raises Refused."""
        crash.reach(f"{self.name}:before")
        try:
            found = await self._driver.fetch(sql, *parameters)
        except _errors.IntegrityConstraintViolationError as error:
            raise Refused(str(error.constraint_name)) from error
        crash.reach(f"{self.name}:after")
        return found


@contextlib.asynccontextmanager
async def opened(name: str, idle: Idle) -> AsyncGenerator[Quick]:
    """On a connection that another such lane has just left, or one of SQLAlchemy's pool. A driver that lost its server is not
    given back to it; one that was interrupted goes through the pool, which looks to it."""
    drawn = await idle.draw()
    try:
        yield Quick(name, drawn.driver)
    except _LOST as error:
        await idle.lost(drawn, error)
        raise Unavailable("database_unavailable", f"The database connection broke ({error})") from error
    except _AWAY as error:
        await idle.back(drawn)
        raise Unavailable(
            "database_unavailable", f"The database does not answer; nothing was changed ({error})"
        ) from error
    except BaseException:
        await idle.back(drawn)
        raise
    await idle.put(drawn)
