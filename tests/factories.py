"""Rows for tests of money: each function writes one thing with sensible values and gives it back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core import clock, ids
from core.access.tables import Organisation, Person
from core.billing import actions as billing
from core.billing.plans import Plan, least_fee_msat, quote
from core.billing.reserve import reserve
from core.db.unit_of_work import Transaction, UnitOfWork
from core.ledger.check import Problem, check
from core.ledger.post import balances, post
from core.ledger.tables import LedgerAccount
from core.money import Currency
from core.payouts import earn as earned_by
from core.payouts.tables import Payout
from core.rates.model import Rate
from core.routing.tables import Assignment, Submission
from core.tasks.tables import Task
from core.verification.tables import VerificationRun
from core.workers.tables import Worker

# At this rate one dollar is 1,000 sats: sums that can be done in the head.
RATE = Rate(usd_per_btc=Decimal(100_000), source="test", at_ms=1_795_000_000_000)
PLAN = Plan(name="test", fee_percent=Decimal(20), fee_minimum_usd=Decimal("0.10"), free_tasks=0)
SAT = 1_000
DOLLAR = 1_000 * SAT


async def organisation(
    tx: Transaction, *, balance_msat: int = 0, environment: str = "live", tasks_charged: int = 0
) -> Organisation:
    """With its accounts and `balance_msat` of credit in `environment`."""
    row = Organisation(
        id=ids.new("org"),
        name=ids.new("name"),
        plan="test",
        webhook_secret="sealed",
        tasks_charged=tasks_charged,
        created_at=clock.now(),
    )
    tx.session.add(row)
    await tx.session.flush()
    await billing.open_accounts(tx, row.id)
    if balance_msat:
        await billing.credit(tx, row.id, environment, balance_msat, "first", "test")
    return row


async def worker(
    tx: Transaction, *, address: str | None = "ana@sandbox.test", environment: str = "live"
) -> Worker:
    person = Person(
        id=ids.new("per"),
        role="worker",
        name="Ana",
        email=f"{ids.new('m')}@example.org",
        created_at=clock.now(),
    )
    tx.session.add(person)
    await tx.session.flush()
    row = Worker(
        id=person.id,
        environment=environment,
        tier=1,
        reliability=0.9,
        price_floor_msat=0,
        capacity=3,
        load=0,
        available=True,
        payout_address=address,
        idle_since=clock.now(),
    )
    tx.session.add(row)
    await tx.session.flush()
    return row


async def task(
    tx: Transaction,
    owner: Organisation,
    *,
    amount: str = "0.50",
    currency: Currency = Currency.USD,
    environment: str = "live",
    status: str = "submitted",
    funded: bool = True,
    plan: Plan = PLAN,
    spread_percent: str = "0",
    **values: Any,
) -> Task:
    """A task with its price at RATE; `funded` reserves it from the owner's balance."""
    price = quote(Decimal(amount), currency, plan, RATE.usd_per_btc, Decimal(spread_percent))
    now = clock.now()
    row = Task(
        **{
            "id": ids.uuid7(),
            "organisation_id": owner.id,
            "environment": environment,
            "idempotency_key": ids.new("key"),
            "request_digest": "0" * 64,
            "status": status,
            "task_type": "refund_eligibility",
            "risk_tier": "medium",
            "sla_seconds": 600,
            "payload": {},
            "output_schema": {"type": "object"},
            "skills": [],
            "payout_currency": str(currency),
            "payout_amount": Decimal(amount),
            "funded": funded,
            "reserved_msat": price.total_msat if funded else 0,
            "fee_msat": price.fee_msat,
            "fee_minimum_msat": least_fee_msat(plan, RATE.usd_per_btc),
            "spread_msat": price.spread_msat,
            "payout_msat": price.payout_msat,
            "reroutes": 0,
            "answers_wanted": 1,
            "answers_max": 1,
            "version": 1,
            "created_at": now,
            "updated_at": now,
            "expires_at": now + timedelta(seconds=600),
            "hard_stop_at": now + timedelta(seconds=1200),
        }
        | values
    )
    tx.session.add(row)
    await tx.session.flush()
    if funded:
        await post(tx, [reserve(row.id, owner.id, environment, price.total_msat)])
    return row


async def passed(tx: Transaction, on: Task, worker_id: str) -> None:
    """The worker has answered the task and the answer has passed: without that the database takes no payout for it.
    Once is enough."""
    before = select(Assignment.id).where(Assignment.task_id == on.id, Assignment.worker_id == worker_id)
    if await tx.session.scalar(before) is not None:
        return
    now = clock.now()
    turn = Assignment(
        id=ids.new("asg"),
        task_id=on.id,
        worker_id=worker_id,
        slot=0,
        kind="primary",
        state="counted",
        score=0.0,
        offered_at=now,
        expires_at=now,
        due_at=now,
    )
    tx.session.add(turn)
    await tx.session.flush()
    given = Submission(
        id=ids.new("sub"),
        assignment_id=turn.id,
        task_id=on.id,
        worker_id=worker_id,
        output={},
        created_at=now,
    )
    tx.session.add(given)
    await tx.session.flush()
    run = VerificationRun(
        id=ids.new("run"),
        task_id=on.id,
        submission_id=given.id,
        state="passed",
        stages=[],
        position=0,
        created_at=now,
        ended_at=now,
    )
    tx.session.add(run)
    await tx.session.flush()


async def earn(tx: Transaction, on: Task, worker_id: str, plan: Plan, rate: Any) -> Payout | None:
    """`payouts.earn` for a worker whose answer has passed."""
    await passed(tx, on, worker_id)
    return await earned_by.earn(tx, on, worker_id, plan, rate)


async def balance(work: UnitOfWork, account: str) -> int:
    """credits - debits of one account in msat; 0 for one that was never opened."""
    async with work.begin("test.balance") as tx:
        return (await balances(tx, [account])).get(account, 0)


async def held(work: UnitOfWork, account: str = "hub:live:clearing") -> int:
    """What open pends hold for one account, in msat."""
    async with work.read() as session:
        found = await session.get(LedgerAccount, account)
        return found.credits_pending_msat if found else 0


async def problems(work: UnitOfWork) -> list[Problem]:
    """What the books say against themselves."""
    async with work.read() as session:
        return await check(session)


async def emitted(work: UnitOfWork, topic: str) -> list[str]:
    """Subjects of all jobs of a topic, oldest first."""
    async with work.begin("test.jobs") as tx:
        sql = f"SELECT subject FROM outbox WHERE topic = '{topic}' ORDER BY id"
        return [row[0] for row in await tx.execute(sql)]
