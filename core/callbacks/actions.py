"""Fans an event out to the task's callback URL and the organisation's endpoints, and delivers each with the same
event id on every try."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, crash, ids
from core.access.tables import Organisation
from core.audit.record import record
from core.callbacks import sign
from core.callbacks.schedule import Verdict, judge, next_delay, retry_after_seconds
from core.callbacks.states import TRANSITIONS, CallbackState
from core.callbacks.tables import CallbackDelivery, CallbackEndpoint
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import HubError, Invalid, NotFound, Rejected, Retryable, Uncertain
from core.outbox import rows
from core.outbox.rows import Lease
from core.secret import Secret
from core.tasks.model import PUBLISHED
from core.tasks.tables import Task, TaskEvent

TASK_TARGET = "task"
TIMEOUT = 15.0  # seconds; Standard Webhooks asks for 15 to 30, a lease lasts 30


class PostAnswer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Post(Protocol):
    """`connectors.http.OutboundHttp.post`: guarded at connect time, no redirects, answer capped."""

    async def __call__(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float
    ) -> PostAnswer: ...


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a test event: the receiver's status, and when it answered."""

    event_id: str
    delivered_at: datetime
    status_code: int


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of a webhook: WebhookEvent of the published API."""

    id: str
    type: str
    created_at: str
    data: msgspec.Raw


async def fan_out(work: UnitOfWork, lease: Lease) -> None:
    """Topic `task.event`: one delivery row for every address that wants this event."""
    async with work.finishing(lease, "callbacks.fan_out") as tx:
        event = await tx.session.get(TaskEvent, lease.subject)
        task = None if event is None else await tx.session.get(Task, event.task_id)
        if event is None or task is None:
            return
        targets = {TASK_TARGET: task.callback_url} if task.callback_url else {}
        endpoints = await tx.session.scalars(
            select(CallbackEndpoint).where(
                CallbackEndpoint.organisation_id == task.organisation_id,
                CallbackEndpoint.environment == task.environment,
                CallbackEndpoint.disabled_at.is_(None),
            )
        )
        targets.update({e.id: e.url for e in endpoints if event.type in (e.events or PUBLISHED)})
        now = clock.from_ms(await tx.now_ms())
        for target, url in targets.items():
            delivery = CallbackDelivery(
                id=ids.new("cbd"),
                event_id=event.id,
                organisation_id=task.organisation_id,
                target=target,
                url=url,
                state=CallbackState.PENDING,
                attempts=0,
                created_at=now,
            )
            tx.session.add(delivery)
            tx.emit("callback.send", delivery.id, queue="outside")


async def deliver(work: UnitOfWork, lease: Lease, post: Post, unseal: Callable[[str], Secret]) -> None:
    """Topic `callback.send`: one try. The next one is this same job, due later by the schedule."""
    async with work.read() as session:
        delivery = await session.get(CallbackDelivery, lease.subject)
        event = None if delivery is None else await session.get(TaskEvent, delivery.event_id)
        if delivery is not None and delivery.state == CallbackState.PENDING:
            sealed = await _sealed_secret(session, delivery)
        else:
            sealed = None
    if delivery is None or event is None or sealed is None:
        async with work.finishing(lease, "callbacks.record"):
            return
    body = envelope(event.id, event.type, event.created_at, event.snapshot.encode())
    headers = signed_headers(event.id, body, unseal(sealed))
    crash.reach("callback.post:before")
    status, retry_after, error = None, None, None
    try:
        answer = await post(delivery.url, body, headers, timeout=TIMEOUT)
        status = answer.status
        retry_after = retry_after_seconds(answer.headers.get("retry-after"), clock.unix())
    except (
        Retryable,
        Uncertain,
    ) as failure:  # a receiver dedupes by event id, so uncertain is simply tried again
        error = failure.message
    except Rejected as failure:
        await _end(work, lease, delivery, CallbackState.DEAD, None, failure.message)
        return
    crash.reach("callback.post:after")
    await _record(work, lease, delivery, status, retry_after, error)


async def _record(
    work: UnitOfWork,
    lease: Lease,
    delivery: CallbackDelivery,
    status: int | None,
    retry_after: float | None,
    error: str | None,
) -> None:
    verdict = Verdict.RETRY if status is None else judge(status)
    if verdict is Verdict.DELIVERED:
        await _end(work, lease, delivery, CallbackState.DELIVERED, status, None)
        return
    reason = error or f"the receiver answered {status}"
    delay = next_delay(delivery.attempts + 1, retry_after, random.random)
    if verdict is Verdict.DISABLE or delay is None:
        await _end(
            work, lease, delivery, CallbackState.DEAD, status, reason, disable=verdict is Verdict.DISABLE
        )
        return
    async with work.begin("callbacks.record") as tx:
        await rows.later(tx, lease, delay=delay, error=reason)
        row = await tx.session.get_one(CallbackDelivery, delivery.id)
        row.attempts, row.status_code, row.error = delivery.attempts + 1, status, reason


async def _end(
    work: UnitOfWork,
    lease: Lease,
    delivery: CallbackDelivery,
    state: CallbackState,
    status: int | None,
    error: str | None,
    *,
    disable: bool = False,
) -> None:
    async with work.finishing(lease, "callbacks.record") as tx:
        now = clock.from_ms(await tx.now_ms())
        delivered = now if state is CallbackState.DELIVERED else None
        await move(
            tx,
            delivery,
            state,
            table=TRANSITIONS,
            attempts=delivery.attempts + 1,
            status_code=status,
            error=error,
            delivered_at=delivered,
        )
        endpoint = await tx.session.get(CallbackEndpoint, delivery.target) if disable else None
        if endpoint is not None:
            endpoint.disabled_at, endpoint.disabled_reason = now, "the receiver answered 410 Gone"


async def redrive(tx: Transaction, delivery_id: str, *, actor: str) -> None:
    """Try a dead delivery again, its schedule from the beginning. Raises NotFound, Conflict."""
    delivery = await tx.session.get(CallbackDelivery, delivery_id)
    if delivery is None:
        raise NotFound("delivery_not_found", f"No callback delivery {delivery_id}")
    await move(tx, delivery, CallbackState.PENDING, table=TRANSITIONS, attempts=0, error=None)
    await record(tx, actor=actor, action="callback.redriven", subject=delivery.id)
    tx.emit("callback.send", delivery.id, queue="outside")


async def send_test(post: Post, url: str, secret: Secret, event_type: str, task_json: bytes) -> TestResult:
    """Send one signed event now, for `POST /v1/webhooks/test`. Raises Invalid when the target cannot be reached,
    so that the caller sees why."""
    event_id = ids.new("evt")
    body = envelope(event_id, event_type, clock.now(), task_json)
    try:
        answer = await post(url, body, signed_headers(event_id, body, secret), timeout=TIMEOUT)
    except HubError as error:
        raise Invalid(
            "callback_unreachable", error.message, field_errors={"callbackUrl": error.message}
        ) from error
    return TestResult(event_id=event_id, delivered_at=clock.now(), status_code=answer.status)


def envelope(event_id: str, event_type: str, created_at: datetime, task_json: bytes) -> bytes:
    return msgspec.json.encode(
        Envelope(id=event_id, type=event_type, created_at=clock.iso(created_at), data=msgspec.Raw(task_json))
    )


def signed_headers(event_id: str, body: bytes, secret: Secret) -> dict[str, str]:
    return {"Content-Type": "application/json", **sign.headers(event_id, body, [secret], clock.unix())}


async def _sealed_secret(session: AsyncSession, delivery: CallbackDelivery) -> str | None:
    """The sealed secret that signs this delivery; None when its endpoint is gone or disabled."""
    if delivery.target == TASK_TARGET:
        return (await session.get_one(Organisation, delivery.organisation_id)).webhook_secret
    endpoint = await session.get(CallbackEndpoint, delivery.target)
    return None if endpoint is None or endpoint.disabled_at is not None else endpoint.secret
