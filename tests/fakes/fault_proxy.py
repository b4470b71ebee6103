"""A TCP proxy that misbehaves on demand, for tests that put it between the hub and a server. Its faults are those
of Toxiproxy (latency, bandwidth, limit_data, reset_peer, timeout, down), switchable while connections are open."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from typing import Self

import msgspec

CHUNK = 65_536


class Toxics(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the line. Times in seconds; byte counts per connection and direction."""

    latency: float = 0.0  # before each chunk, either direction
    jitter: float = 0.0  # up to this much more
    bytes_per_second: int | None = None  # slow drip, either direction
    cut_up_after: int | None = None  # client -> server: forward exactly so many bytes, then cut
    cut_down_after: int | None = None  # server -> client
    reset: bool = False  # a cut is a RST instead of a FIN
    reset_on_accept: bool = False
    blackhole: bool = False  # connections stand, nothing passes; what was held passes when it ends


class FaultProxy:
    """Async context manager: listens on `host:port` (a free port) and forwards to the upstream.

    `set(**changes)` changes the toxics at once, for open connections too; `clear()` heals; `refuse()` closes the
    listener (connection refused) until `accept()`; `reset_all()` sends a RST on every open connection.
    """

    host = "127.0.0.1"

    def __init__(self, upstream_host: str, upstream_port: int, *, seed: int = 0, **toxics: object):
        self.toxics = msgspec.structs.replace(Toxics(), **toxics)
        self.port = 0
        self.accepted = 0
        self.bytes_up = 0  # forwarded, over all connections
        self.bytes_down = 0
        self._upstream = (upstream_host, upstream_port)
        self._random = random.Random(seed)
        self._changed = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._links: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, **changes: object) -> None:
        self.toxics = msgspec.structs.replace(self.toxics, **changes)
        self._changed.set()
        self._changed = asyncio.Event()

    def clear(self) -> None:
        self.set(**msgspec.structs.asdict(Toxics()))

    async def accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._spawn, self.host, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections; open ones live on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def reset_all(self) -> None:
        for client, server in list(self._links):
            _cut(client, reset=True)
            _cut(server, reset=True)

    def _spawn(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        if self.toxics.reset_on_accept:
            return _cut(client_out, reset=True)
        try:
            server_in, server_out = await asyncio.open_connection(*self._upstream)
        except OSError:
            return _cut(client_out, reset=True)
        link = (client_out, server_out)
        self._links.add(link)
        try:
            # A cut ends both directions; a half-closed side is passed on and lets the other finish.
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(client_in, server_out, link, "up"))
                pumps.create_task(self._pump(server_in, client_out, link, "down"))
        finally:
            self._links.discard(link)
            for side in link:
                side.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link, direction: str
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                await self._delay()
                while data:
                    await self._while_blackholed()
                    left = getattr(self.toxics, f"cut_{direction}_after")
                    part = data[: self._slice(left, passed)]
                    sink.write(part)
                    await sink.drain()
                    passed += len(part)
                    setattr(self, f"bytes_{direction}", getattr(self, f"bytes_{direction}") + len(part))
                    data = data[len(part) :]
                    if left is not None and passed >= left:
                        for side in link:
                            _cut(side, reset=self.toxics.reset)
                        return
                    if data and self.toxics.bytes_per_second:
                        await self._pause(len(part) / self.toxics.bytes_per_second)
            await self._while_blackholed()
            if sink.can_write_eof() and not sink.is_closing():
                sink.write_eof()

    def _slice(self, cut_after: int | None, passed: int) -> int:
        rate = self.toxics.bytes_per_second
        size = CHUNK if rate is None else max(1, rate // 20)
        return size if cut_after is None else min(size, max(0, cut_after - passed))

    async def _delay(self) -> None:
        if self.toxics.latency or self.toxics.jitter:
            await self._pause(self.toxics.latency + self.toxics.jitter * self._random.random())

    async def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the toxics change."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _while_blackholed(self) -> None:
        while self.toxics.blackhole:
            await self._changed.wait()


def _cut(side: asyncio.StreamWriter, *, reset: bool) -> None:
    raw = side.get_extra_info("socket")
    if reset and raw is not None and raw.fileno() >= 0:
        # SO_LINGER with zero seconds turns close() into a RST (socket(7))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.transport.abort()
    else:
        side.close()
