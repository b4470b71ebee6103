"""`write_once`: kill -9 at every commit point of the reply machine, under every fault of the ticket system; the matrix of
the chaos ring (`tests/chaos/write_once_matrix.py`) as a figure, its table on stderr."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import servers
from tests.chaos.write_once_matrix import (
    AT_ONCE,
    FAULTS,
    POINTS,
    Outcome,
    every_cell,
    matrix,
    sqlite_databases,
    table,
)
from tests.chaos.write_once_vendors import vendors


def run() -> dict[str, Any]:
    """Raises RuntimeError when a cell did not end with one note: no figure makes up for that."""
    began = time.monotonic()
    with servers.folder() as where:
        outcomes = asyncio.run(_outcomes(where))
        log = (where / "processes.log").read_text(errors="replace")
    seconds = time.monotonic() - began
    sys.stderr.write(table(outcomes) + "\n")
    passes = sum(not one.problem for one in outcomes)
    if passes != len(outcomes):
        raise RuntimeError(f"{len(outcomes) - passes} cells failed; the processes said:\n{log[-4000:]}")
    return {
        "name": "write_once",
        "value": passes,
        "unit": f"cells of {len(outcomes)} with exactly one note and a delivered reply",
        "reference": len(outcomes),
        "ratio": passes / len(outcomes),
        "aim": "every cell",
        "cells": len(outcomes),
        "passes": passes,
        "kills": sum(one.killed for one in outcomes),
        "fault_after_the_kill": sum(one.late for one in outcomes),
        "vendors": [vendor.name for vendor in vendors()],
        "points": list(POINTS),
        "faults": list(FAULTS),
        "seconds": seconds,
        "method": f"a forked process for each life, {AT_ONCE} cells at once, SQLite with every commit flushed; killed by "
        "SIGKILL at the point, finished by another process with the real time-outs, leases and settle times; the note "
        "counted at the simulated vendor, the reply in the database",
    }


async def _outcomes(where: Path) -> list[Outcome]:
    async with matrix(await sqlite_databases(where), where / "processes.log") as ready:
        return await ready.run(vendors(), every_cell(vendors()))
