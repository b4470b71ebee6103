"""API keys: made once, shown once, kept as a digest. Used by the command line, the operator's pages and the guard of
`/v1` in `hub/auth.py`."""

from __future__ import annotations

import re

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access.tables import ApiKey, Organisation
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.secret import Secret, digest, random_token
from core.tasks.model import Environment

# The published documents disagree about the prefix: `ek_` (OpenAPI, quickstart) and `hr_` (SDK README). A key is
# minted with one of them and is valid exactly as minted.
PREFIXES = ("ek", "hr")
_FORM = re.compile(r"(?:ek|hr)_(live|test)_[A-Za-z0-9_-]{43}\Z")


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key a request carries. Everything that the request sees and does belongs to this organisation and
    environment; `plan` prices its tasks."""

    key_id: str
    organisation_id: str
    environment: Environment
    plan: str

    @property
    def actor(self) -> str:
        return f"key:{self.key_id}"


class Minted(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is shown this once."""

    row: ApiKey
    secret: Secret


async def mint(
    tx: Transaction,
    organisation_id: str,
    environment: Environment,
    *,
    name: str,
    actor: str,
    prefix: str = "ek",
) -> Minted:
    """A new key of 256 random bits. Raises NotFound for an unknown organisation, Invalid for an unknown prefix."""
    if prefix not in PREFIXES:
        raise Invalid("key_prefix", f"A key starts with one of: {', '.join(PREFIXES)}")
    if await tx.session.get(Organisation, organisation_id) is None:
        raise NotFound("organisation_not_found", "Organisation not found")
    token = random_token(f"{prefix}_{environment}_")
    row = ApiKey(
        id=ids.new("key"),
        organisation_id=organisation_id,
        environment=str(environment),
        digest=digest(token),
        hint=f"{token[:12]}…{token[-4:]}",
        name=name,
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    await record(tx, actor=actor, action="key.minted", subject=row.id, hint=row.hint)
    return Minted(row=row, secret=Secret(token))


def well_formed(presented: str) -> bool:
    """True for text that could be one of our keys; anything else need not reach the database."""
    return _FORM.match(presented) is not None


async def find(session: AsyncSession, presented_digest: str) -> Caller | None:
    """Whose living key has this digest."""
    found = (
        await session.execute(
            select(ApiKey.id, ApiKey.organisation_id, ApiKey.environment, Organisation.plan)
            .join(Organisation, Organisation.id == ApiKey.organisation_id)
            .where(ApiKey.digest == presented_digest, ApiKey.revoked_at.is_(None))
        )
    ).first()
    if found is None:
        return None
    return Caller(key_id=found[0], organisation_id=found[1], environment=Environment(found[2]), plan=found[3])


async def authenticate(session: AsyncSession, presented: str) -> Caller | None:
    """The caller behind a presented key; None for an unknown, malformed or revoked one."""
    return await find(session, digest(presented)) if well_formed(presented) else None


async def revoke(tx: Transaction, key_id: str, *, actor: str) -> None:
    """Raises NotFound for an unknown key, Conflict for one that is revoked already."""
    result = await tx.session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=clock.from_ms(await tx.now_ms()))
        .returning(ApiKey.id)
    )
    if result.first() is None:
        if await tx.session.get(ApiKey, key_id) is None:
            raise NotFound("key_not_found", "API key not found")
        raise Conflict("key_revoked", "This API key is revoked already")
    await record(tx, actor=actor, action="key.revoked", subject=key_id)


async def of_organisation(session: AsyncSession, organisation_id: str) -> list[ApiKey]:
    """Its keys, newest first, revoked ones included."""
    statement = select(ApiKey).where(ApiKey.organisation_id == organisation_id).order_by(ApiKey.id.desc())
    return list(await session.scalars(statement))
