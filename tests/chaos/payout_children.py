"""The harness's hands on the processes of `payout_process.py`: start, freeze, wake and kill them, and know how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.chaos.payout_process import Order, Told


class Child:
    """One process. `ended` gives 0, or minus the signal that killed it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0
        self.begun: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.stopped = asyncio.Event()

    async def signal(self, number: int) -> None:
        """To a process that may be gone already."""
        pid = await asyncio.shield(self.begun)
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def over(self) -> int:
        """How it ended; whoever is tired of waiting for it does not end it."""
        return await asyncio.shield(self.ended)

    async def kill(self) -> int:
        await self.signal(signal.SIGKILL)
        return await self.over()

    async def freeze(self) -> None:
        await self.signal(signal.SIGSTOP)
        await self.stopped.wait()

    async def wake(self) -> None:
        await self.signal(signal.SIGCONT)


class Children:
    """The forking process, and what it told of each child."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process
        self._known: dict[int, Child] = {}

    async def start(self, order: Order) -> Child:
        assert self._process.stdin is not None
        number = len(self._known) + 1
        child = self._known[number] = Child()
        self._process.stdin.write(msgspec.json.encode(msgspec.structs.replace(order, number=number)) + b"\n")
        await self._process.stdin.drain()
        return child

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = msgspec.json.decode(line, type=Told)
            child = self._known[told.number]
            if told.status is not None:
                child.ended.set_result(told.status)
            elif told.stopped:
                child.stopped.set()
            else:
                child.pid = told.pid
                child.begun.set_result(told.pid)

    async def end(self) -> None:
        """Kill what still lives, and wait for the forking process."""
        assert self._process.stdin is not None
        for child in self._known.values():
            await child.signal(signal.SIGKILL)
        self._process.stdin.close()
        await self._process.wait()


@asynccontextmanager
async def children(log: Path) -> AsyncIterator[Children]:
    """What the processes log goes to `log`."""
    with log.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.payout_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
        )
    known = Children(process)
    listener = asyncio.create_task(known.listen())
    try:
        yield known
    finally:
        await known.end()
        await listener
