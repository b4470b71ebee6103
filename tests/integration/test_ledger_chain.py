"""The chain on both databases: it is the same whoever seals and however often, and `check` finds whatever somebody does who
may drop triggers and correct the sums."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.db.unit_of_work import Transaction, UnitOfWork
from core.ledger import accounts, chain
from core.ledger.check import check
from core.ledger.post import Transfer, open_accounts, post
from core.ledger.seal import BATCH, seal, seal_all
from hub.jobs.sealing import sealing
from tests.factories import problems
from tests.wait import wait_until

CAPITAL, RATES = accounts.capital("live"), accounts.exchange("live")
HOUR = 3_600_000

Act = Callable[[Transaction], Awaitable[object]]


async def old(work: UnitOfWork, count: int = 6) -> None:
    """Transfers t1 … of the last hours, one an hour, the newest two hours old, sealed."""
    async with work.begin("test.old") as tx:
        await open_accounts(tx, [CAPITAL, RATES])
        now = await tx.now_ms()
        for n in range(1, count + 1):
            await insert(tx, f"t{n}", now - (count + 2 - n) * HOUR)
    assert await seal_all(work) == count
    assert await problems(work) == []


async def insert(tx: Transaction, name: str, at_ms: int, amount: int = 100) -> None:
    await tx.execute(
        "INSERT INTO ledger_transfers (id, debit_account, credit_account, amount_msat, kind, subject, created_at) "
        f"VALUES ('{name}', '{CAPITAL.id}', '{RATES.id}', {amount}, 'test', 's', {at_ms})"
    )


async def new(work: UnitOfWork, *names: str) -> None:
    async with work.begin("test.post") as tx:
        one = Transfer(id="", debit=CAPITAL, credit=RATES, amount_msat=5, kind="test", subject="s")
        await post(tx, [Transfer(**{**_fields(one), "id": name}) for name in names])


def _fields(one: Transfer) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


async def rules(work: UnitOfWork, head: str | None = None) -> set[str]:
    async with work.read() as session:
        return {problem.rule for problem in await check(session, head=head)}


async def the_head(work: UnitOfWork) -> chain.Head:
    async with work.read() as session:
        found = await chain.head(session)
    assert found is not None
    return found


async def without_triggers(tx: Transaction) -> None:
    """What only the owner of the schema may do."""
    for table in ("ledger_transfers", "ledger_chain"):
        if tx.dialect == "postgresql":
            await tx.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            continue
        found = await tx.execute(
            f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'"
        )
        for (name,) in found.all():
            await tx.execute(f"DROP TRIGGER {name}")


async def sums(tx: Transaction, change: int) -> None:
    """The running sums as they would be after the change: an attacker does not forget them."""
    await tx.execute(
        f"UPDATE ledger_accounts SET debits_msat = debits_msat + {change} WHERE id = '{CAPITAL.id}'"
    )
    await tx.execute(
        f"UPDATE ledger_accounts SET credits_msat = credits_msat + {change} WHERE id = '{RATES.id}'"
    )


def sql(*texts: str, change: int = 0) -> Act:
    async def act(tx: Transaction) -> None:
        for text in texts:
            await tx.execute(text)
        await sums(tx, change)

    return act


async def dated_back(tx: Transaction) -> None:
    await insert(tx, "forged", await tx.now_ms() - 5 * HOUR - 1, 7)
    await sums(tx, 7)


async def dated_back_with_a_link(tx: Transaction) -> None:
    """In the place where it would be, without the hashes that follow."""
    await dated_back(tx)
    await tx.execute("UPDATE ledger_chain SET number = number + 100 WHERE number > 3")
    await tx.execute("UPDATE ledger_chain SET number = number - 99 WHERE number > 100")
    at = (await tx.execute("SELECT created_at FROM ledger_transfers WHERE id = 'forged'")).scalar_one()
    before = (await tx.execute("SELECT hash FROM ledger_chain WHERE number = 3")).scalar_one()
    made = chain.link_hash(before, 4, ("forged", CAPITAL.id, RATES.id, 7, "test", "s", at, "single", None))
    await tx.execute(f"INSERT INTO ledger_chain (number, transfer_id, hash) VALUES (4, 'forged', '{made}')")


async def a_link_twice(tx: Transaction) -> None:
    """With a hash that fits, once the constraint is gone too."""
    if tx.dialect == "postgresql":
        await tx.execute("ALTER TABLE ledger_chain DROP CONSTRAINT uq_ledger_chain_transfer_id")
    else:
        await tx.execute("ALTER TABLE ledger_chain RENAME TO former")
        await tx.execute("CREATE TABLE ledger_chain AS SELECT * FROM former")
    row = (await tx.execute(f"SELECT {', '.join(chain.COLUMNS)} FROM ledger_transfers WHERE id = 't6'")).one()
    last = (await tx.execute("SELECT hash FROM ledger_chain WHERE number = 6")).scalar_one()
    made = chain.link_hash(last, 7, list(row))
    await tx.execute(f"INSERT INTO ledger_chain (number, transfer_id, hash) VALUES (7, 't6', '{made}')")


TAMPERINGS: dict[str, tuple[Act, set[str]]] = {
    "an amount": (sql("UPDATE ledger_transfers SET amount_msat = 101 WHERE id = 't3'", change=1), {"chain_hash"}),
    "a kind": (sql("UPDATE ledger_transfers SET kind = 'gift' WHERE id = 't3'"), {"chain_hash"}),
    "a subject": (sql("UPDATE ledger_transfers SET subject = 'x' WHERE id = 't6'"), {"chain_hash"}),
    "a moment": (sql("UPDATE ledger_transfers SET created_at = created_at + 1 WHERE id = 't1'"), {"chain_hash"}),
    "a link deleted": (sql("DELETE FROM ledger_chain WHERE number = 3"), {"chain_number", "chain_hash", "unsealed"}),
    "the last link deleted": (sql("DELETE FROM ledger_chain WHERE number = 6"), {"unsealed"}),
    "two links swapped": (
        sql(
            "UPDATE ledger_chain SET transfer_id = 'x' WHERE number = 2",
            "UPDATE ledger_chain SET transfer_id = 't2' WHERE number = 3",
            "UPDATE ledger_chain SET transfer_id = 't3' WHERE number = 2",
        ),
        {"chain_hash"},
    ),
    "a hash": (sql(f"UPDATE ledger_chain SET hash = '{'0' * 64}' WHERE number = 6"), {"chain_hash"}),
    "a transfer dated back": (dated_back, {"unsealed"}),
    "a transfer dated back with a link": (dated_back_with_a_link, {"chain_hash"}),
    "a transfer deleted": (
        sql("DELETE FROM ledger_transfers WHERE id = 't4'", change=-100),
        {"chain_transfer", "chain_count"},
    ),
    "a transfer deleted with its link": (
        sql("DELETE FROM ledger_transfers WHERE id = 't4'", "DELETE FROM ledger_chain WHERE number = 4", change=-100),
        {"chain_number", "chain_hash"},
    ),
    "a link twice": (a_link_twice, {"chain_count"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_check_finds_what_somebody_does_without_triggers(work: UnitOfWork, name: str) -> None:
    await old(work)
    act, wanted = TAMPERINGS[name]
    async with work.begin("test.tamper") as tx:
        await without_triggers(tx)
        await act(tx)
    assert await rules(work) == wanted
    if name != "the last link deleted":  # that one is written again, with the hash that it had
        await seal_all(work)
        assert await rules(work) >= wanted - {"unsealed"}
        assert await rules(work) != set()


async def test_a_replaced_row_goes_round_the_triggers_of_sqlite_and_not_round_the_chain(
    work: UnitOfWork,
) -> None:
    """SQLite's REPLACE deletes without the delete trigger (sqlite.org/lang_conflict.html)."""
    await old(work)
    if work.database.dialect == "postgresql":
        return
    async with work.begin("test.tamper") as tx:
        await tx.execute("REPLACE INTO ledger_transfers SELECT * FROM ledger_transfers WHERE id = 't1'")
        await tx.execute("UPDATE ledger_accounts SET debits_msat = 600 WHERE debits_msat > 0")
        await tx.execute("UPDATE ledger_accounts SET credits_msat = 600 WHERE credits_msat > 0")
        assert await tx.now_ms() > 0
    assert await rules(work) == set()  # the same row; another one is another hash
    async with work.begin("test.tamper") as tx:
        row = "id, debit_account, credit_account, amount_msat, 'gift', subject, created_at, phase, pending_id"
        await tx.execute(f"REPLACE INTO ledger_transfers SELECT {row} FROM ledger_transfers WHERE id = 't1'")
        await tx.execute("UPDATE ledger_accounts SET debits_msat = 600 WHERE debits_msat > 0")
        await tx.execute("UPDATE ledger_accounts SET credits_msat = 600 WHERE credits_msat > 0")
    assert await rules(work) == {"chain_hash"}


async def test_a_chain_written_anew_is_right_in_itself_and_known_by_a_head_kept_elsewhere(
    work: UnitOfWork,
) -> None:
    await old(work)
    kept = await the_head(work)
    await new(work, "later")
    await seal_all(work)
    assert await rules(work, kept.hash) == set()
    async with work.begin("test.tamper") as tx:
        await without_triggers(tx)
        await tx.execute("UPDATE ledger_transfers SET amount_msat = 90 WHERE id = 't2'")
        await sums(tx, -10)
        await tx.execute("DELETE FROM ledger_chain")
    await seal_all(work)
    assert (await the_head(work)).number == 7
    assert await rules(work) == set()
    assert await rules(work, kept.hash) == {"chain_head"}


async def test_an_empty_ledger_has_no_head_and_no_problem(work: UnitOfWork) -> None:
    assert await seal_all(work) == 0
    async with work.read() as session:
        assert await chain.head(session) is None
    assert await rules(work) == set()
    assert await rules(work, "0" * 64) == {"chain_head"}


async def test_links_in_the_order_of_time_and_a_limit_at_once(work: UnitOfWork) -> None:
    async with work.begin("test.old") as tx:
        await open_accounts(tx, [CAPITAL, RATES])
        for name, at in (("c", 5), ("b", 7), ("a", 7), ("d", 6), ("e", 8)):
            await insert(tx, name, at)
    counts: list[int] = []
    while not counts or counts[-1]:
        async with work.begin("test.seal") as tx:
            counts.append(await seal(tx, 2))
    assert counts == [2, 2, 1, 0]
    async with work.read() as session:
        found = [(row[0], row[2]) async for page in chain.links(session) for row in page]
    assert found == [(1, "c"), (2, "d"), (3, "a"), (4, "b"), (5, "e")]
    assert await rules(work) == set()


async def test_a_commit_that_comes_late_is_sealed_within_the_hour_and_never_after(work: UnitOfWork) -> None:
    await new(work, "now")
    await seal_all(work)
    async with work.begin("test.late") as tx:
        now = await tx.now_ms()
        await insert(tx, "late", now - HOUR // 2)
        await insert(tx, "forged", now - 2 * HOUR)
    assert await seal_all(work, look_back_ms=HOUR // 60) == 0
    assert await seal_all(work) == 1
    assert await rules(work) == {"unsealed"}
    async with work.read() as session:
        assert [p.subject for p in await check(session)] == ["forged"]


async def test_many_sealers_beside_many_postings_make_one_chain(work: UnitOfWork) -> None:
    async def several(n: int) -> None:
        await new(work, *(f"t{n}.{k}" for k in range(5)))
        await seal_all(work)

    await asyncio.gather(*(several(n) for n in range(16)))
    await seal_all(work)
    assert (await the_head(work)).number == 80
    assert await rules(work) == set()


async def test_more_than_one_batch(work: UnitOfWork) -> None:
    """A hub that had no chain yet seals all that it has."""
    async with work.begin("test.old") as tx:
        await open_accounts(tx, [CAPITAL, RATES])
        series = f"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {BATCH + 10}) "
        columns = "id, debit_account, credit_account, amount_msat, kind, subject, created_at"
        await tx.execute(
            f"{series} INSERT INTO ledger_transfers ({columns}) "
            f"SELECT 't' || n, '{CAPITAL.id}', '{RATES.id}', n, 'test', 's', n FROM n"
        )
    assert await seal_all(work) == BATCH + 10
    assert await rules(work) == set()


async def test_the_money_worker_seals(work: UnitOfWork) -> None:
    await new(work, "first")

    async def sealed(number: int) -> bool:
        async with work.read() as session:
            found = await chain.head(session)
        return found is not None and found.number == number

    async with sealing(work, here=False):
        pass
    async with sealing(work, here=True):
        await wait_until(lambda: sealed(1))
        await new(work, "second")
        await wait_until(lambda: sealed(2))
    assert await rules(work) == set()


async def test_the_chain_is_read_page_by_page(work: UnitOfWork) -> None:
    """A ledger of years does not fit into memory."""
    await old(work, 5)
    async with work.read() as session:
        pages = [[row[0] for row in page] async for page in chain.links(session, at_once=2)]
        others = [len(page) async for page in chain.pages(session, "SELECT ':x' FROM ledger_transfers", 3)]
    assert pages == [[1, 2], [3, 4], [5]]
    assert others == [3, 2]
