"""The port through which an answer reaches a ticket. Implemented by `connectors/<name>/reply.py`,
driven by `core/replies/actions.py`, which commits `sending` before the call and looks before it sends again."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One write into a ticket. `text` already carries `marker` (`[hub:rep_…]`) in the open, because a vendor may
    strip what is hidden; the marker is how `find` recognises our own note."""

    ticket_id: str
    text: str
    marker: str


class TicketWriter(Protocol):
    """Writes into one connector's tickets. No retries inside: the outbox owns them.

    Raises: `Retryable` when nothing can have been written (429, refused connection), `Uncertain` when it may have
    been (time-out, reset, 5xx after the request left), `Rejected` when the vendor refuses for good (404, 422),
    `Misconfigured` when our credentials are refused (401, 403)."""

    async def write(self, note: Note) -> str:
        """Post the note; return the vendor's id of it."""
        ...

    async def find(self, note: Note) -> str | None:
        """The vendor's id of a note of ours that carries `note.marker`, None when there is none."""
        ...
