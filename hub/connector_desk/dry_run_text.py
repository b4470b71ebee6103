"""How a dry run reads in a terminal."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from core.intake.envelope import Addition, Cancellation, Escalation, Ignored
from core.replies.ticketing import Call
from core.tasks.model import NewTask
from core.tasks.tables import Task
from hub.connector_desk.dry_run import DryRun
from hub.connector_desk.endings import WouldWrite
from hub.observe.trail import printable

COMPARED = ("task_type", "risk_tier", "sla_seconds", "payload", "output_schema", "metadata")


def lines(run: DryRun) -> Iterator[str]:
    """The reading, the task as JSON, then every request of every ending."""
    if run.fetched:
        yield f"fetched   {', '.join(run.fetched)} from the vendor, because the route wants it"
    match run.meaning:
        case Ignored(reason=reason):
            yield f"reading   ignored: {printable(reason)}"
        case Cancellation() as meaning:
            yield from _head(meaning.route, "cancel", meaning.ticket.id, meaning.key)
            yield f"cancels   {', '.join(run.open_tasks) or 'nothing: the ticket has no open task'}"
        case Addition() as meaning:
            yield from _head(meaning.route, "append_context", meaning.ticket.id, "")
            yield f"adds to   {', '.join(run.open_tasks) or 'nothing: the ticket has no open task'}"
            yield f"message   {printable(meaning.text)}"
        case Escalation() as meaning:
            yield from _head(meaning.route, "task", meaning.ticket.id, meaning.key)
            for name, text in meaning.redacted.items():
                yield f"redacted  {printable(name)} ({len(text)} characters)"
            yield f"task      {_fate(run)}"
            if run.new is not None:
                yield _json(task_fields(run.new))
    yield from (f"remark    {remark}" for remark in run.remarks)
    for write in run.writes:
        yield ""
        yield from _write(write)


def task_fields(new: NewTask) -> dict[str, Any]:
    """The task as it would be made, JSON-shaped; amounts are decimal text."""
    return {
        "task_type": new.task_type,
        "environment": str(new.environment),
        "risk_tier": str(new.risk_tier),
        "sla_seconds": new.sla_seconds,
        "payload": new.payload,
        "output_schema": new.output_schema,
        "payout": {"currency": str(new.currency), "maxAmount": str(new.amount)},
        "skills": new.skills,
        "metadata": new.metadata,
    }


def difference(task: Task, new: NewTask) -> list[str]:
    """A unified diff from the task as it was made to the task as it would be made; empty when they are the same."""
    fields = task_fields(new)
    real = {
        "task_type": task.task_type,
        "risk_tier": task.risk_tier,
        "sla_seconds": task.sla_seconds,
        "payload": task.payload,
        "output_schema": task.output_schema,
        "metadata": task.task_metadata,
    }
    before, after = (_json({name: side[name] for name in COMPARED}).splitlines() for side in (real, fields))
    return list(
        difflib.unified_diff(before, after, f"task {task.id}", "as it would be made now", lineterm="")
    )


def _head(route: str, action: str, ticket: str, key: str) -> Iterator[str]:
    yield f"reading   route {route}: {action}"
    yield f"ticket    {printable(ticket)}"
    if key:
        yield f"key       {printable(key)}"


def _fate(run: DryRun) -> str:
    if run.existing is None:
        return "would be made:"
    return (
        f"exists already: {run.existing.id} ({run.existing.status}); nothing new would be made. It would be:"
    )


def _write(write: WouldWrite) -> Iterator[str]:
    whose = "the task's answer" if write.real else "an example"
    yield f"--- {write.outcome}.{write.position} {', '.join(write.kinds)} ({whose})"
    if write.problem:
        yield f"REFUSED   {printable(write.problem)}"
    for call in write.calls:
        yield from _call(call)


def _call(call: Call) -> Iterator[str]:
    yield f"{call.method} {printable(call.url)}"
    yield from (f"{name}: {printable(value)}" for name, value in sorted(call.headers.items()))
    yield f"({len(call.body)} bytes)"
    if call.body:
        yield from (printable(line) for line in call.body.decode(errors="replace").split("\n"))


def _json(value: object) -> str:
    """ASCII, so that no text of a ticket drives the terminal."""
    return json.dumps(value, indent=2, default=_decimal)


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
