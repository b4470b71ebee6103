"""Which route a vendor's document takes and what task it makes. Pure; called by each connector's `normalize.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.form import Route, TaskMapping
from core.errors import Misconfigured
from core.intake.envelope import Cancellation, Escalation, Ignored, Meaning, Ticket

MAX_KEY = 200


def decide(routes: Sequence[Route], document: Mapping[str, Any], ticket: Ticket) -> Meaning:
    """What the first route whose `when` holds makes of the document; Ignored when none does.

    Raises Misconfigured when an expression fails or gives the wrong kind of value."""
    for index, route in enumerate(routes):
        where = f"inbound.routes[{index}] ({route.name})"
        if route.when.holds(document, f"{where}.when"):
            key = _key(route, document, ticket, where)
            if route.task is None:
                return Cancellation(route=route.name, ticket=ticket, key=key)
            task = map_task(route.task, document, f"{where}.task")
            return Escalation(route=route.name, ticket=ticket, key=key, task=task)
    return Ignored(reason="no route matches")


def map_task(mapping: TaskMapping, document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of `Escalation.task`: `task_type`, `payload`, and those of `title`, `risk_tier`, `sla_seconds`,
    `payout` ({currency, maxAmount: Decimal}), `metadata` that the file sets and the document fills."""
    payload = mapping.payload.evaluate(document, f"{where}.payload")
    if not isinstance(payload, dict):
        raise _wrong(f"{where}.payload", "an object", payload)
    task: dict[str, Any] = {"task_type": mapping.type, "payload": payload}
    if mapping.title is not None:
        title = mapping.title.evaluate(document, f"{where}.title")
        if title is not None and not isinstance(title, str):
            raise _wrong(f"{where}.title", "text", title)
        if title:
            task["title"] = title
    if mapping.risk_tier is not None:
        tier = mapping.risk_tier.evaluate(document, f"{where}.risk_tier")
        if tier not in ("low", "medium", "high", "critical"):
            raise _wrong(f"{where}.risk_tier", "one of low, medium, high, critical", tier)
        task["risk_tier"] = tier
    if mapping.sla_seconds is not None:
        seconds = mapping.sla_seconds.evaluate(document, f"{where}.sla_seconds")
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            raise _wrong(f"{where}.sla_seconds", "whole seconds", seconds)
        task["sla_seconds"] = seconds
    if mapping.payout is not None:
        task["payout"] = {"currency": mapping.payout.currency, "maxAmount": mapping.payout.max_amount}
    if mapping.metadata is not None:
        metadata = mapping.metadata.evaluate(document, f"{where}.metadata")
        if not isinstance(metadata, dict):
            raise _wrong(f"{where}.metadata", "an object", metadata)
        task["metadata"] = metadata
    return task


def _key(route: Route, document: Mapping[str, Any], ticket: Ticket, where: str) -> str:
    if route.key is None:
        return ticket.id
    key = route.key.search(document, f"{where}.key")
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY:
        raise _wrong(f"{where}.key", f"text of 1 to {MAX_KEY} characters", key)
    return key


def _wrong(where: str, wanted: str, got: object) -> Misconfigured:
    return Misconfigured(
        "mapping_failed",
        f"{where} must give {wanted}, it gave {type(got).__name__} {str(got)[:60]!r}",
        path=where,
    )
