"""`/worker/api`, what a worker looks for: the queue and taking from it, more time, and the quizzes of skills. The same actions
as the pages; `worker.py` puts the handlers behind its guard."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from core import clock
from core.access.sessions import SignedIn
from core.routing import extend as extending
from core.routing import pull
from core.routing.actions import release as give_back
from core.workers import queries as workers
from core.workers import quizzes
from core.workers.skills import held as skills_held
from hub.api.decoding import Fields, paged, read_object
from hub.api.worker_account_views import (
    AttemptView,
    OpenTask,
    QueueView,
    QuizList,
    QuizView,
    TurnDue,
    attempt_view,
    quiz_view,
)
from hub.api.worker_views import TurnState, pay_view_of
from hub.pages import desk as desks
from hub.services import Services

AnyRequest = Request[Any, Any, Any]

_text = msgspec.json.Decoder(str)
_chosen = msgspec.json.Decoder(dict[str, int | None])


@get("/queue", name="worker_api.queue")
async def list_queue(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> QueueView:
    """What this worker may take now, the question whose time ends first at the top; `cursor` is the `nextCursor` of the
    page before. A page may be short and still have a next one. Raises Invalid for a broken cursor."""
    limit, after = paged(request)
    async with services.work.read() as session:
        found = await pull.browse(
            session, person.person_id, services.types, services.policy, after=after, limit=limit
        )
    rate = desks.rate_or_none(services)
    return QueueView(
        data=[
            OpenTask(
                task_id=task.id,
                task_type=task.task_type,
                title=services.types.of(task.task_type).title,
                risk=task.risk_tier,
                pay=pay_view_of(desks.pay_of(task, rate)),
                expires_at=clock.iso(task.expires_at),
            )
            for task in found.tasks
        ],
        server_time=clock.iso(clock.now()),
        has_more=found.after is not None,
        next_cursor=found.after,
    )


@post("/queue/{task_id:str}/take", name="worker_api.take", status_code=200)
async def take(
    task_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TurnState:
    """The question is in their hands at once. Raises NotFound, Conflict when it is gone or not for them."""
    async with services.work.begin("routing.take") as tx:
        found = await pull.take(tx, task_id, person.person_id, services.types, services.policy)
    return TurnState(id=found.id, state=found.state)


@post("/assignments/{assignment_id:str}/release", name="worker_api.release", status_code=200)
async def release(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TurnState:
    """Given back without penalty."""
    async with services.work.begin("routing.release") as tx:
        found = await give_back(tx, assignment_id, person.person_id)
    return TurnState(id=found.id, state=found.state)


@post("/assignments/{assignment_id:str}/extend", name="worker_api.extend", status_code=200)
async def extend(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TurnDue:
    """Half an SLA more, once; asking again gives the same end. Raises NotFound, Conflict when there is none to give."""
    async with services.work.begin("routing.extend") as tx:
        found = await extending.extend(tx, assignment_id, person.person_id)
    return TurnDue(
        id=found.id,
        state=found.state,
        due_at=clock.iso(found.due_at),
        server_time=clock.iso(clock.now()),
    )


@get("/quizzes", name="worker_api.quizzes")
async def list_quizzes(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> QuizList:
    """Every skill that is held or has a quiz, by name."""
    data: list[QuizView] = []
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        have = {one.skill: one for one in await skills_held(session, worker.id)}
        by_skill = {quiz.skill: quiz for quiz in services.people.quizzes}
        for skill in sorted(set(have) | set(by_skill)):
            quiz = by_skill.get(skill)
            chance = None if quiz is None else await quizzes.chance(session, worker.id, quiz)
            data.append(quiz_view(skill, quiz, have.get(skill), chance))
    return QuizList(data=data, server_time=clock.iso(clock.now()))


@post("/quizzes/{skill:str}/begin", name="worker_api.quiz_begin", status_code=200)
async def begin_quiz(
    skill: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> AttemptView:
    """The questions, and the clock runs; the running try when there is one. Raises NotFound for a skill without a quiz,
    Conflict while the worker must wait, has no try left, holds the skill or is suspended."""
    quiz = services.people.quizzes.get(skill)
    async with services.work.begin("quiz.begin") as tx:
        found = await quizzes.begin(tx, person.person_id, quiz)
    return attempt_view(found, quiz)


@get("/quizzes/{skill:str}", name="worker_api.quiz")
async def show_quiz(
    skill: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> QuizView:
    """One of `/quizzes`: whether it runs, and what the last try came to. Raises NotFound for a skill without a quiz."""
    quiz = services.people.quizzes.get(skill)
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        mine = next((one for one in await skills_held(session, worker.id) if one.skill == skill), None)
        chance = await quizzes.chance(session, worker.id, quiz)
    return quiz_view(skill, quiz, mine, chance)


@post("/quizzes/{skill:str}/answers", name="worker_api.quiz_answer", status_code=200)
async def answer_quiz(
    request: AnyRequest,
    skill: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> AttemptView:
    """`{"attempt": id, "answers": {question: place of the option, or null}}`, once; a second sending gives what the first
    came to. Raises NotFound, Invalid for a place that was not shown, Conflict when the time is over."""
    quiz = services.people.quizzes.get(skill)
    body = Fields(await read_object(request))
    attempt = body.take(_text, "attempt", required=True)
    chosen = body.take(_chosen, "answers", required=True)
    body.check()
    async with services.work.begin("quiz.answer") as tx:
        ended = await quizzes.answer(tx, person.person_id, attempt or "", quiz, chosen or {})
    return attempt_view(ended, quiz)


HANDLERS = [list_queue, take, release, extend, list_quizzes, begin_quiz, show_quiz, answer_quiz]
