"""Creates tasks, many in one transaction: the rows, their reservation, their first event and their first jobs.
Called through a group commit by the API, and directly by the intake of connectors."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select

from core import clock, ids
from core.billing.actions import others_wait
from core.billing.plans import Plan, Quote, quote
from core.billing.reserve import fund
from core.db.base import to_json
from core.db.hot import IDEMPOTENCY, TASK_EVENTS, TASKS, TRANSFERS, insert_many
from core.db.unit_of_work import Transaction
from core.errors import HubError, Invalid
from core.ledger import accounts
from core.ledger.post import balances
from core.money import Currency
from core.tasks.model import EventType, NewTask
from core.tasks.states import TaskStatus
from core.tasks.tables import IdempotencyRecord, Task
from core.tasks.types import TaskType
from core.tasks.view import encode, view

CREATE_PATH = "/v1/tasks"


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A task about to be created: what was asked, its id and what has to be reserved for it."""

    id: str
    new: NewTask
    quote: Quote
    hard_stop_seconds: int

    @property
    def name(self) -> tuple[str, str, str]:
        return (self.new.organisation_id, self.new.environment, self.new.idempotency_key)


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """`replayed` says that the task was there before (the API answers 200 instead of 201)."""

    task: Task
    replayed: bool


def prepare(new: NewTask, kind: TaskType, plan: Plan, usd_per_btc: Any) -> Prepared:
    """Price the task under the plan at this rate. Raises Invalid for a payout that cannot be paid."""
    price = quote(new.amount, Currency(new.currency), plan, usd_per_btc)
    if price.payout_msat == 0 and new.amount > 0:
        raise Invalid(
            "payout_too_small",
            "The payout is below one satoshi",
            field_errors={"payout.maxAmount": "Must be worth at least 1 satoshi"},
        )
    return Prepared(
        id=ids.uuid7(), new=new, quote=price, hard_stop_seconds=new.sla_seconds * kind.hard_stop_factor
    )


async def create_many(tx: Transaction, wanted: list[Prepared]) -> list[Created | HubError]:
    """One outcome for each, in order. The same key with the same request gives the task that exists, with another
    request an Invalid; what cannot be funded is created and waits for funds."""
    known = await _known(tx, wanted)
    fresh = list({item.name: item for item in reversed(wanted) if item.name not in known}.values())[::-1]
    fresh = await _claim_header_keys(tx, fresh)
    tasks = await _write(tx, fresh)
    if len(tasks) < len(fresh):  # somebody else was faster with the same key
        known = await _known(tx, wanted)
    outcomes: list[Created | HubError] = []
    for item in wanted:
        if (task := tasks.get(item.id)) is not None:
            outcomes.append(Created(task=task, replayed=False))
        else:
            before = known.get(item.name) or next((t for t in tasks.values() if _names(t) == item.name), None)
            outcomes.append(_replay(item, before or await _by_other_key(tx, item)))
    return outcomes


def _names(task: Task) -> tuple[str, str, str]:
    return (task.organisation_id, task.environment, task.idempotency_key)


def _replay(item: Prepared, before: Task | None) -> Created | HubError:
    if before is not None and before.request_digest == item.new.request_digest:
        return Created(task=before, replayed=True)
    where = "idempotencyKey" if before is not None and _names(before) == item.name else "Idempotency-Key"
    return Invalid(
        "idempotency_key_reused",
        "This idempotency key was used for another request",
        field_errors={where: "Used before with another request; use a new key for a new task"},
    )


async def _known(tx: Transaction, wanted: list[Prepared]) -> dict[tuple[str, str, str], Task]:
    """Tasks that carry one of the wanted keys already."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in wanted:
        groups.setdefault(item.name[:2], []).append(item.new.idempotency_key)
    clauses: list[ColumnElement[bool]] = [
        and_(
            Task.organisation_id == organisation,
            Task.environment == environment,
            Task.idempotency_key.in_(keys),
        )
        for (organisation, environment), keys in groups.items()
    ]
    found = await tx.session.scalars(select(Task).where(or_(*clauses)))
    return {_names(task): task for task in found}


async def _by_other_key(tx: Transaction, item: Prepared) -> Task | None:
    """The task that the header key, or the ticket, already stands for."""
    source = item.new.source
    if source is not None:
        return await tx.session.scalar(
            select(Task).where(
                Task.connector == source.connector,
                Task.ticket_id == source.ticket_id,
                Task.escalation_key == source.key,
            )
        )
    if item.new.header_key is None:
        return None
    record = await tx.session.get(
        IdempotencyRecord,
        (item.new.organisation_id, str(item.new.environment), "POST", CREATE_PATH, item.new.header_key),
    )
    return None if record is None else await tx.session.get(Task, record.body.decode())


async def _claim_header_keys(tx: Transaction, items: list[Prepared]) -> list[Prepared]:
    """Write the header keys; the items whose key was free (or who have none) go on. The record holds the id of the
    task, from which the answer is made."""
    keyed = {
        (i.new.organisation_id, str(i.new.environment), i.new.header_key): i
        for i in reversed(items)
        if i.new.header_key
    }
    if not keyed:
        return items
    now = await tx.now_ms()
    taken: set[str] = set()
    for item in keyed.values():
        new = item.new
        row = (
            new.organisation_id,
            str(new.environment),
            "POST",
            CREATE_PATH,
            new.header_key,
            new.request_digest,
            201,
            item.id.encode(),
            now,
        )
        if not await insert_many(tx, IDEMPOTENCY, [row]):
            taken.add(item.id)
    mine = {item.id for item in keyed.values()} - taken
    return [item for item in items if item.new.header_key is None or item.id in mine]


async def _write(tx: Transaction, items: list[Prepared]) -> dict[str, Task]:
    """Insert the tasks that are new, with everything that a new task has. By id."""
    if not items:
        return {}
    now = await tx.now_ms()
    funded = await _funding(tx, items)
    tasks = {item.id: _task(item, funded[item.id], now) for item in items}
    inserted = await insert_many(tx, TASKS, [_row(task) for task in tasks.values()])
    tasks = {key: task for key, task in tasks.items() if key in inserted}
    await insert_many(
        tx, TRANSFERS, [_reservation(task, now) for task in tasks.values() if task.reserved_msat]
    )
    actors = {item.id: item.new.actor for item in items}
    events = [
        (ids.new("evt"), task.id, 1, str(EventType.POSTED), actors[task.id], encode(view(task)).decode(), now)
        for task in tasks.values()
    ]
    await insert_many(tx, TASK_EVENTS, events)
    for event in events:
        tx.emit("task.posted", event[1])
        tx.emit("task.event", event[0])
    return tasks


async def _funding(tx: Transaction, items: list[Prepared]) -> dict[str, bool]:
    """Which of the tasks the organisations can pay for now, in the order of asking. Locks their accounts."""
    groups: dict[tuple[str, str], list[Prepared]] = {}
    for item in items:
        groups.setdefault(item.name[:2], []).append(item)
    wanted = sorted(
        account.id
        for organisation, environment in groups
        for account in (
            accounts.prefund(organisation, environment),
            accounts.reserved(organisation, environment),
        )
    )
    held = await balances(tx, wanted)
    result: dict[str, bool] = {}
    for (organisation, environment), group in groups.items():
        balance = held.get(accounts.prefund(organisation, environment).id, 0)
        behind = await others_wait(tx, organisation, environment)
        decisions = fund(balance, [item.quote.total_msat for item in group], others_wait=behind)
        result.update({item.id: decision for item, decision in zip(group, decisions, strict=True)})
    return result


def _task(item: Prepared, funded: bool, now: int) -> Task:
    new, moment = item.new, clock.from_ms(now)
    return Task(
        id=item.id,
        organisation_id=new.organisation_id,
        environment=str(new.environment),
        idempotency_key=new.idempotency_key,
        request_digest=new.request_digest,
        status=str(TaskStatus.POSTED),
        task_type=new.task_type,
        risk_tier=str(new.risk_tier),
        sla_seconds=new.sla_seconds,
        payload=new.payload,
        output_schema=new.output_schema,
        skills=new.skills,
        payout_currency=str(new.currency),
        payout_amount=new.amount,
        callback_url=new.callback_url,
        task_metadata=new.metadata,
        connector=new.source.connector if new.source else None,
        ticket_id=new.source.ticket_id if new.source else None,
        escalation_key=new.source.key if new.source else None,
        funded=funded,
        reserved_msat=item.quote.total_msat if funded else 0,
        fee_msat=item.quote.fee_msat,
        payout_msat=item.quote.payout_msat,
        reroutes=0,
        answers_wanted=1,
        version=1,
        created_at=moment,
        updated_at=moment,
        expires_at=clock.from_ms(now + new.sla_seconds * 1000),
        hard_stop_at=clock.from_ms(now + item.hard_stop_seconds * 1000),
    )


def _row(task: Task) -> tuple[Any, ...]:
    return (
        task.id,
        task.organisation_id,
        task.environment,
        task.idempotency_key,
        task.request_digest,
        task.status,
        task.task_type,
        task.risk_tier,
        task.sla_seconds,
        to_json(task.payload),
        to_json(task.output_schema),
        to_json(task.skills),
        task.payout_currency,
        format(task.payout_amount, "f"),
        task.callback_url,
        None if task.task_metadata is None else to_json(task.task_metadata),
        task.connector,
        task.ticket_id,
        task.escalation_key,
        task.funded,
        task.reserved_msat,
        task.fee_msat,
        task.payout_msat,
        0,
        1,
        1,
        clock.to_ms(task.created_at),
        clock.to_ms(task.updated_at),
        clock.to_ms(task.expires_at),
        clock.to_ms(task.hard_stop_at),
    )


def _reservation(task: Task, now: int) -> tuple[Any, ...]:
    return (
        f"task:{task.id}:reserve",
        accounts.prefund(task.organisation_id, task.environment).id,
        accounts.reserved(task.organisation_id, task.environment).id,
        task.reserved_msat,
        "reserve",
        task.id,
        now,
    )
