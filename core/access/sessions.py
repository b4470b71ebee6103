"""Signing in by a one-time link, and the sessions that follow. Rows, so that a session survives a restart and can be
ended from the other side. Used by `hub/auth.py`, the sign-in pages and the command line."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.access.tables import Person, Session, SignInLink
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import NotFound, Unauthenticated
from core.secret import Secret, digest, random_token

LINK_SECONDS = 15 * 60
SESSION_SECONDS = 30 * 86_400


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The person behind a session. `csrf_token` must come back with every form; `session` is the row's digest."""

    person_id: str
    role: str
    name: str
    csrf_token: str
    session: str

    @property
    def actor(self) -> str:
        return f"person:{self.person_id}"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """`token` goes into the cookie and nowhere else."""

    token: Secret
    person: Person
    seconds: int


async def make_link(tx: Transaction, person_id: str, *, actor: str) -> Secret:
    """A token that signs this person in once within 15 minutes. Raises NotFound for an unknown or blocked one."""
    person = await tx.session.get(Person, person_id)
    if person is None or person.blocked_at is not None:
        raise NotFound("person_not_found", "Person not found")
    token = Secret(random_token())
    now = await tx.now_ms()
    tx.session.add(
        SignInLink(
            digest=digest(token.reveal()),
            person_id=person_id,
            expires_at=clock.from_ms(now + LINK_SECONDS * 1000),
        )
    )
    await record(tx, actor=actor, action="link.made", subject=person_id)
    return token


async def sign_in(tx: Transaction, presented: str) -> Opened:
    """Use up a link and open a session. Raises Unauthenticated when the link is unknown, used, over, or its person
    blocked; the sentence is the same each time."""
    now = clock.from_ms(await tx.now_ms())
    used = await tx.session.execute(
        update(SignInLink)
        .where(
            SignInLink.digest == digest(presented), SignInLink.used_at.is_(None), SignInLink.expires_at > now
        )
        .values(used_at=now)
        .returning(SignInLink.person_id)
    )
    person_id = used.scalar_one_or_none()
    person = None if person_id is None else await tx.session.get(Person, person_id)
    if person is None or person.blocked_at is not None:
        raise Unauthenticated("sign_in_link", "This sign-in link is no longer valid; ask for a new one")
    return await open_session(tx, person)


async def open_session(tx: Transaction, person: Person) -> Opened:
    now = await tx.now_ms()
    token = Secret(random_token())
    tx.session.add(
        Session(
            digest=digest(token.reveal()),
            person_id=person.id,
            csrf_token=random_token(),
            created_at=clock.from_ms(now),
            expires_at=clock.from_ms(now + SESSION_SECONDS * 1000),
        )
    )
    await record(tx, actor=f"person:{person.id}", action="session.opened", subject=person.id)
    return Opened(token=token, person=person, seconds=SESSION_SECONDS)


async def find(session: AsyncSession, presented: str) -> SignedIn | None:
    """The person behind a session's token; None when it is unknown, over, revoked, or the person is blocked."""
    row = (
        await session.execute(
            select(Session.digest, Session.csrf_token, Person.id, Person.role, Person.name)
            .join(Person, Person.id == Session.person_id)
            .where(
                Session.digest == digest(presented),
                Session.revoked_at.is_(None),
                Session.expires_at > clock.now(),
                Person.blocked_at.is_(None),
            )
        )
    ).first()
    if row is None:
        return None
    return SignedIn(session=row[0], csrf_token=row[1], person_id=row[2], role=row[3], name=row[4])


async def end(tx: Transaction, session_digest: str) -> None:
    """Sign out. Harmless for a session that is over."""
    await tx.session.execute(
        update(Session)
        .where(Session.digest == session_digest, Session.revoked_at.is_(None))
        .values(revoked_at=clock.from_ms(await tx.now_ms()))
    )


async def end_all(tx: Transaction, person_id: str) -> int:
    """Sign out everywhere, and void the links that wait in mailboxes. The number of sessions that ended."""
    now = clock.from_ms(await tx.now_ms())
    ended = await tx.session.execute(
        update(Session)
        .where(Session.person_id == person_id, Session.revoked_at.is_(None), Session.expires_at > now)
        .values(revoked_at=now)
        .returning(Session.digest)
    )
    await tx.session.execute(
        update(SignInLink)
        .where(SignInLink.person_id == person_id, SignInLink.used_at.is_(None))
        .values(used_at=now)
    )
    return len(ended.all())


async def purge(tx: Transaction, *, days: int = 7) -> None:
    """Forget links and sessions that ended more than `days` ago."""
    before = clock.from_ms(await tx.now_ms() - days * 86_400_000)
    await tx.session.execute(delete(SignInLink).where(SignInLink.expires_at < before))
    await tx.session.execute(delete(Session).where(Session.expires_at < before))
