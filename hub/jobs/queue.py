"""The only file that knows arq's client: it carries ids of committed jobs to the workers. Nothing rests on it; what
it loses the sweep finds within a second. Ids only, msgpack, no results kept (arq's defaults are pickle and an hour)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.outbox.rows import NewJob

log = logging.getLogger(__name__)

FUNCTION = "run"
IDS_PER_NUDGE = 20
_LOST = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError)

_encoder = msgspec.msgpack.Encoder(enc_hook=repr)


def serialize(value: dict[str, Any]) -> bytes:
    return _encoder.encode(value)


def deserialize(data: bytes) -> dict[str, Any]:
    return msgspec.msgpack.decode(data)


def queue_name(queue: str) -> str:
    return f"hub:{queue}"


def redis_settings(url: str, *, patient: bool) -> RedisSettings:
    """`patient` for workers, whose poll loop must outlive a restart of Valkey (arq dies of a lost connection)."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 1
    if patient:
        settings.retry = Retry(ExponentialBackoff(cap=1, base=0.05), 20)
        settings.retry_on_error = list(_LOST)
        settings.retry_on_timeout = True
    return settings


class Queue:
    """Sends nudges in the background, so that no request waits for Valkey, and forgets those that fail."""

    def __init__(self, url: str):
        self._url = url
        self._pool: ArqRedis | None = None
        self._waiting: asyncio.Queue[list[NewJob]] = asyncio.Queue(maxsize=10_000)
        self._sender: asyncio.Task[None] | None = None

    async def nudge(self, jobs: list[NewJob]) -> None:
        """Remember to tell the workers; never waits, never fails. Called after each commit."""
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        try:
            self._waiting.put_nowait(jobs)
        except asyncio.QueueFull:
            log.warning("nudges pile up; the sweep will find %d jobs", len(jobs))

    async def _send(self) -> None:
        while True:
            jobs = await self._waiting.get()
            while not self._waiting.empty():
                jobs = jobs + self._waiting.get_nowait()
            by_queue: dict[str, list[str]] = {}
            for job in jobs:
                by_queue.setdefault(job.queue, []).append(job.id)
            for queue, ids in by_queue.items():
                try:
                    await self.enqueue(queue, ids)
                except _LOST as error:
                    log.warning("nudge lost: %r", error)
                    await self._forget_pool()

    async def enqueue(self, queue: str, jobs: list[str]) -> None:
        """Put the ids of jobs on the queue, a few to an arq job. Raises redis errors."""
        pool = await self._connected()
        for start in range(0, len(jobs), IDS_PER_NUDGE):
            chunk = jobs[start : start + IDS_PER_NUDGE]
            await pool.enqueue_job(
                FUNCTION,
                chunk,
                _job_id=chunk[0],
                _queue_name=queue_name(queue),
            )

    async def ping(self) -> bool:
        try:
            pool = await self._connected()
            await pool.ping()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        except _LOST:
            await self._forget_pool()
            return False
        return True

    async def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
            self._sender = None
        await self._forget_pool()

    async def _connected(self) -> ArqRedis:
        if self._pool is None:
            self._pool = await create_pool(
                redis_settings(self._url, patient=False),
                job_serializer=serialize,
                job_deserializer=deserialize,
            )
        return self._pool

    async def _forget_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose(close_connection_pool=True)
