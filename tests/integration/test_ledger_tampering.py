"""Each kind of tampering with the ledger, by SQL that goes round our code, on both databases: `check` notices, with the rules
that must."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy import text

from core.db.unit_of_work import Transaction, UnitOfWork
from core.ledger import accounts
from core.ledger.check import Problem
from core.ledger.post import post
from core.payouts.case import held_amount, held_fee, load, settled
from core.tasks.tables import Task
from tests.factories import DOLLAR, PLAN, RATE, earn, organisation, problems, task, worker

CAPITAL = accounts.capital("live")
ORG = accounts.prefund("org_1", "live")


LATER = 4_102_444_800_000  # of 2100: nobody asks yet whether it is in the chain
Tamper = Callable[[Transaction, "Books"], Awaitable[object]]


class Books:
    """An organisation with an open task and a worker with one payout that waits and one that is paid."""

    def __init__(self, org: str, ana: str, open_task: str, waiting: str, paid: str):
        self.org, self.ana, self.open_task, self.waiting, self.paid = org, ana, open_task, waiting, paid


async def books(work: UnitOfWork) -> Books:
    async with work.begin("test.books") as tx:
        org, ana = await organisation(tx, balance_msat=10 * DOLLAR), await worker(tx)
        open_task = await task(tx, org)
        earned: list[str] = []
        for _ in range(2):
            row: Task = await task(tx, org)
            row.status = "verified"
            payout = await earn(tx, row, ana.id, PLAN, RATE)
            assert payout is not None
            earned.append(payout.id)
        await _settle_by_hand(tx, earned[1], ana.id)
    made = Books(org.id, ana.id, open_task.id, *earned)
    assert await problems(work) == []
    return made


async def _settle_by_hand(tx: Transaction, payout_id: str, worker_id: str) -> None:
    """What the payout machine writes, without the machine. The preimage is 32 zero bytes."""
    hashed = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    await tx.execute(
        "INSERT INTO payout_attempts (id, payout_id, number, state, rail, address, invoice, payment_hash, "
        "amount_msat, max_fee_msat, expires_at, preimage, fee_msat, created_at) VALUES "
        f"('att_1', '{payout_id}', 1, 'settled', 'sandbox', 'a', 'i', '{hashed}', 500000, 5000, 1, "
        f"'{'00' * 32}', 250, 1)"
    )
    await tx.execute(f"UPDATE payouts SET state = 'settled', settled_at = 1 WHERE id = '{payout_id}'")
    case = await load(tx.session, payout_id)
    await post(tx, [held_amount(case.payout, case.sent), held_fee(case.payout, case.sent)])
    await post(tx, settled(case.payout, case.sent, 250))


def sql(text: str) -> Tamper:
    async def act(tx: Transaction, made: Books) -> None:
        await tx.execute(text.format(**vars(made)))

    return act


def posting(kind: str, debit: str, credit: str, amount_msat: int, phase: str = "single") -> Tamper:
    """A transfer that nobody had a reason for. Accounts by their ids."""
    return sql(
        "INSERT INTO ledger_transfers (id, debit_account, credit_account, amount_msat, kind, subject, created_at, "
        f"phase) VALUES ('forged', '{debit}', '{credit}', {amount_msat}, '{kind}', '{{paid}}', {LATER}, '{phase}')"
    )


TAMPERINGS: dict[str, tuple[Tamper, set[str]]] = {
    "a balance raised": (
        sql("UPDATE ledger_accounts SET credits_msat = credits_msat + 1 WHERE id = '{org}:live:prefund'"),
        {"account_credits", "books_balance"},
    ),
    "a balance lowered": (
        sql("UPDATE ledger_accounts SET debits_msat = debits_msat + 1 WHERE id = '{org}:live:prefund'"),
        {"account_debits", "books_balance"},
    ),
    "both sums raised": (
        sql(
            "UPDATE ledger_accounts SET debits_msat = debits_msat + 1, credits_msat = credits_msat + 1 "
            "WHERE id = '{org}:live:prefund'"
        ),
        {"account_debits", "account_credits"},
    ),
    "a floor taken away": (
        sql("UPDATE ledger_accounts SET floor_msat = NULL WHERE id = '{org}:live:prefund'"),
        {"floor_of_kind"},
    ),
    "a floor lowered": (
        sql("UPDATE ledger_accounts SET floor_msat = -1 WHERE id = '{ana}:payable'"),
        {"floor_of_kind"},
    ),
    "a task's reservation changed": (
        sql("UPDATE tasks SET reserved_msat = reserved_msat + 1 WHERE id = '{open_task}'"),
        {"reserved"},
    ),
    "a task ended around the actions": (
        sql("UPDATE tasks SET status = 'cancelled' WHERE id = '{open_task}'"),
        {"reserved", "ended_task_holds_money"},
    ),
    "a payout made dearer": (
        sql("UPDATE payouts SET amount_msat = amount_msat + 1 WHERE id = '{waiting}'"),
        {"payable"},
    ),
    "a paid payout made dearer": (
        sql("UPDATE payouts SET amount_msat = amount_msat + 1 WHERE id = '{paid}'"),
        {"settled_amount", "attempt_amount"},
    ),
    "a payout marked paid": (
        sql("UPDATE payouts SET state = 'settled' WHERE id = '{waiting}'"),
        {"payable", "settled_once", "settled_amount", "settled_attempt"},
    ),
    "a payout marked on its way": (
        sql("UPDATE payouts SET state = 'unknown' WHERE id = '{waiting}'"),
        {"living_attempt"},
    ),
    "a paid payout marked owed": (
        sql("UPDATE payouts SET state = 'reserved' WHERE id = '{paid}'"),
        {"payable", "rail", "settled_once", "settled_amount", "settled_attempt"},
    ),
    "a pend that nobody asked for": (
        posting("send", "{ana}:payable", "hub:live:clearing", 1, "pend"),
        {"held"},
    ),
    "a pend resolved behind the machine's back": (
        sql("UPDATE ledger_accounts SET debits_pending_msat = 5 WHERE id = '{ana}:payable'"),
        {"pending_debits"},
    ),
    "a second settlement": (
        posting("settle", "hub:live:exchange", "rail:sandbox", 1),
        {"rail", "settled_once", "settled_amount"},
    ),
    "money out of the rail": (posting("gift", "rail:sandbox", "hub:live:fees", 1), {"rail"}),
    "money out of a worker's account": (posting("gift", "{ana}:payable", "hub:live:fees", 1), {"payable"}),
    "money into clearing": (posting("gift", "hub:live:fees", "hub:live:clearing", 1), {"clearing"}),
    "money out of a reservation": (
        posting("gift", "{org}:live:reserved", "{org}:live:prefund", 1),
        {"reserved"},
    ),
    "a fee hidden": (
        sql("UPDATE payout_attempts SET fee_msat = 0 WHERE payout_id = '{paid}'"),
        {"rail"},
    ),
    "a preimage that proves nothing": (
        sql(f"UPDATE payout_attempts SET preimage = '{'01' * 32}' WHERE payout_id = '{{paid}}'"),
        {"preimage"},
    ),
    "a preimage that is none": (
        sql("UPDATE payout_attempts SET preimage = 'paid, trust me' WHERE payout_id = '{paid}'"),
        {"preimage"},
    ),
    "a preimage taken away": (
        sql("UPDATE payout_attempts SET preimage = NULL WHERE payout_id = '{paid}'"),
        {"preimage"},
    ),
}


async def test_check_finds_every_kind_of_tampering(work: UnitOfWork) -> None:
    """One set of books; each tampering is looked at inside its own transaction, which is then given up. Whoever
    owns the schema can take the database's own guard away, and is found all the same."""
    made = await books(work)
    async with work.begin("test.guard") as tx:
        table = " ON payouts" if tx.dialect == "postgresql" else ""
        await tx.execute(f"DROP TRIGGER payouts_keep_their_amount{table}")
    for name, (tamper, rules) in TAMPERINGS.items():
        found = await _after(work, tamper, made)
        assert {problem.rule for problem in found} == rules, name
    assert await problems(work) == []


async def _after(work: UnitOfWork, tamper: Tamper, made: Books) -> list[Problem]:
    """Tamper for good, check in a new snapshot, then undo by putting the whole of the rows back."""
    tables = ("ledger_accounts", "payouts", "payout_attempts", "tasks")
    before = {table: await _dump(work, table) for table in tables}
    async with work.begin("test.tamper") as tx:
        await tamper(tx, made)
    found = await problems(work)
    async with work.begin("test.undo") as tx:
        await _remove_forged(tx)
        for table, rows in before.items():
            for row in rows:
                names = [name for name in row if name != "id"]
                marks = ", ".join(
                    f"{name} = {'?' if tx.dialect == 'sqlite' else f'${n}'}"
                    for n, name in enumerate(names, 1)
                )
                await tx.execute(
                    f"UPDATE {table} SET {marks} WHERE id = '{row['id']}'", tuple(row[name] for name in names)
                )
    return found


async def _dump(work: UnitOfWork, table: str) -> list[dict[str, object]]:
    async with work.begin("test.dump") as tx:
        return [dict(row) for row in (await tx.session.execute(text(f"SELECT * FROM {table}"))).mappings()]


async def _remove_forged(tx: Transaction) -> None:
    """Only whoever owns the schema can do this: the trigger has to go first."""
    if tx.dialect == "sqlite":
        trigger = (
            await tx.execute("SELECT sql FROM sqlite_master WHERE name = 'ledger_transfers_no_delete'")
        ).scalar_one()
        await tx.execute("DROP TRIGGER ledger_transfers_no_delete")
        await tx.execute("DELETE FROM ledger_transfers WHERE id = 'forged'")
        await tx.execute(trigger)
    else:
        await tx.execute("ALTER TABLE ledger_transfers DISABLE TRIGGER ledger_transfers_append_only")
        await tx.execute("DELETE FROM ledger_transfers WHERE id = 'forged'")
        await tx.execute("ALTER TABLE ledger_transfers ENABLE TRIGGER ledger_transfers_append_only")
