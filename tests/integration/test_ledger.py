"""The ledger on both databases: what the database itself keeps, and that `check` finds every kind of tampering."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, NotFound
from core.ledger import accounts
from core.ledger.accounts import Account
from core.ledger.balances import statement, trial_balance
from core.ledger.post import Transfer, open_accounts, post
from tests.factories import balance, problems

CAPITAL = accounts.capital("live")
ORG = accounts.prefund("org_1", "live")
OTHER = accounts.prefund("org_2", "live")


def transfer(name: str, debit: Account, credit: Account, amount_msat: int) -> Transfer:
    return Transfer(id=name, debit=debit, credit=credit, amount_msat=amount_msat, kind="test", subject="s")


async def write(work: UnitOfWork, *transfers: Transfer) -> None:
    async with work.begin("test.post") as tx:
        await post(tx, list(transfers))


async def test_a_repeat_is_nothing_and_another_content_a_conflict(work: UnitOfWork) -> None:
    first = transfer("t1", CAPITAL, ORG, 1_234)
    await write(work, first)
    await write(work, first)
    assert await balance(work, ORG.id) == 1_234
    for other in (transfer("t1", CAPITAL, ORG, 1_235), transfer("t1", CAPITAL, OTHER, 1_234)):
        with pytest.raises(Conflict) as refused:
            await write(work, other)
        assert refused.value.code == "transfer_differs"
    assert await balance(work, ORG.id) == 1_234


async def test_no_account_falls_below_its_floor_and_nothing_of_the_transaction_stays(
    work: UnitOfWork,
) -> None:
    await write(work, transfer("t1", CAPITAL, ORG, 1_000))
    with pytest.raises(Conflict) as refused:
        await write(work, transfer("t2", ORG, OTHER, 900), transfer("t3", ORG, OTHER, 101))
    assert refused.value.code == "insufficient_funds"
    assert await balance(work, ORG.id) == 1_000
    assert await balance(work, OTHER.id) == 0
    assert await balance(work, CAPITAL.id) == -1_000


async def test_nothing_is_written_for_zero(work: UnitOfWork) -> None:
    await write(work, transfer("t1", CAPITAL, ORG, 0))
    async with work.read() as session:
        assert (await trial_balance(session)).lines == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger_transfers SET amount_msat = 1",
        "DELETE FROM ledger_transfers",
        "DELETE FROM ledger_accounts",
    ],
)
async def test_the_database_refuses_to_change_what_is_written(work: UnitOfWork, sql: str) -> None:
    await write(work, transfer("t1", CAPITAL, ORG, 1_000))
    with pytest.raises(DBAPIError, match=r"append only|never deleted"):
        async with work.begin("test.tamper") as tx:
            await tx.execute(sql)
    assert await balance(work, ORG.id) == 1_000


@pytest.mark.parametrize(("amount", "same"), [(0, False), (-5, False), (5, True)])
async def test_the_database_refuses_a_transfer_that_is_none(
    work: UnitOfWork, amount: int, same: bool
) -> None:
    async with work.begin("test.open") as tx:
        await open_accounts(tx, [CAPITAL, ORG])
    far = CAPITAL.id if same else ORG.id
    with pytest.raises(DBAPIError, match=r"ck_ledger_transfers_"):
        async with work.begin("test.tamper") as tx:
            await tx.execute(
                "INSERT INTO ledger_transfers (id, debit_account, credit_account, amount_msat, kind, subject, "
                f"created_at) VALUES ('x', '{CAPITAL.id}', '{far}', {amount}, 'k', 's', 1)"
            )


async def test_sixteen_at_once_lose_nothing(work: UnitOfWork) -> None:
    await write(work, transfer("seed", CAPITAL, ORG, 16_000), transfer("seed2", CAPITAL, OTHER, 16_000))

    async def swap(n: int) -> None:
        debit, credit = (
            (ORG, OTHER) if n % 2 else (OTHER, ORG)
        )  # both directions: a ring, if locks had no order
        await write(work, transfer(f"t{n}", debit, credit, 100 + n), transfer(f"c{n}", CAPITAL, debit, 1))

    await asyncio.gather(*(swap(n) for n in range(16)))
    moved = sum((100 + n) * (-1 if n % 2 else 1) for n in range(16))
    assert await balance(work, ORG.id) == 16_000 + moved + 8
    assert await balance(work, OTHER.id) == 16_000 - moved + 8
    assert await problems(work) == []


async def test_sixteen_at_once_spend_no_more_than_there_is(work: UnitOfWork) -> None:
    await write(work, transfer("seed", CAPITAL, ORG, 1_000))

    async def spend(n: int) -> str:
        try:
            await write(work, transfer(f"t{n}", ORG, OTHER, 150))
        except Conflict as refused:
            return refused.code
        return "spent"

    outcomes = await asyncio.gather(*(spend(n) for n in range(16)))
    assert sorted(outcomes) == ["insufficient_funds"] * 10 + ["spent"] * 6
    assert await balance(work, ORG.id) == 100
    assert await problems(work) == []


async def test_sixteen_at_once_with_one_id_write_it_once(work: UnitOfWork) -> None:
    await asyncio.gather(*(write(work, transfer("same", CAPITAL, ORG, 77)) for _ in range(16)))
    assert await balance(work, ORG.id) == 77


async def test_a_statement_in_pages(work: UnitOfWork) -> None:
    for n in range(5):
        await write(work, transfer(f"t{n}", CAPITAL, ORG, 100 + n))
    await write(work, transfer("out", ORG, OTHER, 60))
    seen: list[tuple[str, int]] = []
    before = None
    async with work.read() as session:
        while True:
            page = await statement(session, ORG.id, before=before, limit=4)
            seen += [(line.id, line.change_msat) for line in page.lines]
            before = page.next_before
            if before is None:
                break
        assert (page.kind, page.balance_msat) == ("prefund", 450)
        with pytest.raises(NotFound):
            await statement(session, "nobody")
    assert sorted(seen) == [("out", -60), *((f"t{n}", 100 + n) for n in range(5))]


async def test_the_trial_balance(work: UnitOfWork) -> None:
    await write(work, transfer("t1", CAPITAL, ORG, 1_000), transfer("t2", ORG, OTHER, 300))
    async with work.read() as session:
        found = await trial_balance(session)
    assert [(line.kind, line.accounts, line.debits_msat, line.credits_msat) for line in found.lines] == [
        ("capital", 1, 1_000, 0),
        ("prefund", 2, 300, 1_300),
    ]
    assert (found.debits_msat, found.credits_msat, found.balanced) == (1_300, 1_300, True)
