"""Finds what an operator named, or says what there is."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.config import ConnectorConfig
from connectors.expressions import nearest
from core.errors import NotFound
from core.intake import records
from core.intake.tables import InboundEvent


def configured(configs: Mapping[str, ConnectorConfig], name: str) -> ConnectorConfig:
    """The connector with this id. Raises NotFound."""
    found = configs.get(name)
    if found is None:
        raise _unknown(name, configs, "No connector file has")
    return found


async def known(session: AsyncSession, configs: Mapping[str, ConnectorConfig], name: str) -> str:
    """The id, if a file has it or had it once. Raises NotFound."""
    if name not in configs and await records.named(session, name) is None:
        raise _unknown(name, configs, "No connector file ever had")
    return name


async def event_named(session: AsyncSession, event_id: str) -> InboundEvent:
    """Raises NotFound."""
    found = await session.get(InboundEvent, event_id)
    if found is None:
        raise NotFound("inbound_event_not_found", f"No inbound delivery {event_id}; see `hub inbound list`")
    return found


def _unknown(name: str, configs: Mapping[str, ConnectorConfig], what: str) -> NotFound:
    there = ", ".join(sorted(configs)) or "none"
    return NotFound(
        "connector_not_found",
        f"{what} the id {name!r}{nearest(name, frozenset(configs))}; configured here: {there}",
    )
