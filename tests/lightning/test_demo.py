"""`hub demo --lightning electrum --check`: the whole road with real Lightning payments, audited against the node."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from hub.demo.lightning.processes import missing
from tests.absent import needed

pytestmark = [
    pytest.mark.lightning,
    pytest.mark.timeout(420),  # two nodes and the whole hub
]
TASKS = 5


async def test_tasks_are_paid_between_two_real_nodes(tmp_path: Path) -> None:
    absent = missing()
    needed(absent is None, absent or "")
    words = ("demo", "--check", "--lightning", "electrum", "--tasks", str(TASKS), "--timeout", "300")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUB")}
    with (tmp_path / "demo.log").open("wb") as log:
        demo = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hub",
            *words,
            env=environ | {"TMPDIR": str(tmp_path)},
            stdout=log,
            stderr=log,
        )
        code = await demo.wait()
    said = (tmp_path / "demo.log").read_text()
    assert code == 0, said[-3000:]
    assert "the books balance" in said
