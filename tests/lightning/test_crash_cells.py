"""kill -9 of the money worker between a hub and two real Lightning nodes: whatever becomes of the payment, bob has the money
once and the hub knows it. The nodes' own histories are the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.demo.lightning.processes import missing
from tests.absent import needed
from tests.lightning.crash_cells import run_all, table

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(1200),  # four minutes, when nothing else runs
]


async def test_never_twice_never_lost_on_real_nodes(tmp_path: Path) -> None:
    absent = missing()
    needed(absent is None, absent or "")
    outcomes = await run_all(tmp_path)
    print(table(outcomes))
    wrong = [
        (str(one.cell), one.verdict) for one in outcomes if one.verdict.problem or one.verdict.times != 1
    ]
    if wrong:
        print((tmp_path / "processes.log").read_text(errors="replace")[-6000:])
    assert wrong == []
    assert len(outcomes) >= 40
