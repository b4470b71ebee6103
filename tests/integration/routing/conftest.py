"""What the tests of the directory share."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from core.db.unit_of_work import UnitOfWork
from core.routing.directory.follow import Follower
from core.routing.directory.registry import followers


@pytest.fixture
async def follower(work: UnitOfWork) -> AsyncGenerator[Follower]:
    """One that looks when it is told to."""
    made = Follower(work)
    await made.rebuild()
    followers[work.database] = made
    yield made
    followers.pop(work.database, None)
