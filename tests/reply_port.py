"""How the machine of replies uses a vendor's writer, for the tests of the writers under faults."""

from __future__ import annotations

from core.errors import HubError, Retryable, Uncertain
from core.replies.ticketing import TicketWriter, Write


async def as_the_port_says(
    writer: TicketWriter, asked: Write, tries: int = 5
) -> tuple[str, list[type[HubError]]]:
    """The id of the note, and what was raised before: send, look when in doubt, send again when nothing can have arrived."""
    seen: list[type[HubError]] = []
    doubtful = False
    for _ in range(tries):
        try:
            if doubtful and (found := await writer.find(asked)):
                return found, seen
            return await writer.write(asked), seen
        except (Retryable, Uncertain) as error:
            doubtful = doubtful or isinstance(error, Uncertain)
            seen.append(type(error))
    raise AssertionError(f"no note after {tries} tries: {seen}")
