"""Keeps the processes of `hub up` alive (web, workers, money worker, simulator): starts them, restarts what dies,
passes their output on, ends them together. Linux; elsewhere a killed supervisor leaves its children running."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import msgspec

from core import clock
from core.errors import HubError

log = logging.getLogger(__name__)

LINE_BYTES = 65_536  # a longer line is passed on in pieces
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # loaded before any fork


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """One process to keep: `env` is added to ours. Its name stands before its lines."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = {}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When to restart, when to give up, how long to wait at the end. Times in seconds."""

    backoff: float = 0.2  # before the first restart, doubled each time
    backoff_cap: float = 5.0
    deaths: int = 5  # so many of one child …
    within: float = 60.0  # … within this long, and the supervisor gives up; living longer clears its record
    grace: float = 20.0  # from SIGTERM to SIGKILL


class Supervisor:
    """`await run()` returns the exit code: 0 after SIGTERM, SIGINT, SIGHUP or `stop()`, 1 when a child kept dying.

    `first` runs to its end before the others start, and they do not start when it fails (its exit code is then ours);
    `started` is set when they do. `out` takes the children's lines, prefixed with their name when `prefix` is set (leave it off for JSON logs).
    `watch` is called each second in a thread, for what is kept alive otherwise (`EmbeddedValkey.ensure`).
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        first: Child | None = None,
        policy: Policy | None = None,
        out: BinaryIO | None = None,
        prefix: bool = True,
        watch: Callable[[], None] | None = None,
    ):
        self.pids: dict[str, int] = {}
        self.started = asyncio.Event()
        self._children = children
        self._first = first
        self._policy = policy or Policy()
        self._out = out or sys.stderr.buffer
        self._width = (
            max((len(child.name) for child in (*children, *([first] if first else ()))), default=0)
            if prefix
            else None
        )
        self._watch = watch
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            if self._first is not None and not await self._succeeds(self._first):
                return self._exit_code
            self.started.set()
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(self._keep(child))
                if self._watch is not None:
                    group.create_task(self._watch_each_second(self._watch))
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
        return self._exit_code

    def stop(self) -> None:
        """SIGTERM to every child, SIGKILL after the grace period; called again: SIGKILL now."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def _succeeds(self, first: Child) -> bool:
        code = await self._run_once(first)
        if code != 0 and not self._stopping.is_set():
            log.error("%s ended (%s); nothing else is started", first.name, _ending(code))
            self._exit_code = code if code > 0 else 1
        return code == 0 and not self._stopping.is_set()

    async def _keep(self, child: Child) -> None:
        policy, failures = self._policy, 0
        deaths: deque[float] = deque(maxlen=policy.deaths)
        while not self._stopping.is_set():
            started = clock.monotonic()
            code = await self._run_once(child)
            if self._stopping.is_set():
                return
            died = clock.monotonic()
            deaths.append(died)
            if len(deaths) == policy.deaths and died - deaths[0] <= policy.within:
                log.error("%s ended %d times within %g s (last: %s); giving up", child.name, policy.deaths, policy.within, _ending(code))  # fmt: skip
                self._exit_code = 1
                self.stop()
                return
            failures = 0 if died - started > policy.within else failures + 1
            pause = min(policy.backoff_cap, policy.backoff * 2 ** max(0, failures - 1))
            log.warning("%s ended (%s); starting it again in %g s", child.name, _ending(code), pause)
            await self._sleep(pause)

    async def _run_once(self, child: Child) -> int:
        """Start it, wait for its end or for ours; its return code, negative for a signal, 127 when it cannot run."""
        # A pipe of our own: asyncio's `wait()` would last until the child's own children close theirs too.
        source, sink = os.pipe()
        forward = asyncio.create_task(self._forward(child.name, source))
        try:
            process = await asyncio.create_subprocess_exec(
                *child.argv,
                env={**os.environ, **child.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                process_group=0,  # Ctrl-C reaches us alone; and a SIGKILL takes its own children along
                preexec_fn=functools.partial(_die_with, os.getpid()) if _LIBC else None,
            )
        except OSError as error:
            log.warning("%s cannot be started: %s", child.name, error)
            return 127
        finally:
            os.close(sink)
        self.pids[child.name] = process.pid
        ended = asyncio.create_task(process.wait())
        try:
            await self._until_ended(process, ended)
        finally:
            # What it left behind would hold its port and its output pipe.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = await ended
            del self.pids[child.name]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(forward, 1.0)
        return code

    async def _until_ended(self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await asyncio.wait(
                    {ended, hurry}, timeout=self._policy.grace, return_when=asyncio.FIRST_COMPLETED
                )
                if not ended.done():
                    log.warning("process %d did not end in time and is killed", process.pid)
        finally:
            stopping.cancel()
            hurry.cancel()

    async def _forward(self, name: str, source: int) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: protocol, os.fdopen(source, "rb")
        )
        rest = b""
        try:
            while chunk := await reader.read(LINE_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) >= LINE_BYTES:
                    lines.append(rest)
                    rest = b""
                self._write(name, lines)
        finally:
            transport.close()
            self._write(name, [rest] if rest else [])

    def _write(self, name: str, lines: list[bytes]) -> None:
        head = b"" if self._width is None else f"{name:<{self._width}} | ".encode()
        with contextlib.suppress(OSError, ValueError):  # our own output is closed: the children still run
            self._out.write(b"".join(head + line + b"\n" for line in lines))
            self._out.flush()

    async def _watch_each_second(self, watch: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(watch)
            except (HubError, OSError) as error:
                log.warning("%s", error)
            await self._sleep(1.0)

    async def _sleep(self, seconds: float) -> None:
        """Until the time is over or the supervisor stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _die_with(parent: int) -> None:
    """In the child, before exec: have the kernel send SIGTERM when the supervisor dies, however it dies. Children
    are forked from the main thread only, for the kernel means the forking thread (prctl(2), PR_SET_PDEATHSIG)."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


def _ending(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
