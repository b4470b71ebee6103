"""A ledger of a million transfers that keeps every rule, written at once: rows and their chain made here, brought in by
COPY past the triggers, the sums added up by the database. Used by `postings.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from core.db.engine import Database
from core.ledger import accounts
from core.ledger.accounts import Account
from core.ledger.chain import COLUMNS, GENESIS, link_hash

ORGANISATIONS = 500
FIRST_MS = 1_795_000_000_000
_ROUND = (
    "credit",
    "reserve",
    "release",
    "pend",
    "void",
)  # one of each in turn; all but the credit undo each other


def transfers(count: int) -> Iterator[tuple[Any, ...]]:
    """In the order of `chain.COLUMNS`; `count` is a multiple of five."""
    capital, clearing = accounts.capital("live").id, accounts.clearing("live").id
    for number in range(count // len(_ROUND)):
        owner = f"org_{number % ORGANISATIONS:05}"
        prefund, reserved = f"{owner}:live:prefund", f"{owner}:live:reserved"
        task, payout, at = f"task_{number:08}", f"pay_{number:08}", FIRST_MS + number
        pend = f"payout:{payout}:hold"
        yield f"credit:{task}", capital, prefund, 700_000, "credit", owner, at, "single", None
        yield f"task:{task}:reserve", prefund, reserved, 600_000, "reserve", task, at, "single", None
        yield f"task:{task}:release", reserved, prefund, 600_000, "release", task, at, "single", None
        yield pend, prefund, clearing, 500_000, "hold", payout, at, "pend", None
        yield f"{pend}:void", prefund, clearing, 500_000, "give_back", payout, at, "void", pend


def links(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, str, str]]:
    previous = GENESIS
    for number, row in enumerate(rows, 1):
        previous = link_hash(previous, number, row)
        yield number, row[0], previous


async def write(database: Database, count: int) -> None:
    """Into an empty, migrated PostgreSQL."""
    chart: list[Account] = [accounts.capital("live"), accounts.clearing("live")]
    for number in range(ORGANISATIONS):
        owner = f"org_{number:05}"
        chart += [accounts.prefund(owner, "live"), accounts.reserved(owner, "live")]
    async with database.engine.begin() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.execute("SET session_replication_role = replica; SET statement_timeout = 0")
        await raw.copy_records_to_table(
            "ledger_accounts",
            records=[(one.id, str(one.kind), one.floor_msat, 0, 0, FIRST_MS) for one in chart],
            columns=["id", "kind", "floor_msat", "debits_msat", "credits_msat", "created_at"],
        )
        await raw.copy_records_to_table(
            "ledger_transfers", records=transfers(count), columns=list(COLUMNS), timeout=600
        )
        await raw.copy_records_to_table(
            "ledger_chain",
            records=links(transfers(count)),
            columns=["number", "transfer_id", "hash"],
            timeout=600,
        )
        for side in ("credit", "debit"):  # the floor is checked in between
            await connection.execute(
                text(
                    f"UPDATE ledger_accounts SET {side}s_msat = s.total FROM (SELECT {side}_account AS id, "
                    f"sum(amount_msat) AS total FROM ledger_transfers WHERE phase = 'single' GROUP BY 1) s "
                    f"WHERE s.id = ledger_accounts.id"
                )
            )
        await raw.execute("SET session_replication_role = origin")
    async with database.engine.connect() as connection:
        analyse = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await analyse.execute(text("VACUUM ANALYZE"))
