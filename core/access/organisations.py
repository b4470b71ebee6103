"""Tenants. Made by the command line, the operator's pages and the demo."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access.sealing import Sealer
from core.access.tables import Organisation
from core.audit.record import record
from core.billing.actions import TEST_GRANT_MSAT, open_accounts
from core.callbacks import sign
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.secret import Secret

NAME_LIMIT = 200


async def create(
    tx: Transaction,
    *,
    name: str,
    plan: str,
    sealer: Sealer,
    actor: str,
    test_grant_msat: int = TEST_GRANT_MSAT,
) -> Organisation:
    """A new tenant with its ledger accounts (the test one starts with `test_grant_msat` of play money) and a webhook
    secret. Raises Conflict when the name is taken."""
    name = name.strip()
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise Invalid(
            "organisation_name",
            "An organisation needs a name",
            field_errors={"name": f"1 to {NAME_LIMIT} printable characters"},
        )
    row = Organisation(
        id=ids.new("org"),
        name=name,
        plan=plan,
        webhook_secret=sealer.seal(sign.new_secret().reveal()),
        tasks_charged=0,
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise Conflict("organisation_exists", "An organisation of this name exists", name=name) from error
    await open_accounts(tx, row.id, test_grant_msat=test_grant_msat)
    await record(tx, actor=actor, action="organisation.created", subject=row.id, name=name, plan=plan)
    return row


async def get(session: AsyncSession, organisation_id: str) -> Organisation:
    """Raises NotFound."""
    found = await session.get(Organisation, organisation_id)
    if found is None:
        raise NotFound("organisation_not_found", "Organisation not found")
    return found


async def by_name(session: AsyncSession, name: str) -> Organisation | None:
    return await session.scalar(select(Organisation).where(Organisation.name == name))


def webhook_secret(organisation: Organisation, sealer: Sealer) -> Secret:
    """What signs the callbacks of its tasks."""
    return Secret(sealer.unseal(organisation.webhook_secret))


async def set_plan(tx: Transaction, organisation: Organisation, plan: str, *, actor: str) -> None:
    """From the next task on; what is reserved already keeps its price. `plan` is one of `config/plans.yaml`."""
    before = organisation.plan
    if before == plan:
        return
    organisation.plan = plan
    await tx.session.flush()
    await record(
        tx,
        actor=actor,
        action="organisation.plan_changed",
        subject=organisation.id,
        before=before,
        after=plan,
    )


async def rotate_webhook_secret(
    tx: Transaction, organisation: Organisation, sealer: Sealer, *, actor: str
) -> Secret:
    """A new secret, shown this once; the old one signs nothing from the next attempt on."""
    fresh = sign.new_secret()
    organisation.webhook_secret = sealer.seal(fresh.reveal())
    await record(tx, actor=actor, action="organisation.secret_rotated", subject=organisation.id)
    return fresh
