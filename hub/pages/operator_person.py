"""One worker as the operator sees them, with everything that the worker reads of themselves: standing and its evidence, pay,
suspensions and appeals, quizzes, what they had lately. What is done about them is posted to `operator_people.py`."""

from __future__ import annotations

from typing import Any

from litestar import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.access.tables import Person
from core.errors import NotFound
from core.payouts.queries import totals_of
from core.routing.tables import Assignment
from core.workers import queries as workers
from core.workers import records, skills, standing, suspensions
from core.workers.hours import to_spans
from core.workers.tables import QuizAttempt, Worker, WorkerSettings
from core.workers.tiers import missing
from hub.pages.desk import rate_or_none, test_money
from hub.pages.record import months_of, type_lines
from hub.pages.templating import page
from hub.services import Services

LATELY = 20


async def person_page(
    worker_id: str, person: SignedIn, services: Services, *, link: str = "", error: str = ""
) -> Response[str]:
    """Raises NotFound for somebody who is no worker."""
    async with services.work.read() as session:
        context = await _read(session, worker_id, services)
    return page(
        "operator_person.html",
        person,
        status_code=422 if error else 200,
        heading=context["who"].name,
        area="operator",
        here="people",
        test_money=test_money(services, context["profile"].environment),
        rate=rate_or_none(services),
        link=link,
        error=error,
        may_operate=may(person.role, Scope.ACCESS),
        **context,
    )


async def _read(session: AsyncSession, worker_id: str, services: Services) -> dict[str, Any]:
    now = clock.now_ms()
    worker, who = await session.get(Worker, worker_id), await session.get(Person, worker_id)
    if worker is None or who is None:
        raise NotFound("unknown_worker", "There is no such worker")
    stands = await standing.standing_of(session, worker, await records.of_worker(session, worker.id), now)
    kept = await session.get(WorkerSettings, worker.id)
    tries = select(QuizAttempt).where(QuizAttempt.worker_id == worker.id)
    turns = select(Assignment).where(Assignment.worker_id == worker.id)
    return {
        "worker": worker,
        "who": who,
        "profile": await workers.get(session, worker.id),
        "kept": kept,
        "spans": to_spans(kept.hours if kept else []),
        "held": await skills.held(session, worker.id),
        "standing": stands,
        "missing": missing(now, stands, services.trust),
        "tier": services.trust.of(worker.tier),
        "types": await type_lines(session, worker),
        "changes": await standing.tier_changes(session, worker.id),
        "suspensions": await suspensions.suspensions_of(session, worker.id),
        "appeals": await suspensions.appeals_of(session, worker.id),
        "months": await months_of(session, worker.id),
        "earned": await totals_of(session, worker.id),
        "tries": list(await session.scalars(tries.order_by(QuizAttempt.id.desc()).limit(LATELY))),
        "turns": list(await session.scalars(turns.order_by(Assignment.id.desc()).limit(LATELY))),
    }
