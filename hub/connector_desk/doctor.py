"""Examines one configured connector: our own checks of its file, this hub and its database, then the vendor's. Called
by `hub connectors doctor`."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select

from connectors.config import ConnectorConfig
from connectors.connector import Check, Tools, Visit
from core import clock
from core.access import organisations
from core.db.unit_of_work import UnitOfWork
from core.errors import HubError
from core.intake.tables import QuarantinedDelivery
from core.repairs.queries import still_open
from core.replies.actions import subject_of
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.tasks.types import TaskTypes
from hub.connector_desk import file_checks
from hub.connector_desk.secrets import secret_checks

MAX_SKEW_MS = 2_000  # between this machine and the database's; deadlines are decided there, signatures here


class Clinic(msgspec.Struct, frozen=True, kw_only=True):
    """What a doctor works with: `fixtures` is the folder of the in-file tests' deliveries, `public_url` the hub's."""

    work: UnitOfWork
    types: TaskTypes
    tools: Tools
    fixtures: file_checks.Folder
    public_url: str


async def examine(clinic: Clinic, config: ConnectorConfig, ticket_id: str = "") -> list[Check]:
    """Every check in the order in which one depends on the other; never raises for what is wrong with the connector.
    A canary note is written only into the ticket that is named."""
    settings = config.settings
    return [
        *file_checks.of_file(config, clinic.fixtures),
        *secret_checks(settings),
        await _organisation(clinic.work, settings.organisation),
        *file_checks.task_types(settings, clinic.types),
        file_checks.public_address(settings, clinic.public_url),
        await _clock(clinic.work),
        *await _waiting(clinic.work, settings.id),
        *await _vendor(clinic, config, ticket_id),
    ]


async def _vendor(clinic: Clinic, config: ConnectorConfig, ticket_id: str) -> list[Check]:
    name = config.connector.name
    if config.connector.doctor is None:
        return [Check(name=name, ok=None, said="this connector has no checks of its own at the vendor")]
    visit = Visit(public_url=clinic.public_url, ticket_id=ticket_id)
    try:
        return await config.connector.doctor(config.settings, clinic.tools, visit)
    except HubError as error:
        return [Check(name=name, ok=False, said=error.message, fix="Mend it, then run the doctor again.")]


async def _organisation(work: UnitOfWork, name: str) -> Check:
    async with work.read() as session:
        found = await organisations.by_name(session, name)
    return Check(
        name="organisation",
        ok=found is not None,
        said=name if found else f"{name} does not exist",
        fix="" if found else f"Run `hub organisations create {name}`, or mend `organisation:` in the file.",
    )


async def _clock(work: UnitOfWork) -> Check:
    async with work.begin("connectors.doctor") as tx:
        skew = abs(await tx.now_ms() - clock.now_ms())
    good = skew <= MAX_SKEW_MS
    fix = "" if good else "Let this machine and the database's machine follow NTP."
    return Check(name="hub clock", ok=good, said=f"{skew} ms beside the database's", fix=fix)


async def _waiting(work: UnitOfWork, connector_id: str) -> list[Check]:
    """What waits for a person: quarantine, dead letters, repair items."""
    async with work.read() as session:
        held = await session.scalar(select(func.count()).where(QuarantinedDelivery.connector == connector_id))
        dead = await session.scalar(
            select(func.count()).where(Reply.connector == connector_id, Reply.state == ReplyState.DEAD)
        )
        items = await still_open(session, subject_of(connector_id))
    return [
        Check(
            name="quarantine",
            ok=not held,
            said=f"{held or 'no'} deliveries that no secret verified",
            fix=f"Mend the secret, then run `hub connectors quarantine {connector_id} --release`."
            if held
            else "",
        ),
        Check(
            name="dead letters",
            ok=not dead,
            said=f"{dead or 'no'} replies that gave up",
            fix=f"See `hub connectors deadletters {connector_id}`." if dead else "",
        ),
        *(
            Check(
                name=f"repair item {item.kind}",
                ok=False,
                said=item.message,
                fix=f"When it is mended: `hub connectors resume {connector_id}`.",
            )
            for item in items
        ),
        *([] if items else [Check(name="repair items", ok=True, said="none is open")]),
    ]
