"""A helpdesk for tests of intake and replies: a connector whose documents are as small as the test, and a vendor that
keeps what is written into its tickets and fails when it is told to. Used by every file of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from connectors.config import ConnectorConfig
from connectors.connector import Answers, Connector, InboundRequest, Receipt, Said, Tools
from connectors.expressions import Condition, Expression, Mapped, OutcomeCondition, OutcomeMapped, Template
from connectors.form import (
    ConnectorFile,
    Delivery,
    Inbound,
    LoopGuard,
    Outbound,
    Reconcile,
    Route,
    Step,
    TaskMapping,
)
from connectors.outbound import NOTE_ROOTS
from connectors.routes import decide
from connectors.signatures import SignatureMismatch, SignatureMissing
from core.intake.envelope import RECONCILED, InboundDelivery, Origin, Reading, Ticket, Wanted
from core.replies.ticketing import Call, Write

NAME = "acme-desk"
ROOTS = frozenset({"id", "kind", "ticket", "key", "text", "item", "revision", "form", "ctx"})

Fault = tuple[str, Exception]  # ("before" | "after" the write took place, what the caller sees)


class DeskStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tag: OutcomeMapped | None = None


class DeskFile(ConnectorFile, frozen=True, kw_only=True):
    outbound: Outbound[DeskStep] = Outbound()


class Desk:
    """The vendor's side, which is a TicketWriter, an Enricher and a Reconciler at once. `faults`, `looks` and `polls`
    say what goes wrong with the next calls, in order; nothing does when they are empty."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Write]] = []
        self.faults: list[Fault | None] = []
        self.looks: list[Exception | None] = []
        self.polls: list[Exception | None] = []
        self.context: dict[str, Any] | Exception = {}
        self.changed: list[InboundDelivery] = []
        self.since: list[int] = []
        self.finds = self.fetches = self.at_once = self.most_at_once = 0
        self.before_write: Callable[[Write], Any] | None = None
        self.before_fetch: Callable[[], None] = lambda: None

    def notes(self) -> list[str]:
        return [action.body for _, write in self.written for action in write.actions if action.kind == "note"]

    async def write(self, write: Write) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.before_write is not None:
                await self.before_write(write)
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None and fault[0] == "before":
                raise fault[1]
            name = f"note-{len(self.written) + 1}"
            self.written.append((name, write))
            if fault is not None:
                raise fault[1]
            return name
        finally:
            self.at_once -= 1

    async def find(self, write: Write) -> str | None:
        self.finds += 1
        fault = self.looks.pop(0) if self.looks else None
        if fault is not None:
            raise fault
        return next((name for name, one in self.written if one.marker == write.marker), None)

    def preview(self, write: Write) -> list[Call]:
        return []

    async def fetch(self, wanted: Wanted) -> dict[str, Any]:
        self.fetches += 1
        self.before_fetch()
        if isinstance(self.context, Exception):
            raise self.context
        return {name: self.context[name] for name in wanted.names}

    async def changes(self, since_ms: int) -> AsyncIterator[InboundDelivery]:
        self.since.append(since_ms)
        fault = self.polls.pop(0) if self.polls else None
        for position, one in enumerate(self.changed):
            if fault is not None and position == 1:
                raise fault
            yield one
        if fault is not None:
            raise fault


def event(**members: Any) -> dict[str, Any]:
    """What the desk tells; `id` names the delivery."""
    return {"id": "evt-1", "kind": "ask", "ticket": "T1", "text": "Is it safe?", **members}


def poll(**members: Any) -> InboundDelivery:
    body = event(**members)
    return InboundDelivery(
        delivery_id=f"recon:{body['ticket']}:{body['id']}",
        event_type=body["kind"],
        body=msgspec.json.encode(body),
        headers={},
        verified_by=RECONCILED,
    )


def verify(settings: DeskFile, request: InboundRequest) -> tuple[InboundDelivery, ...]:
    """`x-desk: ok` is a good signature. One event, or a list of them."""
    signed = request.headers.get("x-desk")
    if signed is None:
        raise SignatureMissing("X-Desk")
    if signed != "ok":
        raise SignatureMismatch("X-Desk", 1)
    body = msgspec.json.decode(request.body)
    return tuple(
        InboundDelivery(
            delivery_id=one["id"],
            event_type=one["kind"],
            body=msgspec.json.encode(one),
            headers={"path-token": request.path_token, "client-ip": request.client_ip},
            verified_by=0,
        )
        for one in (body if isinstance(body, list) else [body])
    )


def normalize(
    settings: DeskFile, delivery: InboundDelivery, routes: Sequence[Route], context: Mapping[str, Any] | None
) -> Reading:
    document = msgspec.json.decode(delivery.body)
    items = (document["item"],) if document.get("item") else ()
    ticket = Ticket(
        id=document["ticket"], url=f"https://desk.example/{document['ticket']}", summary=document["text"]
    )
    return decide(
        routes, document, ticket, context, Origin(item_ids=items, revision=document.get("revision"))
    )


def say(request: InboundRequest, status: int, receipts: Sequence[Receipt]) -> Said:
    return Said(media_type="application/json", body=msgspec.json.encode(list(receipts)))


def _connector(desk: Desk, **changes: Any) -> Connector:
    parts: dict[str, Any] = {
        "name": "pagerduty",  # a vendor that the registry knows, for addresses whose file is gone
        "settings": DeskFile,
        "verify": verify,
        "normalize": normalize,
        "writer": lambda settings, tools: desk,
        "answers": Answers(
            verified=200,
            duplicate=208,
            signature_missing=401,
            signature_mismatch=403,
            not_stored=503,
            deleted=410,
            body_limit=2_000,
            conflict=409,
        ),
        "roots": ROOTS,
        "topics": frozenset({"ask"}),
        "html_notes": False,
        "contexts": frozenset({"conversation"}),
        "say": say,
        "enricher": lambda settings, tools: desk,
        "reconciler": lambda settings, tools: desk,
    }
    return Connector(**{**parts, **changes})


def route(name: str, when: str, **parts: Any) -> Route:
    task = parts.pop("task", None)
    if task is not None:
        mapped: dict[str, Any] = {one: Mapped(value, ROOTS) for one, value in task.items() if one != "type"}
        parts["task"] = TaskMapping(type=task.get("type", "question"), **mapped)
    for member, kind in (("key", Expression), ("message", Mapped)):
        if member in parts:
            parts[member] = kind(parts[member], ROOTS)
    return Route(name=name, when=Condition(when, ROOTS), **parts)


def routes() -> list[Route]:
    question = {"payload": {"question": "text"}}
    return [
        route("ask", "kind == 'ask'", key="key || id", redact=["emails"], task=question),
        route("ask-again", "kind == 'ask-again'", key="key || id", task=question),
        route(
            "deep",
            "kind == 'deep'",
            enrich=["conversation"],
            task={"payload": {"question": "text", "before": "ctx.conversation"}},
        ),
        route("form", "kind == 'form'", task={"payload": {"question": "text"}, "output_schema": "form"}),
        route(
            "said",
            "kind == 'said'",
            action="append_context",
            redact=["emails"],
            message={"text": "text", "author": "key"},
        ),
        route("over", "kind == 'over'", action="cancel"),
    ]


def note(text: str, only_if: str | None = None) -> DeskStep:
    condition = None if only_if is None else OutcomeCondition(only_if, NOTE_ROOTS)
    return DeskStep(note=Template(text, html=False, roots=NOTE_ROOTS), only_if=condition)


def config(
    desk: Desk,
    *,
    steps: Sequence[DeskStep] = (),
    name: str = NAME,
    connector: Mapping[str, Any] | None = None,
    **changes: Any,
) -> ConnectorConfig:
    settings: dict[str, Any] = {
        "version": 1,
        "connector": "pagerduty",
        "id": name,
        "organisation": "Acme",
        "environment": "test",
        "mode": "live",
        "inbound": Inbound(topics=["ask"], routes=routes()),
        "outbound": Outbound[DeskStep](
            verified=list(steps) or [note("{{ result.output.answer }}")],
            failed=[],
            expired=[note("Nobody answered")],
        ),
        "delivery": Delivery(max_attempts=4, max_age="1h"),
        "loop_guard": LoopGuard(max_tasks_per_key_per_hour=2),
        "reconcile": Reconcile(every="2m", overlap="5m"),
    }
    return ConnectorConfig(
        file_name="desk.yaml",
        connector=_connector(desk, **(connector or {})),
        settings=DeskFile(**{**settings, **changes}),
        warnings=(),
    )


class Gate:
    """Holds writes until `open`; `reached` is set by the first."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self, write: Write) -> None:
        self.reached.set()
        await self.opened.wait()


__all__ = ["Desk", "DeskStep", "Gate", "Tools", "config", "event", "note", "poll", "route", "routes"]
