"""`crash`: the matrix of payouts as a figure: kill -9 of the money worker at every point, whatever becomes of the payment; on
the sandbox's node, and on two real Electrum nodes where they are installed. The tables on stderr."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from hub.demo.lightning.processes import missing
from tests.bench import servers
from tests.chaos import payout_cells
from tests.chaos.payout_matrix import AT_ONCE, Outcome, matrix
from tests.chaos.payout_place import sqlite_databases
from tests.lightning import crash_cells


def run() -> dict[str, Any]:
    """Raises RuntimeError for a payment made twice or lost, or books that do not agree: no figure makes up for that."""
    began = time.monotonic()
    with servers.folder() as where:
        outcomes = asyncio.run(_sandbox(where))
        sandbox_seconds = time.monotonic() - began
        sys.stderr.write(payout_cells.table(outcomes) + "\n")
        absent = missing()
        (where / "real").mkdir()
        real = [] if absent else asyncio.run(crash_cells.run_all(where / "real"))
    sys.stderr.write((crash_cells.table(real) if real else f"real nodes: {absent}") + "\n")
    verdicts = [one.verdict for one in outcomes] + [one.verdict for one in real]
    wrong = [verdict.problem for verdict in verdicts if verdict.problem]
    if wrong:
        raise RuntimeError(f"{len(wrong)} cells failed: {wrong[:5]}")
    return {
        "name": "crash",
        "value": len(verdicts),
        "unit": "cells run",
        "reference": 0,
        "ratio": sum(verdict.times != 1 and not verdict.person for verdict in verdicts),
        "aim": "0 paid twice, 0 lost",
        "on_the_sandbox": len(outcomes),
        "on_real_nodes": len(real),
        "paid_twice": sum(verdict.times > 1 for verdict in verdicts),
        "lost": sum(verdict.times == 0 and not verdict.person for verdict in verdicts),
        "needs_a_person": [
            *(f"{one.cell.point.label} / {one.cell.receiver}" for one in outcomes if one.verdict.person),
            *(str(one.cell) for one in real if one.verdict.person),
        ],
        "sandbox_seconds": sandbox_seconds,
        "seconds": time.monotonic() - began,
        "method": f"a forked process for each life, {AT_ONCE} cells at once, SQLite with every commit flushed; killed by SIGKILL "
        "or frozen by SIGSTOP at the point, finished by another process; judged by the receiver's own history",
    }


async def _sandbox(where: Path) -> list[Outcome]:
    async with matrix(await sqlite_databases(where, AT_ONCE), where) as ready:
        return await ready.run(payout_cells.every_cell())
