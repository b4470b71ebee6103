"""The line between a worker and its rail, for one life of the matrix: it knows where in an HTTP exchange it is, and strikes
there. Bytes that it holds back go on only for a worker that was frozen; a dead one sends nothing any more."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_PAYS = (b"POST /v2/router/send", b"lnpay")
_LOOKS = (b"GET /v2/router/track", b"get_invoice")

Strike = Callable[[], Awaitable[None]]
Upstream = Path | tuple[str, int]


class Wire:
    """Listens on a free port of this machine and passes requests to `upstream` (a Unix socket, or host and port). `arm`
    names the moment: before-request, mid-request, after-request, before-reply, mid-reply (of a payment), mid-look-up. It strikes once;
    what it holds there goes on with `release()`."""

    def __init__(self, upstream: Upstream):
        self.port = 0
        self._upstream = upstream
        self._moment = ""
        self._strike: Strike | None = None
        self._go_on = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def arm(self, moment: str, strike: Strike) -> None:
        self._moment, self._strike = moment, strike
        self._go_on = asyncio.Event()

    def disarm(self) -> None:
        self._moment, self._strike = "", None

    def release(self) -> None:
        self._go_on.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            if isinstance(self._upstream, Path):
                answers, back = await asyncio.open_unix_connection(str(self._upstream))
            else:
                answers, back = await asyncio.open_connection(*self._upstream)
            link = _Link()
            pumps = [
                asyncio.create_task(self._requests(reader, back, link)),
                asyncio.create_task(self._answers(answers, writer, link)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the rail is away: the connection ends, as it would
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (writer, back):
                if side is not None:
                    side.close()

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, link: _Link) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                whole = head + (await reader.readexactly(int(length[1])) if length else b"")
                link.pays = any(sign in whole for sign in _PAYS)
                link.looks = any(sign in whole for sign in _LOOKS)
                sent = 0
                if link.pays and self._is("before-request"):
                    await self._hit()
                elif link.pays and self._is("mid-request"):
                    sent = len(head) + (len(whole) - len(head)) // 2
                    back.write(whole[:sent])
                    await back.drain()
                    await self._hit()
                back.write(whole[sent:])
                await back.drain()
                if link.pays and self._is("after-request"):
                    await self._hit()

    async def _answers(
        self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await answers.read(65_536):
                sent = 0
                if link.pays and self._is("before-reply"):
                    await self._hit()
                elif (link.pays and self._is("mid-reply")) or (link.looks and self._is("mid-look-up")):
                    sent = max(1, len(data) - 20)  # the head and most of a line
                    writer.write(data[:sent])
                    await writer.drain()
                    await self._hit()
                writer.write(data[sent:])
                await writer.drain()

    def _is(self, moment: str) -> bool:
        return self._moment == moment and self._strike is not None

    async def _hit(self) -> None:
        strike, self._strike = self._strike, None
        assert strike is not None
        await strike()
        await self._go_on.wait()


class _Link:
    """What the newest request of one connection is about."""

    def __init__(self) -> None:
        self.pays = self.looks = False
