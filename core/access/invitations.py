"""Invitations: the way in for a new worker. An operator makes the link and sends it (the hub sends no mail); where
sign-up is open, a stranger may ask for one first, and the operator's sending it to that address is what proves the
address. One use, seven days. Used by the operator's and the joining pages and the command line."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.access import people
from core.access.tables import Invitation
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, LimitExceeded, NotFound, Unauthenticated
from core.secret import Secret, digest, random_token
from core.tasks.model import Environment

DAYS = 7
ASKED_DAYS = 30
MOST_WAITING = 1_000
STRANGER = "stranger"
_DAY_MS = 86_400_000


async def invite(
    tx: Transaction,
    email: str,
    *,
    actor: str,
    environment: Environment = Environment.LIVE,
    tier: int = 0,
    skills: Sequence[str] = (),
) -> tuple[Invitation, Secret]:
    """The invitation and the token of its link, which is shown once. Raises Invalid for what is no address, Conflict
    when somebody has it already."""
    row = await _made(tx, email, actor, DAYS, environment, tier, list(skills))
    return row, await renew(tx, row.id, actor=actor)


async def ask(tx: Transaction, email: str) -> None:
    """A stranger asks to be invited. What comes of it looks the same for an address that is known, asked before, or
    new. Raises Invalid for what is no address, LimitExceeded when too many wait."""
    tidy = people.normal_email(email)
    now = clock.from_ms(await tx.now_ms())
    open_ = (Invitation.used_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > now)
    if await people.by_email(tx.session, tidy) or await tx.session.scalar(
        select(Invitation.id).where(Invitation.email == tidy, *open_).limit(1)
    ):
        return
    waiting = await tx.session.scalar(
        select(func.count()).select_from(Invitation).where(Invitation.made_by == STRANGER, *open_)
    )
    if (waiting or 0) >= MOST_WAITING:
        raise LimitExceeded(
            "sign_up_full", "Too many people wait for an invitation; try later", retry_after=3_600
        )
    await _made(tx, tidy, STRANGER, ASKED_DAYS, Environment.LIVE, 0, [])


async def renew(tx: Transaction, invitation_id: str, *, actor: str) -> Secret:
    """A link for an invitation, the former one dead. Raises NotFound, Conflict when it was used or revoked."""
    row = await _held(tx, invitation_id)
    token = Secret(random_token())
    row.digest = digest(token.reveal())
    row.expires_at = clock.from_ms(await tx.now_ms() + DAYS * _DAY_MS)
    await record(tx, actor=actor, action="invitation.link_made", subject=row.id)
    await tx.session.flush()
    return token


async def revoke(tx: Transaction, invitation_id: str, *, actor: str) -> None:
    """Raises NotFound, Conflict when it was used or revoked."""
    row = await _held(tx, invitation_id)
    row.revoked_at = clock.from_ms(await tx.now_ms())
    await record(tx, actor=actor, action="invitation.revoked", subject=row.id)


async def find(session: AsyncSession, presented: str) -> Invitation:
    """The invitation behind a link, for its page. Raises Unauthenticated when it is unknown, used, revoked or over; the
    sentence is the same each time."""
    row = await session.scalar(select(Invitation).where(Invitation.digest == digest(presented)))
    if row is None or row.used_at or row.revoked_at or row.expires_at <= clock.now():
        raise _over()
    return row


async def use(tx: Transaction, presented: str, person_id: str) -> None:
    """Use it up: one of two who press at the same time. Raises Unauthenticated as `find`."""
    now = clock.from_ms(await tx.now_ms())
    used = await tx.session.execute(
        update(Invitation)
        .where(
            Invitation.digest == digest(presented),
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(used_at=now, used_by=person_id)
        .returning(Invitation.id)
        .execution_options(synchronize_session=False)
    )
    found = used.scalar_one_or_none()
    if found is None:
        raise _over()
    await record(tx, actor=f"person:{person_id}", action="invitation.used", subject=found)


async def waiting(session: AsyncSession, limit: int = 100, *, before: str = "") -> list[Invitation]:
    """Those that can still be used or wait for a link, newest first, older than the id `before`; fewer than `limit` means the
    end."""
    statement = select(Invitation).where(
        Invitation.used_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > clock.now()
    )
    if before:
        statement = statement.where(Invitation.id < before)
    return list(await session.scalars(statement.order_by(Invitation.id.desc()).limit(limit)))


async def _made(
    tx: Transaction,
    email: str,
    actor: str,
    days: int,
    environment: Environment,
    tier: int,
    skills: list[str],
) -> Invitation:
    tidy = people.normal_email(email)
    if await people.by_email(tx.session, tidy) is not None:
        raise Conflict("email_taken", "Somebody with this e-mail address exists")
    now = await tx.now_ms()
    row = Invitation(
        id=ids.new("inv"),
        email=tidy,
        environment=str(environment),
        tier=tier,
        skills=skills,
        made_by=actor,
        made_at=clock.from_ms(now),
        expires_at=clock.from_ms(now + days * _DAY_MS),
    )
    tx.session.add(row)
    await tx.session.flush()
    await record(tx, actor=actor, action="invitation.made", subject=row.id)
    return row


async def _held(tx: Transaction, invitation_id: str) -> Invitation:
    row = await tx.session.get(Invitation, invitation_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("unknown_invitation", "There is no such invitation")
    if row.used_at is not None or row.revoked_at is not None:
        raise Conflict("invitation_over", "This invitation was used or revoked")
    return row


def _over() -> Unauthenticated:
    return Unauthenticated("invitation_link", "This invitation is no longer valid; ask for a new one")
