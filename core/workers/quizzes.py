"""Attempts at the quiz of a skill: begun, answered, out of time. Passing grants the skill. Called by the worker's pages
and API; the alarm `quiz.lapse` ends an attempt that nobody sent."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import Conflict, NotFound
from core.outbox.rows import Lease
from core.workers.availability import suspension_of
from core.workers.quiz import Quiz, draw, mark
from core.workers.row import locked
from core.workers.skills import grant, lapse
from core.workers.states import QUIZ_TRANSITIONS, QuizState
from core.workers.tables import QuizAttempt, WorkerSkill

lapse_skill = lapse
GRACE_SECONDS = 30  # for the way of a form that was sent in the last second


class Quizzes:
    """The quizzes of `config/quizzes`, by skill."""

    def __init__(self, quizzes: list[Quiz]):
        self._by_skill = {one.skill: one for one in quizzes}

    def __iter__(self) -> Iterator[Quiz]:
        return iter(self._by_skill.values())

    def find(self, skill: str) -> Quiz | None:
        return self._by_skill.get(skill)

    def get(self, skill: str) -> Quiz:
        """Raises NotFound for a skill without one."""
        found = self.find(skill)
        if found is None:
            raise NotFound("no_quiz", "There is no quiz for this skill")
        return found


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker may try now. `open` is the attempt that runs; `from_` the moment of the next try, None now;
    `left` how many tries there are; `last` the newest attempt that ended."""

    open: QuizAttempt | None
    last: QuizAttempt | None
    left: int
    from_: datetime | None

    def allowed(self, now: datetime) -> bool:
        return self.open is None and self.left > 0 and (self.from_ is None or self.from_ <= now)


async def chance(session: AsyncSession, worker_id: str, quiz: Quiz) -> Chance:
    """Tries are counted since the skill was last passed, so that who let it lapse begins anew."""
    statement = select(QuizAttempt).where(QuizAttempt.worker_id == worker_id, QuizAttempt.skill == quiz.skill)
    rows = list(await session.scalars(statement.order_by(QuizAttempt.id.desc()).limit(200)))
    ended = [row for row in rows if row.state != QuizState.OPEN]
    lost = 0
    for row in ended:
        if row.state == QuizState.PASSED:
            break
        lost += 1
    last = ended[0] if ended else None
    wait = None
    if last is not None and last.state != QuizState.PASSED and last.ended_at is not None:
        wait = clock.from_ms(clock.to_ms(last.ended_at) + quiz.cooldown_hours * 3_600_000)
    running = next((row for row in rows if row.state == QuizState.OPEN), None)
    return Chance(open=running, last=last, left=max(0, quiz.tries - lost), from_=wait)


async def begin(
    tx: Transaction, worker_id: str, quiz: Quiz, dice: random.Random | None = None
) -> QuizAttempt:
    """Draw the questions and start the clock; the running attempt when there is one. Raises NotFound, Conflict while
    the worker must wait, has no try left, holds the skill or is suspended."""
    await locked(tx, worker_id)
    now = await tx.now_ms()
    found = await chance(tx.session, worker_id, quiz)
    if found.open is not None:
        return found.open
    if await tx.session.get(WorkerSkill, (worker_id, quiz.skill)) is not None:
        raise Conflict("skill_held", "You have this skill already; there is nothing to pass")
    if await suspension_of(tx.session, worker_id) is not None:
        raise Conflict("suspended", "Your account is suspended; there are no quizzes meanwhile")
    if found.left == 0:
        raise Conflict("no_tries_left", "There is no try left; an operator may grant the skill")
    if not found.allowed(clock.from_ms(now)):
        at = clock.iso(found.from_ or clock.from_ms(now))
        raise Conflict("cool_down", f"The next try is open from {at} on", at=at)
    row = QuizAttempt(
        id=ids.new("quz"),
        worker_id=worker_id,
        skill=quiz.skill,
        state=str(QuizState.OPEN),
        questions=draw(quiz, dice or random.SystemRandom()),
        needed=quiz.needed,
        started_at=clock.from_ms(now),
        due_at=clock.from_ms(now + quiz.minutes * 60_000),
    )
    try:
        async with tx.session.begin_nested():
            tx.session.add(row)
    except IntegrityError as error:  # the same button pressed twice, on two devices
        raise Conflict("quiz_open", "This quiz is open already; reload the page") from error
    tx.emit("quiz.lapse", row.id, delay=quiz.minutes * 60 + GRACE_SECONDS)
    await record(tx, actor=f"person:{worker_id}", action="quiz.begun", subject=row.id, skill=quiz.skill)
    return row


async def answer(
    tx: Transaction, worker_id: str, attempt_id: str, quiz: Quiz, chosen: Mapping[str, int | None]
) -> QuizAttempt:
    """Mark it, once; a second sending gives what the first one came to. Raises NotFound for somebody else's, Invalid
    for a place that was not shown, Conflict when the time is over."""
    await locked(tx, worker_id)
    row = await tx.session.get(QuizAttempt, attempt_id, populate_existing=True)
    if row is None or row.worker_id != worker_id or row.skill != quiz.skill:
        raise NotFound("unknown_attempt", "There is no such quiz of yours")
    if row.state in (QuizState.PASSED, QuizState.FAILED):
        return row
    now = await tx.now_ms()
    if row.state == QuizState.LAPSED or now > clock.to_ms(row.due_at) + GRACE_SECONDS * 1000:
        raise Conflict("quiz_over", "The time for this quiz is over")
    right = mark(quiz, row.questions, chosen)
    state = QuizState.PASSED if right >= row.needed else QuizState.FAILED
    await move(
        tx,
        row,
        state,
        table=QUIZ_TRANSITIONS,
        right=right,
        answers=[chosen.get(str(name)) for name, _ in row.questions],
        ended_at=clock.from_ms(now),
    )
    await record(
        tx, actor=f"person:{worker_id}", action=f"quiz.{state}", subject=row.id, skill=quiz.skill, right=right
    )
    if state is QuizState.PASSED:
        await grant(tx, worker_id, quiz.skill, by="quiz", valid_days=quiz.valid_days)
    return row


async def lapse_attempt(tx: Transaction, lease: Lease) -> None:
    """Topic `quiz.lapse`: nothing was sent in time."""
    row = await tx.session.get(QuizAttempt, lease.subject)
    if row is None or row.state != QuizState.OPEN:
        return
    left = clock.to_ms(row.due_at) + GRACE_SECONDS * 1000 - await tx.now_ms()
    if left > 0:
        tx.emit("quiz.lapse", lease.subject, delay=left / 1000)
        return
    await locked(tx, row.worker_id)
    await tx.session.refresh(row)
    if row.state == QuizState.OPEN:
        await move(
            tx, row, QuizState.LAPSED, table=QUIZ_TRANSITIONS, ended_at=clock.from_ms(await tx.now_ms())
        )
