"""Thousands of lives of payouts, each decided by a seed: jobs run, crash, freeze and wake up, time passes, the rail does
its worst, people press buttons. `python -m tests.chaos.payout_schedules --seed N` tells one again, step by step."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.db.engine import Database
from core.db.migrate import upgrade
from tests.chaos.payout_story import Stage, Story
from tests.chaos.payout_world import Points, VirtualTime

PER_DATABASE = 20  # stories that share one, one after the other


async def run(seeds: list[int], tell: Callable[[str], None]) -> dict[int, list[str]]:
    """Every seed's story; the problems of those that have any."""
    wrong: dict[int, list[str]] = {}
    virtual = VirtualTime()
    points = Points(virtual)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        template = Database(f"sqlite:///{name}/template.db")
        virtual.install(template)
        await upgrade(template)
        await template.close()
        for start in range(0, len(seeds), PER_DATABASE):
            folder = Path(name) / str(start)
            folder.mkdir()
            (folder / "hub.db").write_bytes((Path(name) / "template.db").read_bytes())
            stage = Stage(folder, virtual, points)
            await stage.begin()
            for seed in seeds[start : start + PER_DATABASE]:
                tell(f"seed {seed}")
                virtual.ms += 86_400_000
                found = await Story(seed, stage, tell).go()
                if found:
                    wrong[seed] = found
                    break  # the rest of this database is no proof any more
            await stage.end()
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="tell this one")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    asked = parser.parse_args()
    logging.disable()
    seeds = [asked.seed] if asked.seed is not None else list(range(asked.first, asked.first + asked.count))
    tell: Callable[[str], None] = print if asked.seed is not None else lambda _: None
    began = time.monotonic()
    wrong = asyncio.run(run(seeds, tell))
    for seed, problems in wrong.items():
        print(f"seed {seed}: {'; '.join(problems)}")
        print(f"  python -m tests.chaos.payout_schedules --seed {seed}")
    print(f"{len(seeds)} schedules, {len(wrong)} wrong, {time.monotonic() - began:.1f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
