"""Grants skills to workers and takes them away again: by a quiz, by an operator; and keeps their languages. Called by
`quizzes.py`, the operator's pages, the command line and the worker's own settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.outbox.rows import Lease
from core.workers import check
from core.workers.model import MAX_SKILLS
from core.workers.row import announce_free, locked
from core.workers.tables import WorkerSkill

_DAY_MS = 86_400_000
# RFC 5646 language tags as people use them: de, pt-br, zh-hant.
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}\Z")


async def grant(tx: Transaction, worker_id: str, skill: str, *, by: str, valid_days: int = 0) -> None:
    """`by` is an operator's actor or `quiz`. Having it already makes it last from now on. Raises Invalid,
    NotFound, Conflict for too many."""
    check.skills([skill])
    worker = await locked(tx, worker_id)
    held = list(await tx.session.scalars(select(WorkerSkill).where(WorkerSkill.worker_id == worker_id)))
    row = next((one for one in held if one.skill == skill), None)
    if row is None and len(held) >= MAX_SKILLS:
        raise Conflict("too_many_skills", f"At most {MAX_SKILLS} skills")
    now = await tx.now_ms()
    lapses = clock.from_ms(now + valid_days * _DAY_MS) if valid_days else None
    if row is None:
        row = WorkerSkill(worker_id=worker_id, skill=skill)
        tx.session.add(row)
    row.granted_by, row.granted_at, row.lapses_at = by, clock.from_ms(now), lapses
    if lapses is not None:
        body = {"skill": skill}
        key = f"worker:{worker_id}:skill:{skill}:{clock.to_ms(lapses)}"
        tx.emit("skill.lapse", worker_id, body=body, delay=valid_days * 86_400, key=key)
    actor = f"person:{worker_id}" if by == "quiz" else by
    await record(tx, actor=actor, action="worker.skill_granted", subject=worker_id, skill=skill, by=by)
    await tx.session.flush()
    if worker.available:
        announce_free(tx, worker.environment)


async def revoke(tx: Transaction, worker_id: str, skill: str, *, actor: str, why: str = "") -> None:
    """What is in their hands stays there. Raises NotFound when they do not have it."""
    await locked(tx, worker_id)
    if not await _taken(tx, worker_id, [skill]):
        raise NotFound("skill_not_held", "This worker does not have that skill")
    await record(tx, actor=actor, action="worker.skill_revoked", subject=worker_id, skill=skill, why=why)


async def lapse(tx: Transaction, lease: Lease) -> None:
    """Topic `skill.lapse`: a skill's time is over, unless it was granted anew meanwhile."""
    skill = str(lease.body["skill"])
    await locked(tx, lease.subject)
    row = await tx.session.get(WorkerSkill, (lease.subject, skill), populate_existing=True)
    if row is None or row.lapses_at is None:
        return
    left = clock.to_ms(row.lapses_at) - await tx.now_ms()
    if left > 0:
        tx.emit("skill.lapse", lease.subject, body=lease.body, delay=left / 1000)
        return
    await _taken(tx, lease.subject, [skill])
    await record(tx, actor="hub", action="worker.skill_lapsed", subject=lease.subject, skill=skill)


async def set_languages(tx: Transaction, worker_id: str, tags: Iterable[str], *, actor: str) -> None:
    """The languages that the worker answers in, by their own word; a task can ask for one. Raises Invalid."""
    wanted = languages(tags)
    worker = await locked(tx, worker_id)
    if worker.languages == wanted:
        return
    before, worker.languages = worker.languages, wanted
    await record(tx, actor=actor, action="worker.languages_changed", subject=worker_id, was=before, to=wanted)
    await tx.session.flush()
    if worker.available:
        announce_free(tx, worker.environment)


def languages(tags: Iterable[str]) -> list[str]:
    """Sorted, lower case, each once. Raises Invalid for what is no language tag."""
    tidy = sorted({tag.strip().lower() for tag in tags if tag.strip()})
    bad = [tag for tag in tidy if not _TAG.match(tag)]
    if bad or len(tidy) > 20:
        told = f"{bad[0][:32]!r} is no language; write de, en or pt-br" if bad else "At most 20"
        raise Invalid("bad_languages", "These languages cannot be read", field_errors={"languages": told})
    return tidy


async def held(session: AsyncSession, worker_id: str) -> list[WorkerSkill]:
    """By name."""
    statement = select(WorkerSkill).where(WorkerSkill.worker_id == worker_id).order_by(WorkerSkill.skill)
    return list(await session.scalars(statement))


async def _taken(tx: Transaction, worker_id: str, skills: Sequence[str]) -> bool:
    gone = await tx.session.execute(
        delete(WorkerSkill)
        .where(WorkerSkill.worker_id == worker_id, WorkerSkill.skill.in_(skills))
        .returning(WorkerSkill.skill)
    )
    return bool(gone.all())
