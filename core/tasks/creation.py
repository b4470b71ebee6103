"""Creates tasks, many in one transaction: the rows, their reservation, their first event and their first jobs.
Called through a group commit by the API, and directly by the intake of connectors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import select

from core import clock, ids
from core.billing.actions import others_wait
from core.billing.plans import NOTHING, Plan, Quote, least_fee_msat, quote
from core.billing.reserve import fund
from core.db.base import to_json
from core.db.hot import (
    CREATE,
    HELD_NOW,
    IDEMPOTENCY,
    create_columns,
    held_balances,
    insert_many,
    insert_tasks,
    known_tasks,
)
from core.db.hot_callbacks import listeners
from core.db.quick import Refused
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import HubError, Invalid
from core.ledger import accounts
from core.ledger.post import FLOOR
from core.money import Currency
from core.outbox.rows import new_job
from core.tasks.model import EventType, NewTask
from core.tasks.states import TaskStatus
from core.tasks.tables import IdempotencyRecord, Task
from core.tasks.types import TaskType
from core.tasks.view import encode, first_view, view
from core.verification.policy import Checks

CREATE_PATH = "/v1/tasks"
_BUILT_IN = Checks()


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A task about to be created: what was asked, its id and what has to be reserved for it."""

    id: str
    new: NewTask
    quote: Quote
    hard_stop_seconds: int
    fee_minimum_msat: int = 0
    answers_wanted: int = 1
    age_ms: int = 0  # as if it had been asked so long ago

    @property
    def name(self) -> tuple[str, str, str]:
        return (self.new.organisation_id, self.new.environment, self.new.idempotency_key)


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """`body` is the task as the API shows it; `replayed` says that it was there before (200 instead of 201)."""

    id: str
    body: bytes
    replayed: bool


def prepare(
    new: NewTask,
    kind: TaskType,
    plan: Plan,
    usd_per_btc: Decimal,
    spread_percent: Decimal = NOTHING,
    checks: Checks = _BUILT_IN,
) -> Prepared:
    """Price the task under the plan at this rate, for as many answers as may be bought. Raises Invalid for a payout that
    cannot be paid."""
    needed = checks.requirement(
        task_type=kind.name,
        stages=kind.stages,
        risk=new.risk_tier,
        plan=plan,
        environment=new.environment,
    )
    least, most = needed.answers
    price = quote(new.amount, Currency(new.currency), plan, usd_per_btc, spread_percent, answers=most)
    if price.payout_msat == 0 and new.amount > 0:
        raise Invalid(
            "payout_too_small",
            "The payout is below one satoshi",
            field_errors={"payout.maxAmount": "Must be worth at least 1 satoshi"},
        )
    return Prepared(
        id=ids.uuid7(),
        new=new,
        quote=price,
        hard_stop_seconds=new.sla_seconds * kind.hard_stop_factor,
        fee_minimum_msat=least_fee_msat(plan, usd_per_btc),
        answers_wanted=least,
    )


async def create_at_once(work: UnitOfWork, wanted: list[Prepared]) -> list[Created | HubError]:
    """`create_many` in a transaction of its own. The common case on PostgreSQL (funds there, no header key, no ticket)
    takes two statements instead of a transaction of nine round trips: the balances, then everything at once. The
    ledger's floor refuses to reserve what is gone by then, and whatever is special goes the long way."""
    outcomes: dict[str, Created | HubError] = {}
    if work.database.dialect == "postgresql" and not any(
        item.new.header_key or item.new.source for item in wanted
    ):
        outcomes.update(
            await _create_plain(work, list({item.name: item for item in reversed(wanted)}.values())[::-1])
        )
    rest = [item for item in wanted if item.id not in outcomes]
    if rest:
        async with work.begin("tasks.create") as tx:
            outcomes.update(zip((item.id for item in rest), await create_many(tx, rest), strict=True))
    return [outcomes[item.id] for item in wanted]


async def _create_plain(work: UnitOfWork, items: list[Prepared]) -> dict[str, Created]:
    """Those that were written, by id; nothing when one of them cannot be paid for, or its key was used before."""
    groups: dict[str, list[Prepared]] = {}
    for item in items:
        groups.setdefault(accounts.prefund(*item.name[:2]).id, []).append(item)
    async with work.quick("tasks.create") as quick:
        held = await quick.read(HELD_NOW, list(groups))
        balance = {row[0]: row[1] for row in held}
        if any(row[3] for row in held) or any(
            sum(i.quote.total_msat for i in group) > balance.get(name, 0) for name, group in groups.items()
        ):
            return {}
        now = held[0][2]
        bodies = {item.id: _body(item, now) for item in items}
        events = [_event(item, bodies[item.id], now) for item in items]
        listening = {row[0] for row in held if row[4]}
        jobs = {item.id: [new_job("task.posted", item.id)] for item in items}
        for item, event in zip(items, events, strict=True):
            if item.new.callback_url or accounts.prefund(*item.name[:2]).id in listening:
                jobs[item.id].append(new_job("task.event", event[0]))
        columns = create_columns(
            [_row(item, True, now) for item in items],
            [_reservation(item, now) for item in items if item.quote.total_msat],
            events,
            [(job.id, job.topic, job.subject, name) for name, all_of_it in jobs.items() for job in all_of_it],
        )
        try:
            written = [row[0] for row in await quick.write(CREATE, *columns)]
        except Refused as error:  # somebody else spent the balance meanwhile
            if error.constraint != FLOOR:
                raise
            return {}
        quick.jobs = [job for name in written for job in jobs[name]]
    return {name: Created(id=name, body=bodies[name], replayed=False) for name in written}


async def create_many(tx: Transaction, wanted: list[Prepared]) -> list[Created | HubError]:
    """One outcome for each, in order. The same key with the same request gives the task that exists, with another
    request an Invalid; what cannot be funded is created and waits for funds."""
    names = [item.name for item in wanted]
    known = await known_tasks(tx, names)
    fresh = list({item.name: item for item in reversed(wanted) if item.name not in known}.values())[::-1]
    fresh = await _claim_header_keys(tx, fresh)
    written = await _write(tx, fresh)
    if fresh and len(written) < len(wanted):
        known = await known_tasks(tx, names)  # with those of this batch: a key may come twice in it
    return [
        Created(id=item.id, body=written[item.id], replayed=False)
        if item.id in written
        else await _replay(tx, item, known.get(item.name))
        for item in wanted
    ]


async def _replay(tx: Transaction, item: Prepared, before: tuple[str, str] | None) -> Created | HubError:
    """The task that the key, the header key or the ticket already stands for, if it was asked for in the same way."""
    where = "Idempotency-Key" if before is None else "idempotencyKey"
    task = await _by_other_key(tx, item) if before is None else await tx.session.get(Task, before[1])
    if task is not None and task.request_digest == item.new.request_digest:
        return Created(id=task.id, body=encode(view(task)), replayed=True)
    return Invalid(
        "idempotency_key_reused",
        "This idempotency key was used for another request",
        field_errors={where: "Used before with another request; use a new key for a new task"},
    )


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


async def _write(tx: Transaction, items: list[Prepared]) -> dict[str, bytes]:
    """Insert the tasks that are new, with everything that a new task has; each as the API shows it, by id."""
    if not items:
        return {}
    funded = await _funding(tx, items)
    now = await tx.now_ms()
    made = {item.id: now - item.age_ms for item in items}
    bodies = {item.id: _body(item, made[item.id], funded=funded[item.id]) for item in items}
    events = [_event(item, bodies[item.id], made[item.id]) for item in items]
    inserted = await insert_tasks(
        tx,
        [_row(item, funded[item.id], made[item.id]) for item in items],
        [_reservation(item, now) for item in items if funded[item.id] and item.quote.total_msat],
        events,
    )
    listening = await listeners(tx, sorted({item.new.organisation_id for item in items}))
    for item, event in zip(items, events, strict=True):
        if item.id not in inserted:
            continue
        tx.emit("task.posted", item.id)
        if item.new.callback_url or item.name[:2] in listening:
            tx.emit("task.event", event[0])
    return {name: bodies[name] for name in inserted}


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
    held = await held_balances(tx, wanted)
    result: dict[str, bool] = {}
    for (organisation, environment), group in groups.items():
        balance = held.get(accounts.prefund(organisation, environment).id, 0)
        behind = await others_wait(tx, organisation, environment)
        decisions = fund(balance, [item.quote.total_msat for item in group], others_wait=behind)
        result.update({item.id: decision for item, decision in zip(group, decisions, strict=True)})
    return result


def _body(item: Prepared, now: int, *, funded: bool = True) -> bytes:
    expires_at = clock.from_ms(now + item.new.sla_seconds * 1000)
    return encode(first_view(item.id, item.new, clock.from_ms(now), expires_at, funded=funded))


def _event(item: Prepared, body: bytes, now: int) -> tuple[Any, ...]:
    return (ids.new("evt"), item.id, 1, str(EventType.POSTED), item.new.actor, body.decode(), now)


def _row(item: Prepared, funded: bool, now: int) -> tuple[Any, ...]:
    new, source = item.new, item.new.source
    return (
        item.id,
        new.organisation_id,
        str(new.environment),
        new.idempotency_key,
        new.request_digest,
        str(TaskStatus.POSTED),
        new.task_type,
        str(new.risk_tier),
        new.sla_seconds,
        to_json(new.payload),
        to_json(new.output_schema),
        to_json(new.skills),
        str(new.currency),
        format(new.amount, "f"),
        new.callback_url,
        None if new.metadata is None else to_json(new.metadata),
        source.connector if source else None,
        source.ticket_id if source else None,
        source.key if source else None,
        funded,
        item.quote.total_msat if funded else 0,
        item.quote.fee_msat,
        item.fee_minimum_msat,
        item.quote.spread_msat,
        item.quote.payout_msat,
        new.language,
        item.answers_wanted,
        item.quote.answers,
        1,
        now,
        now,
        now + new.sla_seconds * 1000,
        now + item.hard_stop_seconds * 1000,
    )


def _reservation(item: Prepared, now: int) -> tuple[Any, ...]:
    new = item.new
    return (
        f"task:{item.id}:reserve",
        accounts.prefund(new.organisation_id, new.environment).id,
        accounts.reserved(new.organisation_id, new.environment).id,
        item.quote.total_msat,
        "reserve",
        item.id,
        now,
    )
