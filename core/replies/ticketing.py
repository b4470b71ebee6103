"""The port through which an answer reaches a ticket. Implemented by `connectors/<name>/reply.py`,
driven by `core/replies/actions.py`, which commits `sending` before the call and looks before it sends again."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from core.errors import HubError


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One step of `outbound:`, rendered: what to do in the ticket. `kind` is the step's name in the connector's file
    (`note`, `tag`, `custom_fields`, ...), `body` its rendered value, JSON-shaped."""

    kind: str
    body: Any


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """What one reply writes into a ticket, in one go: a single action, or all actions of an outcome where the vendor
    takes them in one transaction (`Connector.bundles`). `key` names this reply for ever (a vendor-side unique key);
    `marker` (`[hub:rep_…]`) goes into the open text of whatever is written, because a vendor may strip what is
    hidden; it is how `find` recognises our own note."""

    ticket_id: str
    actions: tuple[Action, ...]
    marker: str
    key: str
    task_id: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it would leave: for dry runs and shadow mode. Credentials are left out of the headers."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Moot(HubError):
    """The ticket wants this no more: answered elsewhere, expired, resolved. Nothing was written and nobody has to act."""


class TicketWriter(Protocol):
    """Writes into one connector's tickets. No retries inside: the outbox owns them.

    `write` and `find` raise: `Retryable` when nothing can have been written (429, refused connection), `Uncertain`
    when it may have been (time-out, reset, 5xx after the request left), `Rejected` when the vendor refuses for good
    (404, 422; the message names the field), `Misconfigured` when our credentials are refused (401, 403), `Moot` when
    the ticket wants it no more."""

    async def write(self, write: Write) -> str:
        """Do the actions; return the vendor's id of what was written (of the note, when there is one)."""
        ...

    async def find(self, write: Write) -> str | None:
        """The vendor's id of what an earlier, doubtful `write` left behind; None when it left nothing, or when doing it
        again changes nothing (a tag, a field's value). Raises Rejected when that cannot be told: a person decides."""
        ...

    def preview(self, write: Write) -> list[Call]:
        """The requests that `write` would make, without a call. Raises Rejected for what it would refuse itself."""
        ...
