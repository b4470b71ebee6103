"""kill -9 of the money worker between a hub and two real Lightning nodes: whatever becomes of the payment, bob has the money
once and the hub knows it. The nodes' own histories are the oracle."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hub.demo.lightning.processes import missing
from tests.absent import needed
from tests.chaos.payout_children import children
from tests.chaos.payout_place import open_place, sqlite_databases
from tests.lightning.bob_wallets import BobWallets
from tests.lightning.crash_cells import Fate, RealMatrix, RealOutcome, real_cells, table
from tests.lightning.electrum_lab import ElectrumLab

pytestmark = [
    pytest.mark.lightning,
    pytest.mark.timeout(1200),  # four minutes, when nothing else runs
]


async def run_all(folder: Path) -> list[RealOutcome]:
    """Every cell. What the processes log goes to `folder/processes.log`."""
    async with AsyncExitStack() as stack:
        (folder / "lab").mkdir()
        lab = await stack.enter_async_context(ElectrumLab(folder / "lab"))
        wallets = await stack.enter_async_context(BobWallets(lab).served())
        processes = await stack.enter_async_context(children(folder / "processes.log"))
        places = [
            await open_place(url, folder)
            for url in await sqlite_databases(folder, sum(len(real_cells(fate)) for fate in Fate))
        ]
        for place in places:
            stack.push_async_callback(place.database.close)
        matrix = RealMatrix(lab, wallets, processes, places)

        async def undisturbed() -> list[RealOutcome]:
            return [*await matrix.run(Fate.NOW), *await matrix.run(Fate.NO_ROUTE)]

        ended, others = await asyncio.gather(matrix.run(Fate.EXPIRED), undisturbed())
        outcomes = [*ended, *others]
        for fate in (Fate.FROZEN, Fate.PAYER_KILLED, Fate.BOTH):
            outcomes += await matrix.run(fate)
        return outcomes


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
