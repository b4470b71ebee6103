"""Which route a vendor's document takes and what task it makes. Pure; called by each connector's `normalize.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from connectors.form import Route, TaskMapping
from connectors.redaction import Redactor
from core.errors import Misconfigured
from core.intake.envelope import (
    Addition,
    Cancellation,
    Escalation,
    Ignored,
    Origin,
    Reading,
    Ticket,
    Wanted,
)

MAX_KEY = 200
MAX_MESSAGE = 20_000  # characters of one addition; a person reads it


def decide(
    routes: Sequence[Route],
    document: Mapping[str, Any],
    ticket: Ticket,
    context: Mapping[str, Any] | None = None,
    origin: Origin = Origin(),  # noqa: B008 - frozen
) -> Reading:
    """What the first route whose `when` holds makes of the document; Ignored when none does, Wanted when that route
    has to see more and `context` is None. The document gets `context` as its `ctx`.

    Raises Misconfigured when an expression fails or gives the wrong kind of value."""
    document = {**document, "ctx": dict(context or {})}
    for index, route in enumerate(routes):
        where = f"inbound.routes[{index}] ({route.name})"
        if not route.when.holds(document, f"{where}.when"):
            continue
        if route.enrich and context is None:
            return Wanted(route=route.name, ticket=ticket, names=tuple(route.enrich))
        if route.message is not None:
            return _addition(route, document, ticket, origin, where)
        redactor = Redactor(route.redact)
        key = _key(route, document, ticket, where)
        if route.task is None:
            return Cancellation(route=route.name, ticket=ticket, key=key, origin=origin)
        task = map_task(route.task, document, f"{where}.task")
        for name in ("payload", "title", "metadata"):
            if name in task:
                task[name] = redactor.clean(task[name])
        return Escalation(
            route=route.name, ticket=ticket, key=key, task=task, origin=origin, redacted=redactor.found
        )
    return Ignored(reason="no route matches")


def map_task(mapping: TaskMapping, document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of `Escalation.task`: `task_type`, `payload`, and those of `title`, `risk_tier`, `sla_seconds`,
    `payout` ({currency, maxAmount: Decimal}), `metadata`, `output_schema` that the file sets and the document fills."""
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
    for name in ("metadata", "output_schema"):
        mapped = getattr(mapping, name)
        if mapped is not None:
            value = mapped.evaluate(document, f"{where}.{name}")
            if not isinstance(value, dict):
                raise _wrong(f"{where}.{name}", "an object", value)
            task[name] = value
    return task


def _addition(
    route: Route, document: Mapping[str, Any], ticket: Ticket, origin: Origin, where: str
) -> Reading:
    """`message:` gives text, or {text, author}. What is redacted from it is never turned back."""
    assert route.message is not None
    found = route.message.evaluate(document, f"{where}.message")
    said = cast("dict[str, object]", found) if isinstance(found, dict) else {"text": found}
    text, author = said.get("text"), said.get("author")
    if text is None or text == "":
        return Ignored(reason=f"route {route.name}: the message is empty")
    if not isinstance(text, str):
        raise _wrong(f"{where}.message", "text", text)
    if author is not None and not isinstance(author, str):
        raise _wrong(f"{where}.message.author", "text", author)
    redactor = Redactor(route.redact, numbered=False)
    return Addition(
        route=route.name,
        ticket=ticket,
        text=redactor.clean(text)[:MAX_MESSAGE],
        author=redactor.clean(author),
        origin=origin,
    )


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
