"""Several writes in one round trip, for the hot paths whose statements do not need each other's results."""

from __future__ import annotations

import functools
import re
from typing import Any

from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction

# A statement that writes, without RETURNING, and its parameters; on SQLite a list of them runs it for each.
Part = tuple[str, tuple[Any, ...] | list[tuple[Any, ...]]]


async def together(tx: Transaction, parts: list[Part]) -> list[int]:
    """Several writes in one round trip to PostgreSQL; how many rows each of them wrote. Each sees what was there before all of
    them, so that none may rest on another but by a foreign key, and no two may write the same row."""
    if tx.dialect == "sqlite":
        return [
            (await tx.execute(for_dialect(sql, "sqlite"), parameters)).rowcount for sql, parameters in parts
        ]
    sql = _joined(tuple((one, len(parameters)) for one, parameters in parts))
    return list((await tx.execute(sql, tuple(value for _, values in parts for value in values))).one())


@functools.lru_cache(maxsize=256)
def _joined(parts: tuple[tuple[str, int], ...]) -> str:
    """One statement of several, their placeholders counted on."""
    names: list[str] = []
    before = 0
    for number, (sql, width) in enumerate(parts):
        counted = re.sub(r"\$(\d+)", lambda found, by=before: f"${int(found.group(1)) + by}", sql)
        names.append(f"p{number} AS ({counted} RETURNING 1)")
        before += width
    counts = ", ".join(f"(SELECT count(*) FROM p{number})" for number in range(len(parts)))  # noqa: S608 - names of ours
    return f"WITH {', '.join(names)} SELECT {counts}"
