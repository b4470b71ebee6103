"""The load generator, a process of its own: reads a plan (JSON) from stdin, writes what it saw (JSON) to stdout. Raw
HTTP/1.1 on kept-alive connections, requests built and signed before the clock starts, so that it stays far cheaper
than what it measures. `send` of `tests/bench/client.py` starts it."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from typing import Any

from tests.bench.requests import build


class Seen:
    """What came back: statuses, latencies in seconds, and the ids that were acknowledged with a 2xx."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.accepted: set[str] = set()

    def add(self, name: str, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)
        if 200 <= status < 300:
            self.accepted.add(name)


class Connection(asyncio.Protocol):
    """One request at a time; `done` is called with the status when the answer is complete."""

    def __init__(self, done: Any):
        self._done = done
        self._buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        if len(self._buffer) < head + 4 + _length(self._buffer[:head]):
            return
        status, self._buffer = int(self._buffer[9:12]), b""
        self._done(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        self._done(self, 0)


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    if at < 0:
        return 0
    return int(head[at + 15 :].split(b"\r\n", 1)[0])


async def closed_loop(plan: dict[str, Any], requests: list[tuple[str, bytes]]) -> tuple[Seen, float]:
    """`connections` clients, each sending the next request when its answer is in, for `seconds`."""
    loop, seen = asyncio.get_running_loop(), Seen()
    waiting, open_now = deque(requests), plan["connections"]
    sent: dict[Any, tuple[str, float]] = {}
    finished = asyncio.Event()
    end = 0.0

    def next_one(connection: Connection) -> None:
        nonlocal open_now
        if time.perf_counter() >= end or not waiting:
            open_now -= 1
            if open_now == 0:
                finished.set()
            return
        name, data = waiting.popleft()
        sent[connection] = (name, time.perf_counter())
        connection.transport.write(data)

    def done(connection: Connection, status: int) -> None:
        if (before := sent.pop(connection, None)) is not None:
            seen.add(before[0], status, time.perf_counter() - before[1])
            next_one(connection)

    connections = await _connect(plan, done, plan["connections"], loop)
    began = time.perf_counter()
    end = began + plan["seconds"]
    for connection in connections:
        next_one(connection)
    await asyncio.wait_for(finished.wait(), plan["seconds"] + 30)
    if not waiting:
        raise RuntimeError("the load generator ran out of requests; plan more")
    return seen, time.perf_counter() - began


async def paced(plan: dict[str, Any], requests: list[tuple[str, bytes]]) -> tuple[Seen, float]:
    """`rate` requests a second whatever the server does. Latency counts from when a request was due, so that a stall
    is seen by everybody who would have come meanwhile."""
    loop, seen = asyncio.get_running_loop(), Seen()
    wanted = int(plan["rate"] * plan["seconds"])
    sent: dict[Any, tuple[str, float]] = {}
    due: deque[tuple[str, bytes, float]] = deque()
    finished = asyncio.Event()

    def done(connection: Connection, status: int) -> None:
        if (before := sent.pop(connection, None)) is not None:
            seen.add(before[0], status, time.perf_counter() - before[1])
            if due:
                go(connection, *due.popleft())
            else:
                free.append(connection)
            if len(seen.latencies) == wanted:
                finished.set()

    def go(connection: Connection, name: str, data: bytes, moment: float) -> None:
        sent[connection] = (name, moment)
        connection.transport.write(data)

    free = await _connect(plan, done, plan["connections"], loop)
    began = time.perf_counter()
    for number in range(wanted):
        moment = began + number / plan["rate"]
        if (wait := moment - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if free:
            go(free.pop(), *requests[number], moment)
        else:
            due.append((*requests[number], moment))
    await asyncio.wait_for(finished.wait(), 30)
    return seen, time.perf_counter() - began


async def _connect(plan: dict[str, Any], done: Any, count: int, loop: Any) -> list[Connection]:
    made = [
        await loop.create_connection(lambda: Connection(done), plan["host"], plan["port"])
        for _ in range(count)
    ]
    return [protocol for _, protocol in made]


def main() -> None:
    plan = json.load(sys.stdin)
    requests = build(plan)
    gc.collect()
    gc.freeze()
    way = paced if plan.get("rate") else closed_loop
    seen, seconds = asyncio.run(way(plan, requests))
    json.dump(
        {
            "seconds": seconds,
            "statuses": seen.statuses,
            "latencies_ms": [round(value * 1000, 3) for value in seen.latencies],
            "accepted": len(seen.accepted),
            "cpu_seconds": time.process_time(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
