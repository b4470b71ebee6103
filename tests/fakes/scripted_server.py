"""A server that reads requests and follows a script, for the tests of what leaves the hub; and what its callers expect of
it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

import pytest

from connectors.target_guard import parse_allow
from core.errors import HubError

LOOPBACK = parse_allow(["127.0.0.1"])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Sink:
    """A server that reads a request and then follows a script."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None):
        self.script, self.tls = script, tls
        self.connections, self.requests, self.closed = 0, [], 0
        self.tasks: set[asyncio.Task] = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    fields = {
                        line.partition(b":")[0].lower(): line.partition(b":")[2].strip()
                        for line in head.split(b"\r\n")[1:]
                    }
                    body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                    self.requests.append((head, body))
                    await self.script(reader, writer)
                    await writer.drain()
            finally:
                self.closed += 1
                writer.close()


def says(answer: bytes) -> Script:
    async def script(_, writer):
        writer.write(answer)

    return script


async def never(_, writer):
    await asyncio.Event().wait()


async def failure_of(call: Awaitable) -> HubError:
    with pytest.raises(HubError) as caught:
        await call
    return caught.value


async def drip_headers(_, writer):
    for byte in OK:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def drip_body(_, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await drip_headers(_, writer)
