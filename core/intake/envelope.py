"""What a connector hands to the core: the delivery as it came over the wire, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

RECONCILED = (
    -1
)  # `verified_by` of a delivery that our own poll brought: no signature, we asked the vendor ourselves


class InboundDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event whose sender is proven. `body` is the raw bytes (of one notification, where a request carries many);
    `delivery_id` is the vendor's event id, the same on every retry of it; `verified_by` numbers the secret that
    matched (0 is the first configured), RECONCILED when our own poll found it."""

    delivery_id: str
    event_type: str
    body: bytes
    headers: dict[str, str]
    verified_by: int


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Where the answer goes back to. `id` is the vendor's id of the incident, conversation or case."""

    id: str
    url: str | None = None
    summary: str | None = None


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Which change at the vendor's side an event tells of. `item_ids` are the vendor's ids of the note, part or
    comment that it is about: one that we wrote ourselves is an echo. `revision` grows with every change of the
    ticket: an older one than was seen before is late and asks nothing; None where the vendor counts nothing."""

    item_ids: tuple[str, ...] = ()
    revision: int | None = None


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor event that asks a person something. `key` makes it one task per (connector, ticket, key);
    `task` holds the mapped fields: `task_type`, `payload` and whatever else the YAML route sets
    (`risk_tier`, `sla_seconds`, `payout`, `title`, `metadata`, `output_schema`), redacted already; `redacted` maps
    each placeholder in it (`[email 1]`) to what stood there."""

    route: str
    ticket: Ticket
    key: str
    task: Mapping[str, Any]
    origin: Origin = Origin()
    redacted: Mapping[str, str] = {}


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """The source is over (incident resolved): open tasks of this ticket are cancelled."""

    route: str
    ticket: Ticket
    key: str
    origin: Origin = Origin()


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody said more about a ticket: the people who work on its open tasks get to read `text` (redacted). It never
    opens a task."""

    route: str
    ticket: Ticket
    text: str
    author: str | None = None
    origin: Origin = Origin()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The route needs more than the delivery carries: `names` of what to fetch for the ticket (`conversation`,
    `notes`, ...) before it can be mapped. The caller fetches it and reads the delivery again with it."""

    route: str
    ticket: Ticket
    names: tuple[str, ...]


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A verified delivery that asks nothing of us; `reason` is kept with it so that a new route can replay it."""

    reason: str


Meaning = Escalation | Cancellation | Addition | Ignored
Reading = Meaning | Wanted
