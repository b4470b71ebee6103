"""The bounded pool behind blocking vendor libraries: results, deadlines, and which of the two deadlines it was."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from connectors.threads import NeverStarted, StillRunning, Threads
from tests.wait import wait_until


@pytest.fixture
def one() -> Iterator[Threads]:
    pool = Threads(1, "test-one")
    yield pool
    pool.close()


async def test_result_and_exception(one: Threads) -> None:
    assert await one.run(lambda: 41 + 1, deadline=5) == 42
    with pytest.raises(ZeroDivisionError):
        await one.run(lambda: 1 / 0, deadline=5)


async def test_the_two_deadlines(one: Threads) -> None:
    release, ran = threading.Event(), threading.Event()
    with pytest.raises(StillRunning):
        await one.run(release.wait, deadline=0.05)
    with pytest.raises(NeverStarted):
        await one.run(ran.set, deadline=0.05)
    release.set()
    assert await one.run(lambda: "next", deadline=5) == "next"
    assert not ran.is_set()


async def test_a_late_exception_troubles_nobody(one: Threads) -> None:
    release, done = threading.Event(), threading.Event()

    def late() -> None:
        release.wait()
        done.set()
        raise RuntimeError("too late")

    with pytest.raises(StillRunning):
        await one.run(late, deadline=0.05)
    release.set()
    await wait_until(done.is_set)
    assert await one.run(lambda: 1, deadline=5) == 1


async def test_cancelling_drops_what_has_not_started(one: Threads) -> None:
    release, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(one.run(release.wait, deadline=5))
    second = asyncio.create_task(one.run(ran.set, deadline=5))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    assert await first is True
    assert await one.run(lambda: 1, deadline=5) == 1
    assert not ran.is_set()
