"""Rows that tests of routing and verification start from, a clock that can be moved, and the jobs of both run from the
real outbox."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text, update

from core import clock, ids
from core.access.tables import Organisation, Person
from core.billing import actions as billing
from core.billing.plans import Plan, Plans
from core.billing.reserve import reserve
from core.db.unit_of_work import Transaction, UnitOfWork
from core.ledger.post import post
from core.money import Currency
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.routing import actions, more, sla, suspended
from core.routing.model import Policy
from core.routing.tables import Assignment
from core.tasks.model import Environment, RiskTier
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes
from core.verification import actions as verification
from core.verification import asking, gold, ruling
from core.workers import actions as workers
from core.workers.model import NewWorker
from core.workers.tables import Worker

PAYOUT_MSAT = 1_000_000
FEE_MSAT = 100_000
PLANS = Plans([Plan(name="free", fee_percent=Decimal(10), fee_minimum_usd=Decimal("0.10"), free_tasks=1000)])
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}

_numbers = itertools.count(1)


def a_type(**values: Any) -> TaskType:
    return TaskType(**{"name": "triage", "title": "Triage", "offer_seconds": 60, **values})


async def an_organisation(tx: Transaction) -> str:
    """Its id; it has test money."""
    number = next(_numbers)
    organisation = Organisation(
        id=f"org_{number}",
        name=f"Organisation {number}",
        plan="free",
        webhook_secret="sealed",
        tasks_charged=0,
        created_at=clock.now(),
    )
    tx.session.add(organisation)
    await tx.session.flush()
    await billing.open_accounts(tx, organisation.id)
    return organisation.id


async def a_person(tx: Transaction, person_id: str | None = None) -> str:
    number = next(_numbers)
    person = Person(
        id=person_id or f"per_{number:04}",
        role="worker",
        name=f"Worker {number}",
        email=f"worker{number}@example.test",
        created_at=clock.now(),
    )
    tx.session.add(person)
    await tx.session.flush()
    return person.id


async def a_worker(tx: Transaction, **values: Any) -> str:
    """The id of a simulated worker who is available."""
    person_id = await a_person(tx, values.pop("id", None))
    given = {"environment": Environment.TEST, "available": True, "reliability": 0.9, **values}
    await workers.create(tx, NewWorker(person_id=person_id, **given), actor="hub")
    return person_id


async def a_task(tx: Transaction, organisation_id: str, *, age: float = 0, **values: Any) -> str:
    """The id of a posted task that is funded and as old as `age` seconds, with its first job."""
    kind = values.pop("kind", a_type())
    now, created = clock.now(), clock.now_ms() - round(age * 1000)
    sla_seconds = values.pop("sla_seconds", 600)
    funded = values.pop("funded", True)
    task = Task(
        organisation_id=organisation_id,
        **{
            "id": ids.uuid7(),
            "environment": str(Environment.TEST),
            "idempotency_key": ids.new("key"),
            "request_digest": "digest",
            "status": str(TaskStatus.POSTED),
            "task_type": kind.name,
            "risk_tier": str(RiskTier.LOW),
            "sla_seconds": sla_seconds,
            "payload": {"question": "Which?"},
            "output_schema": SCHEMA,
            "skills": [],
            "payout_currency": str(Currency.SATS),
            "payout_amount": Decimal(PAYOUT_MSAT // 1000),
            "funded": funded,
            "reserved_msat": PAYOUT_MSAT + FEE_MSAT if funded else 0,
            "fee_msat": FEE_MSAT,
            "payout_msat": PAYOUT_MSAT,
            "reroutes": 0,
            "answers_wanted": 1,
            "answers_max": 1,
            "version": 1,
            "created_at": clock.from_ms(created),
            "updated_at": now,
            "expires_at": clock.from_ms(created + sla_seconds * 1000),
            "hard_stop_at": clock.from_ms(created + sla_seconds * 1000 * kind.hard_stop_factor),
            **values,
        },
    )
    tx.session.add(task)
    await tx.session.flush()
    if funded:
        await post(tx, [reserve(task.id, organisation_id, task.environment, task.reserved_msat)])
    tx.emit("task.posted", task.id)
    return task.id


class Hub:
    """The jobs of routing and verification on one database, run here and now from the real outbox."""

    def __init__(self, work: UnitOfWork, *types: TaskType, policy: Policy | None = None, rate: Any = None):
        self.work = work
        self.types = TaskTypes(list(types) or [a_type()])
        self.policy = policy or Policy()
        self.rate = rate

    async def drain(self, *topics: str) -> list[str]:
        """Run what is due (of `topics` only, if given), and what that makes due; the topics in the order run."""
        ran: list[str] = []
        while due := await self._due(topics):
            for job_id in due:
                async with self.work.begin("outbox.lease") as tx:
                    lease = await rows.lease(tx, job_id)
                if lease is not None:
                    await self.handle(lease)
                    ran.append(lease.topic)
        return ran

    async def handle(self, lease: Lease) -> None:
        match lease.topic:
            case "task.posted":
                await actions.offer_posted(self.work, lease, self.types, self.policy)
            case "worker.suspended":
                await suspended.withdraw(self.work, lease)
            case "assignment.lapse":
                async with self.work.finishing(lease, "routing.lapse") as tx:
                    await actions.lapse_offer(tx, lease.subject)
            case "worker.free":
                await actions.offer_waiting(self.work, lease, self.types, self.policy)
            case "submission.received":
                await verification.advance(self.work, lease, self.types, PLANS, lambda: self.rate)
            case "task.decide":
                await verification.decide_now(self.work, lease, self.types, PLANS, lambda: self.rate)
            case "task.more":
                async with self.work.finishing(lease, "routing.more") as tx:
                    await more.ask_more(tx, lease, self.types, self.policy, asking.drawn)
            case "gold.offer":
                async with self.work.finishing(lease, "gold.offer") as tx:
                    await gold.offer(tx, lease, self.types, self.policy)
            case "review.due":
                async with self.work.finishing(lease, "reviews.due") as tx:
                    await ruling.due(tx, lease, self.types, PLANS)
            case topic if topic in sla.TOPICS:
                async with self.work.finishing(lease, "routing.timer") as tx:
                    await sla.ring(tx, lease, self.types, self.policy)
            case _:
                async with self.work.finishing(lease, "test.skipped"):
                    pass

    async def _due(self, topics: tuple[str, ...]) -> list[str]:
        async with self.work.begin("test.due") as tx:
            found = await rows.due(tx, "default")
            known = await tx.session.execute(
                select(OutboxRow.id, OutboxRow.topic).where(OutboxRow.id.in_(found))
            )
            by_id = {row.id: row.topic for row in known.all()}
        return [job_id for job_id in found if not topics or by_id[job_id] in topics]

    async def pass_time(self, seconds: float) -> None:
        """Move everything that has a time into the past, which is what the future looks like to it."""
        ms = round(seconds * 1000)
        async with self.work.begin("test.time") as tx:
            for table, columns in (
                ("tasks", ("created_at", "expires_at", "hard_stop_at")),
                ("assignments", ("offered_at", "expires_at", "due_at", "accepted_at", "worry_at")),
                ("outbox", ("due_at", "created_at")),
                ("workers", ("idle_since",)),
            ):
                moved = ", ".join(f"{column} = {column} - {ms}" for column in columns)
                await tx.session.execute(text(f"UPDATE {table} SET {moved}"))
            # the instant that a timer was set for travels in its body
            for row in await tx.session.scalars(select(OutboxRow).where(OutboxRow.topic.in_(sla.TOPICS))):
                if "at_ms" in row.body:
                    body = {"at_ms": row.body["at_ms"] - ms}
                    await tx.session.execute(
                        update(OutboxRow).where(OutboxRow.id == row.id).values(body=body)
                    )

    async def task(self, task_id: str) -> Task:
        async with self.work.read() as session:
            return await session.get_one(Task, task_id)

    async def assignments(self, task_id: str) -> list[Assignment]:
        async with self.work.read() as session:
            found = await session.scalars(
                select(Assignment).where(Assignment.task_id == task_id).order_by(Assignment.id)
            )
            return list(found)

    async def worker(self, worker_id: str) -> Worker:
        async with self.work.read() as session:
            return await session.get_one(Worker, worker_id)

    async def accept(self, assignment: Assignment) -> None:
        async with self.work.begin("routing.accept") as tx:
            await actions.accept(tx, assignment.id, assignment.worker_id, self.policy)

    async def submit(self, assignment: Assignment, output: Any) -> None:
        async with self.work.begin("routing.submit") as tx:
            late = self.policy.sla.late_answers
            await actions.submit(tx, assignment.id, assignment.worker_id, output, late)
            await gold.offer_owed(tx, assignment.worker_id, self.types, self.policy)

    async def answer(self, task_id: str, output: Any) -> Assignment:
        """The one who is offered the task accepts and answers it."""
        [offered] = [one for one in await self.assignments(task_id) if one.state == "offered"]
        await self.accept(offered)
        await self.submit(offered, output)
        return offered
