"""Keeps the ledger's chain up to date: a loop in the money worker, started by `hub work --queue money`. Not a job of the
outbox: that would be a row a second, and every check and export seals for itself before it looks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from core.db.unit_of_work import UnitOfWork
from core.errors import Unavailable
from core.ledger.chain import SEALED_WITHIN_MS
from core.ledger.seal import seal_all

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
SHORT_LOOK_MS = 30_000  # a transaction rarely lives longer; the few that do are found by the long look
LONG_LOOK_EVERY = 60  # turns


@contextlib.asynccontextmanager
async def sealing(work: UnitOfWork, *, here: bool) -> AsyncGenerator[None]:
    """While it is open the chain grows; nothing happens when it is not `here`. At the end the batch in hand is finished:
    a transaction is never cancelled (DECISIONS.md, 8)."""
    stop = asyncio.Event()
    task = asyncio.create_task(seal_until(stop, work)) if here else None
    try:
        yield
    finally:
        stop.set()
        if task is not None:
            await task


async def seal_until(stop: asyncio.Event, work: UnitOfWork) -> None:
    """Never raises: what could not be sealed is sealed a second later."""
    turn = 0
    while not stop.is_set():
        try:
            look_back = SHORT_LOOK_MS if turn % LONG_LOOK_EVERY else SEALED_WITHIN_MS
            await seal_all(work, look_back_ms=look_back)
        except Unavailable as error:
            log.warning("sealing: %s", error.message)
        except Exception:
            log.exception("sealing the ledger failed; trying again")
        turn += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
