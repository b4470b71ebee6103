"""Workers and operators as people who sign in: made, blocked, found. What routing knows of a worker is in
`core/workers/`."""

from __future__ import annotations

import re

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access import sessions
from core.access.roles import Role
from core.access.tables import Person
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound

# One @, no spaces or control characters, a dot in no particular place: the mail itself proves the rest.
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255}\Z")
NAME_LIMIT = 200


def normal_email(email: str) -> str:
    """The form under which an address is unique. Raises Invalid for what is no address."""
    email = email.strip().lower()
    if not _EMAIL.match(email):
        raise Invalid(
            "email", "This is not an e-mail address", field_errors={"email": "Write name@example.org"}
        )
    return email


async def create(tx: Transaction, *, role: Role, name: str, email: str, actor: str) -> Person:
    """Raises Conflict when the address belongs to somebody already."""
    name = name.strip()
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise Invalid(
            "person_name",
            "A person needs a name",
            field_errors={"name": f"1 to {NAME_LIMIT} printable characters"},
        )
    row = Person(
        id=ids.new("per"),
        role=str(role),
        name=name,
        email=normal_email(email),
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise Conflict("email_taken", "Somebody with this e-mail address exists") from error
    await record(tx, actor=actor, action="person.created", subject=row.id, role=str(role))
    return row


async def by_email(session: AsyncSession, email: str) -> Person | None:
    return await session.scalar(select(Person).where(Person.email == normal_email(email)))


async def get(session: AsyncSession, person_id: str) -> Person:
    """Raises NotFound."""
    found = await session.get(Person, person_id)
    if found is None:
        raise NotFound("person_not_found", "Person not found")
    return found


async def block(tx: Transaction, person_id: str, *, actor: str) -> None:
    """They are signed out everywhere and can sign in no more."""
    person = await get(tx.session, person_id)
    if person.blocked_at is not None:
        raise Conflict("person_blocked", "This person is blocked already")
    person.blocked_at = clock.from_ms(await tx.now_ms())
    await sessions.end_all(tx, person_id)
    await record(tx, actor=actor, action="person.blocked", subject=person_id)


async def unblock(tx: Transaction, person_id: str, *, actor: str) -> None:
    person = await get(tx.session, person_id)
    if person.blocked_at is None:
        raise Conflict("person_not_blocked", "This person is not blocked")
    person.blocked_at = None
    await record(tx, actor=actor, action="person.unblocked", subject=person_id)
