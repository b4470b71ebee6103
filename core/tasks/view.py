"""A task as the published API shows it: in answers, in callbacks and in the snapshot of every event."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from core import clock
from core.tasks.model import NewTask
from core.tasks.states import OPEN, TaskStatus
from core.tasks.tables import Task

# Amounts are exact decimals here and JSON numbers on the wire, as the contract has them.
_encoder = msgspec.json.Encoder(decimal_format="number")


class PayoutView(msgspec.Struct, kw_only=True, rename="camel"):
    currency: str
    max_amount: Decimal


class PayoutResult(msgspec.Struct, kw_only=True, rename="camel"):
    """`amount` is in `currency`; `rail` is lightning, strike or internal, as the contract lists them."""

    id: str
    amount: Decimal
    currency: str
    rail: str
    paid_at: str


class ReceiptView(msgspec.Struct, kw_only=True):
    """`path` gives the signed receipt itself and those of its payments."""

    id: str
    path: str


class Expected(msgspec.Struct, kw_only=True):
    """When the answer of whoever has the task is expected: half of such answers have come by `p50`, nine in ten by `p90`."""

    p50: str
    p90: str


class TaskView(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    id: str
    idempotency_key: str
    status: str
    task_type: str
    risk_tier: str
    sla_seconds: int
    payload: dict[str, Any]
    output_schema: dict[str, Any]
    payout: PayoutView
    created_at: str
    updated_at: str
    expires_at: str
    callback_url: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    output: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    payout_result: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    payout_results: list[Any] | msgspec.UnsetType = msgspec.UNSET
    correction: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    verification: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    failure_reason: str | msgspec.UnsetType = msgspec.UNSET
    waiting_for: str | msgspec.UnsetType = msgspec.UNSET
    receipt: ReceiptView | msgspec.UnsetType = msgspec.UNSET
    estimated_completion: Expected | msgspec.UnsetType = msgspec.UNSET


FUNDS = "funds"


def view(task: Task) -> TaskView:
    """`output` only when verified, `payoutResult` when paid (the first of `payoutResults`, all that
    arrived and stayed), `correction` when a spot check found an error afterwards, `verification` beside `output`: how sure that is, `failureReason` when failed, `waitingFor` while nobody is asked
    because the organisation's balance does not cover it, `estimatedCompletion` while somebody works on it, `receipt` once it is signed, a moment after `verified`."""
    unset = msgspec.UNSET
    return TaskView(
        id=task.id,
        idempotency_key=task.idempotency_key,
        status=task.status,
        task_type=task.task_type,
        risk_tier=task.risk_tier,
        sla_seconds=task.sla_seconds,
        payload=task.payload,
        output_schema=task.output_schema,
        payout=PayoutView(currency=task.payout_currency, max_amount=task.payout_amount),
        created_at=clock.iso(task.created_at),
        updated_at=clock.iso(task.updated_at),
        expires_at=clock.iso(task.expires_at),
        callback_url=unset if task.callback_url is None else task.callback_url,
        metadata=unset if task.task_metadata is None else task.task_metadata,
        output=task.output if task.status == TaskStatus.VERIFIED and task.output is not None else unset,
        payout_result=unset if task.payout_result is None else task.payout_result,
        payout_results=unset if task.payout_results is None else task.payout_results,
        correction=unset if task.correction is None else task.correction,
        verification=unset if task.verification is None else task.verification,
        failure_reason=task.failure_reason
        if task.status == TaskStatus.FAILED and task.failure_reason is not None
        else unset,
        waiting_for=FUNDS if not task.funded and task.status in OPEN else unset,
        receipt=unset
        if task.receipt_id is None
        else ReceiptView(id=task.receipt_id, path=f"/v1/tasks/{task.id}/receipt"),
        estimated_completion=expected(task) or unset,
    )


def expected(task: Task) -> Expected | None:
    if task.status != TaskStatus.ASSIGNED or task.p50_at is None or task.p90_at is None:
        return None
    return Expected(p50=clock.iso(task.p50_at), p90=clock.iso(task.p90_at))


def first_view(
    task_id: str, new: NewTask, at: datetime, expires_at: datetime, *, funded: bool = True
) -> TaskView:
    """A task that is about to be written, as `view` will show its row."""
    unset, moment = msgspec.UNSET, clock.iso(at)
    return TaskView(
        id=task_id,
        idempotency_key=new.idempotency_key,
        status=str(TaskStatus.POSTED),
        task_type=new.task_type,
        risk_tier=str(new.risk_tier),
        sla_seconds=new.sla_seconds,
        payload=new.payload,
        output_schema=new.output_schema,
        payout=PayoutView(currency=str(new.currency), max_amount=new.amount),
        created_at=moment,
        updated_at=moment,
        expires_at=clock.iso(expires_at),
        callback_url=unset if new.callback_url is None else new.callback_url,
        metadata=unset if new.metadata is None else new.metadata,
        waiting_for=unset if funded else FUNDS,
    )


def encode(value: object) -> bytes:
    """JSON with exact decimals as numbers."""
    return _encoder.encode(value)
