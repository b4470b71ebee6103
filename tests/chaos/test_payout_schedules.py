"""Seeded schedules on the sandbox: jobs die, freeze and wake up at every point while the rail does its worst and people
press buttons. The same seeds in every run, so that a red gate is about the change; `PAYOUT_SEED=0` draws others, and
`PAYOUT_SEED` and `PAYOUT_SCHEDULES` choose them. A failure prints the command that tells its story again, step by step."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.timeout(2400)]
SCHEDULES = int(os.environ.get("PAYOUT_SCHEDULES", "2000"))  # a third of a second of one core each
FIRST = int(os.environ.get("PAYOUT_SEED", "1")) or 1 + secrets.randbelow(10**9)
PROCESSES = 2


async def told(first: int, count: int) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.payout_schedules",
        *("--first", str(first), "--count", str(count)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def test_whatever_happens_a_payout_arrives_once() -> None:
    each = SCHEDULES // PROCESSES
    print(f"seeds {FIRST} to {FIRST + PROCESSES * each - 1}")
    ended = await asyncio.gather(*(told(FIRST + number * each, each) for number in range(PROCESSES)))
    for _, said in ended:
        print(said)
    assert [said[-2000:] for code, said in ended if code] == []


async def test_a_seed_tells_the_same_story_twice() -> None:
    """What a failure prints can be told again."""
    stories = await asyncio.gather(*(_story(7) for _ in range(2)))
    assert len(stories[0]) > 20
    assert stories[0] == stories[1]


async def _story(seed: int) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.payout_schedules",
        *("--seed", str(seed)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode().splitlines()[:-1]  # the last line has the seconds
