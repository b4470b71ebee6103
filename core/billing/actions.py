"""When an organisation's money moves: in by credit, to a task when it is funded, back when the task ends without an
answer, to the hub as its fee when one is verified. The balance never goes below zero; tasks wait for funds instead.
Every action locks task rows before ledger accounts, so that no two of them wait for each other in a ring."""

from __future__ import annotations

from sqlalchemy import bindparam, false, or_, select
from sqlalchemy.orm.attributes import set_committed_value

from core.access.tables import Organisation
from core.audit.record import record
from core.billing import counts
from core.billing.plans import Plan, committed_msat, fee_due_msat
from core.billing.reserve import fund, reserve
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.errors import Invalid, NotFound
from core.ledger import accounts
from core.ledger.post import Transfer, balances, post
from core.ledger.post import open_accounts as open_ledger_accounts
from core.ledger.tables import LedgerTransfer
from core.money import SUPPLY_MSAT
from core.tasks.model import Environment
from core.tasks.states import OPEN
from core.tasks.tables import Task

TEST_GRANT_MSAT = 1_000_000_000_000  # ten bitcoin of play money, as much as the sandbox rail can send
FUND_AT_ONCE = 100  # tasks; more follow in the next job


async def open_accounts(
    tx: Transaction, organisation_id: str, *, test_grant_msat: int = TEST_GRANT_MSAT
) -> None:
    """The accounts of a new organisation in both environments. The test one starts with `test_grant_msat`."""
    wanted = [
        make(organisation_id, environment)
        for environment in Environment
        for make in (accounts.prefund, accounts.reserved)
    ]
    hub = [
        make(environment)
        for environment in Environment
        for make in (
            accounts.clearing,
            accounts.fees,
            accounts.spread,
            accounts.exchange,
            accounts.network_fees,
            accounts.capital,
        )
    ]
    await open_ledger_accounts(tx, [*wanted, *hub])
    grant = Transfer(
        id=f"grant:{organisation_id}",
        debit=accounts.capital(Environment.TEST),
        credit=accounts.prefund(organisation_id, Environment.TEST),
        amount_msat=test_grant_msat,
        kind="grant",
        subject=organisation_id,
    )
    await post(tx, [grant])


async def balance(tx: Transaction, organisation_id: str, environment: str) -> int:
    """What the organisation may still commit, in msat; its account is locked until the transaction ends."""
    account = accounts.prefund(organisation_id, environment).id
    return (await balances(tx, [account])).get(account, 0)


async def credit(
    tx: Transaction, organisation_id: str, environment: str, amount_msat: int, reference: str, actor: str
) -> bool:
    """Money has come in: capital -> prefund. `reference` names the payment (a bank's or our invoice's number) and
    counts once: False when it was credited before. Raises Conflict for a known reference with another amount,
    Invalid for an amount that is none, NotFound for an unknown organisation."""
    if not 0 < amount_msat <= SUPPLY_MSAT:
        raise Invalid(
            "bad_amount",
            "A credit must be above zero",
            field_errors={"amount_msat": "Must be at least 1 msat, and no more than all bitcoin there is"},
        )
    if await tx.session.get(Organisation, organisation_id) is None:
        raise NotFound("organisation_not_found", "Organisation not found")
    transfer = Transfer(
        id=f"credit:{organisation_id}:{environment}:{reference}",
        debit=accounts.capital(environment),
        credit=accounts.prefund(organisation_id, environment),
        amount_msat=amount_msat,
        kind="credit",
        subject=organisation_id,
    )
    await balances(tx, sorted([transfer.debit.id, transfer.credit.id]))
    before = await tx.session.get(LedgerTransfer, transfer.id)
    await post(tx, [transfer])
    if before is not None:
        return False
    await record(
        tx,
        actor=actor,
        action="billing.credited",
        subject=organisation_id,
        environment=str(environment),
        amount_msat=amount_msat,
        reference=reference,
    )
    announce_credit(tx, organisation_id, environment)
    return True


async def release(tx: Transaction, task: Task) -> int:
    """The task ended without an answer: what is reserved for it goes back to its organisation. Gives the msat that
    went back; a second call gives 0."""
    left_msat = await lock_reservation(tx, task)
    await post(tx, [_back(task, left_msat, "release")])
    await set_reserved(tx, task, 0)
    await _wake_waiting(tx, task)
    return left_msat


async def charge(
    tx: Transaction, task: Task, plan: Plan, payout_msat: int, *, held_msat: int | None = None
) -> int:
    """The task is verified. Of its reservation the fee goes to the hub, what neither fee nor payouts need goes back,
    and at most `payout_msat` (all its payouts) stays, which `payouts.earn` takes in the same transaction. Gives the fee in msat: 0
    for the first `plan.free_tasks` live tasks of the organisation, and for a task with nothing reserved.

    `earn` calls this, with what is reserved under the lock that it has; called again afterwards it does nothing, because
    nothing is reserved any more."""
    held_msat = await lock_reservation(tx, task) if held_msat is None else held_msat
    if held_msat == 0:
        return 0
    number, verified = await counts.count(tx, task)
    due_msat = fee_due_msat(
        plan,
        verified=verified,
        agreed_msat=task.fee_msat,
        payout_msat=task.payout_msat,
        least_msat=task.fee_minimum_msat,
        free=number <= plan.free_tasks,
    )
    fee_msat = min(due_msat, held_msat)
    payout_part_msat = min(payout_msat, held_msat - fee_msat)
    fee = Transfer(
        id=f"task:{task.id}:fee",
        debit=accounts.reserved(task.organisation_id, task.environment),
        credit=accounts.fees(task.environment),
        amount_msat=fee_msat,
        kind="fee",
        subject=task.id,
    )
    rest_msat = held_msat - fee_msat - payout_part_msat
    await post(tx, [fee, _back(task, rest_msat, "rest")])
    await set_reserved(tx, task, payout_part_msat)
    if rest_msat:
        await _wake_waiting(tx, task)
    return fee_msat


async def fund_waiting(tx: Transaction, organisation_id: str, environment: str) -> int:
    """Give the organisation's money to its waiting tasks, oldest first, and announce each that is funded as posted.
    Gives how many. At most FUND_AT_ONCE in one go; when more may fit, the next job is emitted."""
    waiting = list(
        await tx.session.scalars(
            _WAITING.order_by(Task.id)
            .limit(FUND_AT_ONCE)
            .with_for_update()
            .execution_options(populate_existing=True),
            {"organisation": organisation_id, "environment": str(environment)},
        )
    )
    if not waiting:
        return 0
    held = await balances(
        tx,
        sorted(
            [
                accounts.prefund(organisation_id, environment).id,
                accounts.reserved(organisation_id, environment).id,
            ]
        ),
    )
    balance_msat = held.get(accounts.prefund(organisation_id, environment).id, 0)
    wanted = [
        committed_msat(task.payout_msat, task.fee_msat, task.spread_msat, task.answers_max)
        for task in waiting
    ]
    chosen = [task for task, good in zip(waiting, fund(balance_msat, wanted), strict=True) if good]
    amounts = {task.id: amount for task, amount in zip(waiting, wanted, strict=True)}
    await post(tx, [reserve(task.id, organisation_id, environment, amounts[task.id]) for task in chosen])
    for task in chosen:
        task.funded = True
        task.reserved_msat = amounts[task.id]
        tx.emit("task.posted", task.id)
    await tx.session.flush()
    if len(chosen) == FUND_AT_ONCE:
        announce_credit(tx, organisation_id, environment)
    return len(chosen)


async def others_wait(tx: Transaction, organisation_id: str, environment: str, *, but: str = "") -> bool:
    """True when an open task of the organisation (other than `but`) waits for funds."""
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    asked = (organisation_id, str(environment), but)
    return (await tx.execute(_OTHERS_WAIT[tx.dialect], asked)).first() is not None


_LOCKED = {
    "postgresql": "SELECT reserved_msat FROM tasks WHERE id = $1 FOR UPDATE",
    "sqlite": "SELECT reserved_msat FROM tasks WHERE id = ?1",
}
_SET = "UPDATE tasks SET reserved_msat = $2::bigint WHERE id = $1"


async def lock_reservation(tx: Transaction, task: Task) -> int:
    """What is reserved for the task now, in msat, with its row locked: what the caller loaded may be old, since
    `fund_waiting` runs beside it."""
    if tx.session.new or tx.session.dirty:
        await tx.session.flush()
    return int((await tx.execute(_LOCKED[tx.dialect], (task.id,))).scalar_one())


async def set_reserved(tx: Transaction, task: Task, amount_msat: int) -> None:
    """Written whatever the loaded object says, because that may be old."""
    set_committed_value(task, "reserved_msat", amount_msat)
    await tx.execute(for_dialect(_SET, tx.dialect), (task.id, amount_msat))


async def _wake_waiting(tx: Transaction, task: Task) -> None:
    """Money came back, or the head of the queue went away: those behind it may have their turn."""
    if await others_wait(tx, task.organisation_id, task.environment, but=task.id):
        announce_credit(tx, task.organisation_id, task.environment)


_WAITING = select(Task).where(
    Task.organisation_id == bindparam("organisation"),
    Task.environment == bindparam("environment"),
    Task.funded
    == false(),  # as the partial index has it: `IS false` would read all of the organisation's tasks
    or_(*(Task.status == str(status) for status in sorted(OPEN))),
)
# In the words and the order of the partial index, without which SQLite takes another and reads all of the organisation's tasks.
_OPEN = " OR ".join(f"status = '{status}'" for status in sorted(OPEN))
_OTHERS_WAIT = {
    dialect: for_dialect(
        f"SELECT id FROM tasks WHERE organisation_id = $1 AND environment = $2 AND funded = {no} "  # noqa: S608 - words of ours
        f"AND ({_OPEN}) AND id <> $3 ORDER BY id LIMIT 1",
        dialect,
    )
    for dialect, no in (("postgresql", "false"), ("sqlite", "0"))
}


def announce_credit(tx: Transaction, organisation_id: str, environment: str) -> None:
    """Money has come in: the tasks that wait for it may have their turn."""
    tx.emit("billing.credited", organisation_id, body={"environment": str(environment)})


def _back(task: Task, amount_msat: int, why: str) -> Transfer:
    return Transfer(
        id=f"task:{task.id}:{why}",
        debit=accounts.reserved(task.organisation_id, task.environment),
        credit=accounts.prefund(task.organisation_id, task.environment),
        amount_msat=amount_msat,
        kind=why,
        subject=task.id,
    )
