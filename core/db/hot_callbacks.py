"""Whether anybody wants the events of an organisation, asked for every event so that nobody's costs no job. Used by
`core/tasks/changes.py` and `core/tasks/creation.py`."""

from __future__ import annotations

import msgspec

from core.db.unit_of_work import Transaction

# One expression for both databases. Which events an endpoint wants is read by the job that sends them.
LISTENED = (
    "EXISTS (SELECT 1 FROM callback_endpoints WHERE organisation_id = {organisation} "
    "AND environment = {environment} AND disabled_at IS NULL)"
)
_WHO = {
    "postgresql": """
        SELECT DISTINCT organisation_id, environment FROM callback_endpoints
        WHERE organisation_id = ANY($1::text[]) AND disabled_at IS NULL""",
    "sqlite": """
        SELECT DISTINCT organisation_id, environment FROM callback_endpoints
        WHERE organisation_id IN (SELECT value FROM json_each(?1)) AND disabled_at IS NULL""",
}


async def listeners(tx: Transaction, organisations: list[str]) -> set[tuple[str, str]]:
    """(organisation, environment) of those among `organisations` that have an endpoint of their own."""
    wanted = organisations if tx.dialect == "postgresql" else msgspec.json.encode(organisations).decode()
    return {(row[0], row[1]) for row in await tx.execute(_WHO[tx.dialect], (wanted,))}
