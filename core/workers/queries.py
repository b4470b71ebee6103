"""Reads of workers for the pages, the API and the CLI."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.tables import Person
from core.errors import NotFound
from core.tasks.model import Environment
from core.workers.model import Profile
from core.workers.tables import Worker, WorkerSkill


async def get(session: AsyncSession, worker_id: str) -> Profile:
    """Raises NotFound."""
    worker = await session.get(Worker, worker_id)
    if worker is None:
        raise NotFound("unknown_worker", "There is no such worker")
    return (await _profiles(session, [worker]))[0]


async def page(
    session: AsyncSession,
    environment: Environment,
    *,
    after: str | None = None,
    limit: int = 50,
    like: str = "",
) -> list[Profile]:
    """Workers by id, those after the id `after`; fewer than `limit` means the end. `like`: only those whose name or e-mail
    address has this in it, in any case of its letters, or whose id it is."""
    statement = select(Worker).where(Worker.environment == str(environment))
    if like:
        part = like.lower()
        statement = statement.join(Person, Person.id == Worker.id).where(
            or_(
                Person.id == like,
                Person.email.contains(part, autoescape=True),
                func.lower(Person.name).contains(part, autoescape=True),
            )
        )
    if after is not None:
        statement = statement.where(Worker.id > after)
    found = await session.scalars(statement.order_by(Worker.id).limit(limit))
    return await _profiles(session, found.all())


async def skills_of(session: AsyncSession, worker_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """Skills by worker; every wanted id is a key."""
    result: dict[str, set[str]] = {worker_id: set() for worker_id in worker_ids}
    statement = select(WorkerSkill.worker_id, WorkerSkill.skill).where(WorkerSkill.worker_id.in_(worker_ids))
    for worker_id, skill in (await session.execute(statement)).all():
        result[worker_id].add(skill)
    return {worker_id: frozenset(skills) for worker_id, skills in result.items()}


async def _profiles(session: AsyncSession, workers: Sequence[Worker]) -> list[Profile]:
    skills = await skills_of(session, [worker.id for worker in workers])
    return [
        Profile(
            id=worker.id,
            environment=Environment(worker.environment),
            skills=skills[worker.id],
            tier=worker.tier,
            reliability=worker.reliability,
            price_floor_msat=worker.price_floor_msat,
            capacity=worker.capacity,
            load=worker.load,
            available=worker.available,
            payout_address=worker.payout_address,
            idle_since=worker.idle_since,
            auto_assign=worker.auto_assign,
        )
        for worker in workers
    ]
