"""What a connector hands to the core: the delivery as it came over the wire, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class InboundDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP delivery whose signature verified. `body` is the raw bytes; `delivery_id` is the vendor's event id,
    the same on every retry of it; `verified_by` numbers the secret that matched (0 is the first configured)."""

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


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor event that asks a person something. `key` makes it one task per (connector, ticket, key);
    `task` holds the mapped fields: `task_type`, `payload` and whatever else the YAML route sets
    (`risk_tier`, `sla_seconds`, `payout`, `title`, `metadata`)."""

    route: str
    ticket: Ticket
    key: str
    task: Mapping[str, Any]


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """The source is over (incident resolved): open tasks of this ticket are cancelled."""

    route: str
    ticket: Ticket
    key: str


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A verified delivery that asks nothing of us; `reason` is kept with it so that a new route can replay it."""

    reason: str


Meaning = Escalation | Cancellation | Ignored
