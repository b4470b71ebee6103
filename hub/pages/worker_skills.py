"""The worker's skills: what they have, the quiz of each, and what became of it. Which answers were right is not shown."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from core import clock
from core.access.sessions import SignedIn
from core.errors import Conflict, Invalid
from core.workers import queries as workers
from core.workers import quizzes
from core.workers.quiz import Quiz, shown
from core.workers.quizzes import Chance
from core.workers.skills import held
from core.workers.states import QuizState
from core.workers.tables import WorkerSkill
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

NOTICES = {
    "welcome": "You are in. Pass a quiz for a skill, then switch your offers on under Work.",
    "passed": "Passed: the skill is yours. Switch your offers on under Work.",
    "failed": "Not passed this time.",
    "over": "The time for that quiz was over.",
    "wait": "The next try is not open yet.",
    "no-try": "There is no try left; an operator may grant the skill.",
    "suspended": "Your account is suspended; there are no quizzes meanwhile.",
    "held": "You have this skill already; there is nothing to pass.",
}
_CODES = {
    "cool_down": "wait",
    "no_tries_left": "no-try",
    "suspended": "suspended",
    "quiz_over": "over",
    "skill_held": "held",
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One skill on the page. `held` is None while the worker does not have it; `chance` None without a quiz."""

    skill: str
    title: str
    quiz: Quiz | None
    held: WorkerSkill | None
    chance: Chance | None
    may_try: bool


@get("/", name="worker.skills", include_in_schema=False)
async def show_skills(
    person: NamedDependency[SignedIn], services: NamedDependency[Services], notice: FromQuery[str] = ""
) -> Response[str]:
    """Skills held, and those that a quiz leads to."""
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        have = {one.skill: one for one in await held(session, worker.id)}
        by_skill = {quiz.skill: quiz for quiz in services.people.quizzes}
        lines: list[Line] = []
        for skill in sorted(set(have) | set(by_skill)):
            quiz = by_skill.get(skill)
            chance = None if quiz is None else await quizzes.chance(session, worker.id, quiz)
            lines.append(
                Line(
                    skill=skill,
                    title=skill if quiz is None else quiz.title,
                    quiz=quiz,
                    held=have.get(skill),
                    chance=chance,
                    may_try=chance is not None and skill not in have and chance.allowed(clock.now()),
                )
            )
    return page(
        "worker_skills.html",
        person,
        heading="Skills",
        area="worker",
        here="skills",
        test_money=test_money(services, worker.environment),
        lines=lines,
        notice=NOTICES.get(notice, ""),
    )


@post("/{skill:str}/begin", name="worker.quiz.begin", include_in_schema=False)
async def begin(
    skill: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """The clock runs from here. A quiz that runs already is gone on with. Raises NotFound for a skill without one."""
    quiz = services.people.quizzes.get(skill)
    try:
        async with services.work.begin("quiz.begin") as tx:
            await quizzes.begin(tx, person.person_id, quiz)
    except Conflict as error:
        return see_other(f"/worker/skills?notice={_CODES.get(error.code, 'wait')}")
    return see_other(f"/worker/skills/{skill}/quiz")


@get("/{skill:str}/quiz", name="worker.quiz", include_in_schema=False)
async def show_quiz(
    skill: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """The questions of the try that runs."""
    return await _quiz(skill, person, services, {}, "")


@post("/{skill:str}/quiz", name="worker.quiz.answer", include_in_schema=False)
async def answer(
    request: Request[Any, Any, Any],
    skill: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """Takes the answers, once. Leaving a question out is allowed after a second look."""
    form = await request.form()
    quiz = services.people.quizzes.get(skill)
    async with services.work.read() as session:
        found = (await quizzes.chance(session, person.person_id, quiz)).open
    if found is None:
        return see_other("/worker/skills?notice=over")
    chosen: dict[str, int | None] = {}
    for one in shown(quiz, found.questions):
        value = form.get(f"q-{one.id}")
        chosen[one.id] = (
            int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 3 else None
        )
    missing = [name for name, place in chosen.items() if place is None]
    if missing and form.get("anyway") != "yes":
        told = "Some questions have no answer yet. Answer them, or send it as it is."
        return await _quiz(skill, person, services, chosen, told)
    try:
        async with services.work.begin("quiz.answer") as tx:
            ended = await quizzes.answer(tx, person.person_id, found.id, quiz, chosen)
    except Conflict:
        return see_other("/worker/skills?notice=over")
    except Invalid as error:
        return await _quiz(skill, person, services, chosen, error.message)
    return see_other(f"/worker/skills?notice={'passed' if ended.state == QuizState.PASSED else 'failed'}")


async def _quiz(
    skill: str, person: SignedIn, services: Services, chosen: dict[str, int | None], told: str
) -> Response[str] | Redirect:
    quiz = services.people.quizzes.get(skill)
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        found = (await quizzes.chance(session, worker.id, quiz)).open
    if found is None:
        return see_other("/worker/skills")
    return page(
        "worker_quiz.html",
        person,
        status_code=422 if told else 200,
        heading=quiz.title,
        area="worker",
        here="skills",
        script=True,
        test_money=test_money(services, worker.environment),
        quiz=quiz,
        attempt=found,
        questions=shown(quiz, found.questions),
        chosen=chosen,
        told=told,
    )


ROUTER = Router(
    path="/worker/skills",
    guards=[no_nul, auth.worker],
    route_handlers=[show_skills, begin, show_quiz, answer],
)
