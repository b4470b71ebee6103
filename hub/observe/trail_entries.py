"""Turns a trail's rows into one timeline: what happened, when, and the facts behind it. Pure; read by the operator's
page and by `trail`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from core import clock
from core.db.base import to_json
from core.money import MSAT_PER_SAT
from core.payouts.tables import Payout, PayoutAttempt
from core.rates.model import told
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.states import ENDED
from hub.observe.trail_entry import Entry, facts
from hub.observe.trail_rows import Trail
from hub.observe.trail_verification import judgements

# What comes first when two things share a millisecond (as everything of one transaction does): cause before effect.
_RANK = (
    "inbound",
    "message",
    "task",
    "assignment",
    "submission",
    "verification",
    "judged",  # an assignment, by the verification
    "end",  # of the task
    "ledger",
    "payout",
    "reply",
    "callback",
)


_JUDGED = frozenset({AssignmentState.COUNTED, AssignmentState.REFUSED})


def timeline(trail: Trail) -> list[Entry]:
    """Every entry in the order in which it happened."""
    families = (
        _inbound,
        _messages,
        _events,
        _assignments,
        _submissions,
        judgements,
        _ledger,
        _payouts,
        _replies,
        _callbacks,
    )
    entries = [entry for family in families for entry in family(trail)]
    entries.extend(_audit(trail))
    order = {kind: position for position, kind in enumerate(_RANK)}
    return sorted(entries, key=lambda entry: (entry.at, order.get(_cause(entry), len(order))))


def _cause(entry: Entry) -> str:
    if entry.kind == "task" and entry.state in ENDED:
        return "end"
    return "judged" if entry.kind == "assignment" and entry.state in _JUDGED else entry.kind


def _inbound(trail: Trail) -> Iterator[Entry]:
    for row in trail.inbound:
        yield Entry(
            at=row.received_at,
            kind="inbound",
            subject=row.id,
            title=f"Delivery from {row.connector}: {row.event_type}",
            state=row.state,
            facts=facts(delivery=row.delivery_id, secret=f"no. {row.verified_by + 1}", reason=row.reason),
            body=_json_or_text(row.body),
        )


def _messages(trail: Trail) -> Iterator[Entry]:
    for row in trail.messages:
        yield Entry(
            at=row.at,
            kind="message",
            subject=row.id,
            title=f"{row.author or 'Somebody'} said more in the ticket",
            facts=facts(item=row.item_id),
            body=row.text,
        )


def _events(trail: Trail) -> Iterator[Entry]:
    for row in trail.events:
        snapshot = msgspec.json.decode(row.snapshot)
        yield Entry(
            at=row.created_at,
            kind="task",
            subject=row.id,
            title=row.type.replace("task.", "Task "),
            state=str(snapshot.get("status", "")),
            facts=facts(by=row.actor, version=row.version, reason=snapshot.get("failureReason")),
        )


def _assignments(trail: Trail) -> Iterator[Entry]:
    for row in trail.assignments:
        who = trail.people.get(row.worker_id, row.worker_id)
        yield Entry(
            at=row.offered_at,
            kind="assignment",
            subject=row.id,
            title=f"Offered to {who}",
            facts=facts(
                kind=row.kind,
                score=f"{row.score:.3f}",
                slot=row.slot,
                offer_until=clock.iso(row.expires_at),
                due=clock.iso(row.due_at),
            ),
        )
        if row.accepted_at is not None:
            yield _step(row, row.accepted_at, f"{who} accepted", "accepted")
        if row.ended_at is not None:
            yield _step(row, row.ended_at, f"{who}'s turn ended", row.state)


def _step(row: Assignment, at: datetime, title: str, state: str) -> Entry:
    reason = row.reason if state == row.state else None
    return Entry(
        at=at, kind="assignment", subject=row.id, title=title, state=state, facts=facts(reason=reason)
    )


def _submissions(trail: Trail) -> Iterator[Entry]:
    for row in trail.submissions:
        who = trail.people.get(row.worker_id, row.worker_id)
        yield Entry(
            at=row.created_at, kind="submission", subject=row.id, title=f"Answer by {who}", body=row.output
        )


def _ledger(trail: Trail) -> Iterator[Entry]:
    for row in trail.transfers:
        yield Entry(
            at=row.created_at,
            kind="ledger",
            subject=row.id,
            title=f"Ledger: {row.kind}",
            facts=facts(
                amount=sats(row.amount_msat),
                debit=row.debit_account,
                credit=row.credit_account,
                transfer=row.id,
            ),
        )


def _payouts(trail: Trail) -> Iterator[Entry]:
    for row in trail.payouts:
        who = trail.people.get(row.worker_id, row.worker_id)
        promised = f"{_plain(row.amount)} {row.currency}"
        waits = f"{promised}, which waits for an exchange rate"
        yield Entry(
            at=row.created_at,
            kind="payout",
            subject=row.id,
            title=f"{who} earned {sats(row.amount_msat) if row.amount_msat else waits}",
            facts=facts(
                promised=promised,
                rate=_rate(row),
                samples=told(row.rate_samples),
                spread=sats(row.spread_msat) if row.spread_msat else None,
                reason=row.reason,
            ),
        )
    for attempt in trail.attempts:
        yield from _attempt(attempt)
    for row in trail.payouts:
        if row.settled_at is not None:
            who = trail.people.get(row.worker_id, row.worker_id)
            yield Entry(
                at=row.settled_at,
                kind="payout",
                subject=row.id,
                title=f"{who} was paid {sats(row.amount_msat)}",
                state=row.state,
                facts=facts(rail=row.rail),
            )


def _attempt(row: PayoutAttempt) -> Iterator[Entry]:
    yield Entry(
        at=row.created_at,
        kind="payout",
        subject=row.id,
        title=f"Attempt {row.number} prepared on {row.rail}",
        facts=facts(
            address=row.address,
            amount=sats(row.amount_msat),
            fee_limit=sats(row.max_fee_msat),
            payment_hash=row.payment_hash,
            invoice_until=clock.iso(row.expires_at),
        ),
        body=row.invoice,
    )
    if row.sent_at is not None:
        yield Entry(at=row.sent_at, kind="payout", subject=row.id, title=f"Attempt {row.number} sent")
    if row.ended_at is not None or row.state == "unknown":
        yield Entry(
            at=row.ended_at or row.sent_at or row.created_at,
            kind="payout",
            subject=row.id,
            title=f"Attempt {row.number} {row.state}",
            state=row.state,
            facts=facts(preimage=row.preimage, fee=sats(row.fee_msat), error=row.error),
        )


def _replies(trail: Trail) -> Iterator[Entry]:
    for row in trail.replies:
        yield Entry(
            at=row.delivered_at or row.sent_at or row.created_at,
            kind="reply",
            subject=row.id,
            title=f"Reply into {row.connector} ticket {row.ticket_id}",
            state=row.state,
            facts=facts(
                step=row.step,
                vendor_id=row.vendor_id,
                attempts=row.attempts,
                written=clock.iso(row.created_at),
                error=row.error,
            ),
            body="\n".join(_said(one) for one in row.actions),
        )


def _said(action: dict[str, Any]) -> str:
    """`note: the text`, or the action's fields as JSON."""
    body = action["body"]
    return f"{action['kind']}: {body if isinstance(body, str) else to_json(body)}"


def _callbacks(trail: Trail) -> Iterator[Entry]:
    types = {event.id: event.type for event in trail.events}
    for row in trail.deliveries:
        yield Entry(
            at=row.delivered_at or row.created_at,
            kind="callback",
            subject=row.id,
            title=f"Callback {types[row.event_id]}",
            state=row.state,
            facts=facts(
                to=row.url,
                target=row.target,
                attempts=row.attempts,
                status_code=row.status_code,
                error=row.error,
            ),
        )


def _audit(trail: Trail) -> Iterator[Entry]:
    for row in trail.audit:
        detail = ", ".join(f"{key}={value}" for key, value in row.detail.items())
        yield Entry(
            at=row.at,
            kind="audit",
            subject=row.subject,
            title=f"Audit: {row.action}",
            facts=facts(by=row.actor, detail=detail),
        )


def sats(msat: int) -> str:
    """`-1,250 sats`, with the thousandths only when there are any."""
    whole, rest = divmod(abs(msat), MSAT_PER_SAT)
    sign = "-" if msat < 0 else ""
    return f"{sign}{whole:,}.{rest:03d} sats" if rest else f"{sign}{whole:,} sats"


def _rate(row: Payout) -> str | None:
    if row.usd_per_btc is None or row.rate_at is None:
        return None
    return f"{_plain(row.usd_per_btc)} USD/BTC of {row.rate_source}, {clock.iso(row.rate_at)}"


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


def _json_or_text(body: bytes) -> Any:
    """A vendor's bytes as JSON when they are, else as text; cut, because a body may be a megabyte."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:4096].decode("utf-8", "replace")
