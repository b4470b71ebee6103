"""Every connector that this hub has, or ever had, with what needs an operator's eye. Read by `hub connectors list` and
the operator's page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.intake.tables import ConnectorRecord, QuarantinedDelivery
from core.repairs.tables import Repair
from core.replies.actions import subject_of
from core.replies.states import ReplyState
from core.replies.tables import Reply
from hub.services import LoadedConnector


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """One connector. `organisation`, `environment`, `mode` and `address` are empty where no file has its id; `note`
    says then what became of it, and what to do. `dead` counts replies that gave up."""

    id: str
    vendor: str
    organisation: str = ""
    environment: str = ""
    mode: str = ""
    address: str = ""
    repairs: int = 0
    quarantined: int = 0
    dead: int = 0
    reconciled_to: datetime | None = None
    note: str = ""


async def overview(
    session: AsyncSession, configs: Mapping[str, LoadedConnector], public_url: str
) -> list[Overview]:
    """The configured ones by id, then those without a file."""
    records = {one.id: one for one in await session.scalars(select(ConnectorRecord))}
    repairs = await _counts(
        session,
        select(Repair.subject, func.count()).where(Repair.closed_at.is_(None)).group_by(Repair.subject),
    )
    held = await _counts(
        session,
        select(QuarantinedDelivery.connector, func.count()).group_by(QuarantinedDelivery.connector),
    )
    dead = await _counts(
        session,
        select(Reply.connector, func.count()).where(Reply.state == ReplyState.DEAD).group_by(Reply.connector),
    )
    found: list[Overview] = []
    for name in [*sorted(configs), *sorted(set(records) - set(configs))]:
        record = records.get(name)
        found.append(
            Overview(
                id=name,
                vendor=configs[name].connector.name if name in configs else records[name].vendor,
                repairs=repairs.get(subject_of(name), 0),
                quarantined=held.get(name, 0),
                dead=dead.get(name, 0),
                reconciled_to=record.reconciled_to if record else None,
                **(_of_file(configs[name], public_url) if name in configs else {"note": gone(records[name])}),
            )
        )
    return found


def webhook_address(public_url: str, connector_id: str) -> str:
    """What is written into the vendor's webhook settings."""
    return f"{public_url}/hooks/in/{connector_id}"


def gone(record: ConnectorRecord) -> str:
    """Why a connector without a file is still listed."""
    if record.retired_at is not None:
        return f"retired on {record.retired_at:%Y-%m-%d}"
    return f"no file has this id: put it back, or run `hub connectors retire {record.id}`"


def _of_file(config: LoadedConnector, public_url: str) -> dict[str, str]:
    settings = config.settings
    return {
        "organisation": settings.organisation,
        "environment": settings.environment,
        "mode": settings.mode,
        "address": webhook_address(public_url, settings.id),
    }


async def _counts(session: AsyncSession, statement: Select[str, int]) -> dict[str, int]:
    rows = await session.execute(statement)
    return {row[0]: row[1] for row in rows.all()}
