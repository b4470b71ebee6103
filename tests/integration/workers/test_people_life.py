"""A worker's life outside of tasks: invited, quizzed, at work by hours, suspended, heard; on both databases."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from sqlalchemy import select

from core import clock
from core.access import invitations
from core.access.tables import Invitation
from core.audit.tables import AuditEntry
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, Forbidden, HubError, Invalid, NotFound, Unauthenticated
from core.outbox.rows import Lease
from core.repairs.queries import still_open
from core.workers import actions, availability, quizzes, skills, standing, suspensions
from core.workers.hours import WEEK
from core.workers.joining import Newcomer, join, version_of
from core.workers.quiz import Question, Quiz, shown
from core.workers.states import QuizState
from core.workers.suspensions import About
from core.workers.tables import QuizAttempt, Worker, WorkerSkill
from core.workers.tiers import Trust
from tests.factories_routing import a_worker

TERMS = "Be honest."
QUIZ = Quiz(
    skill="law",
    title="Law",
    cooldown_hours=24,
    tries=2,
    questions=[Question(id=f"q{n}", text="?", options=["no", "yes"], right="yes") for n in range(8)],
)


def newcomer(**values: object) -> Newcomer:
    return Newcomer(**{"name": "Nina", "terms": version_of(TERMS), "languages": ["DE", "en"], **values})  # pyright: ignore[reportArgumentType] - fields by name


async def a_link(work: UnitOfWork, email: str = "nina@example.test") -> str:
    async with work.begin("test.invite") as tx:
        _, token = await invitations.invite(tx, email, actor="person:op", skills=["general"])
    return token.reveal()


async def test_an_invitation_works_once_whoever_is_faster(work: UnitOfWork) -> None:
    token = await a_link(work)

    async def come() -> str:
        try:
            async with work.begin("workers.join") as tx:
                return (await join(tx, token, newcomer(), TERMS)).person.id
        except HubError as error:
            return error.code

    came = await asyncio.gather(come(), come(), come())
    [person_id] = [one for one in came if one.startswith("per")]
    async with work.read() as session:
        worker = await session.get_one(Worker, person_id)
        assert (worker.tier, worker.available, worker.languages) == (0, False, ["de", "en"])
        assert [one.skill for one in await skills.held(session, person_id)] == ["general"]
    assert await come() == "invitation_link"


async def test_what_is_missing_is_told_at_once_and_uses_nothing_up(work: UnitOfWork) -> None:
    token = await a_link(work)
    bad = Newcomer(
        name=" ", terms="old", languages=["?"], timezone="Mars", payout_address="nowhere", capacity=0
    )
    with pytest.raises(Invalid) as refused:
        async with work.begin("workers.join") as tx:
            await join(tx, token, bad, TERMS)
    assert set(refused.value.field_errors) == {
        "name", "terms", "languages", "timezone", "payoutAddress", "capacity",
    }  # fmt: skip
    async with work.read() as session:
        assert (await invitations.find(session, token)).used_at is None


async def test_a_revoked_and_a_renewed_link_are_dead(work: UnitOfWork) -> None:
    token = await a_link(work)
    async with work.begin("test.renew") as tx:
        row = await tx.session.scalar(select(Invitation))
        assert row is not None
        again = await invitations.renew(tx, row.id, actor="person:op")
    async with work.read() as session:
        with pytest.raises(Unauthenticated):
            await invitations.find(session, token)
        await invitations.find(session, again.reveal())
    async with work.begin("test.revoke") as tx:
        await invitations.revoke(tx, row.id, actor="person:op")
    async with work.read() as session:
        with pytest.raises(Unauthenticated):
            await invitations.find(session, again.reveal())


async def test_a_stranger_asks_once_and_learns_nothing(work: UnitOfWork) -> None:
    for email in ("Sam@example.test", "sam@example.test"):
        async with work.begin("invitations.ask") as tx:
            await invitations.ask(tx, email)
    async with work.read() as session:
        [one] = await invitations.waiting(session)
    assert (one.email, one.made_by, one.digest) == ("sam@example.test", invitations.STRANGER, None)


async def tried(work: UnitOfWork, worker_id: str, *, well: bool) -> QuizAttempt:
    async with work.begin("quiz.begin") as tx:
        row = await quizzes.begin(tx, worker_id, QUIZ, random.Random(7))
    chosen = {one.id: one.options.index("yes" if well else "no") for one in shown(QUIZ, row.questions)}
    async with work.begin("quiz.answer") as tx:
        return await quizzes.answer(tx, worker_id, row.id, QUIZ, chosen)


async def test_passing_grants_the_skill_and_it_lapses(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    ended = await tried(work, worker_id, well=True)
    with pytest.raises(Conflict) as refused:
        await tried(work, worker_id, well=True)
    assert refused.value.code == "skill_held"
    assert (ended.state, ended.right, ended.answers is not None) == (QuizState.PASSED, 6, True)
    lease = Lease(
        id="job",
        token=1,
        topic="skill.lapse",
        subject=worker_id,
        body={"skill": "law"},
        attempt=1,
        queue="default",
        until_ms=0,
        age_ms=0,
        lease_ms=0,
    )
    async with work.begin("workers.skill_lapsed") as tx:
        row = await tx.session.get_one(WorkerSkill, (worker_id, "law"))
        assert (row.granted_by, row.lapses_at is not None) == ("quiz", True)
        await skills.lapse(tx, lease)
        assert [job.topic for job in tx.jobs] == ["skill.lapse"]  # too early: rings again
        row.lapses_at = clock.from_ms(await tx.now_ms() - 1)
        await tx.session.flush()
        await skills.lapse(tx, lease)
    async with work.read() as session:
        assert await skills.held(session, worker_id) == []


async def test_tries_are_counted_and_cool_down(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    assert (await tried(work, worker_id, well=False)).state == QuizState.FAILED
    with pytest.raises(Conflict) as refused:
        await tried(work, worker_id, well=True)
    assert refused.value.code == "cool_down"
    async with work.begin("test.later") as tx:
        for row in await tx.session.scalars(select(QuizAttempt)):
            row.ended_at = clock.from_ms(await tx.now_ms() - 25 * 3_600_000)
    await tried(work, worker_id, well=False)
    with pytest.raises(Conflict) as refused:
        await tried(work, worker_id, well=True)
    assert refused.value.code == "no_tries_left"


async def test_one_quiz_at_a_time_and_nobody_elses(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        mine, other = await a_worker(tx), await a_worker(tx)
    async with work.begin("quiz.begin") as tx:
        first = await quizzes.begin(tx, mine, QUIZ)
        assert (await quizzes.begin(tx, mine, QUIZ)).id == first.id
    with pytest.raises(NotFound):
        async with work.begin("quiz.answer") as tx:
            await quizzes.answer(tx, other, first.id, QUIZ, {})


async def test_hours_switch_offers_on_and_off(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    minute = clock.now().weekday() * 1440 + clock.now().hour * 60 + clock.now().minute
    start = (minute + 120) % (WEEK - 60)  # in two hours, for one hour
    async with work.begin("workers.hours") as tx:
        worker = await availability.set_hours(tx, worker_id, [[start, start + 60]], "UTC", actor="x")
        assert not worker.available
        [alarm] = [job for job in tx.jobs if job.topic == "worker.hours"]
        assert alarm.body["version"] == 1
        assert alarm.body["at_ms"] == pytest.approx(await tx.now_ms() + alarm.delay_ms, abs=60_000)
    async with work.begin("workers.hours") as tx:
        worker = await availability.set_hours(tx, worker_id, [], "UTC", actor="x")
        assert worker.available
        assert [job.topic for job in tx.jobs] == ["worker.free"]
    async with work.begin("workers.pause") as tx:
        assert not (await actions.pause(tx, worker_id, actor="x")).available
        assert not (await availability.set_hours(tx, worker_id, [], "UTC", actor="x")).available


async def test_an_alarm_that_rings_before_its_time_is_not_lost(work: UnitOfWork) -> None:
    """A clock that was set back: the alarm's key is used up, and still it rings when its time has come."""
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    async with work.begin("workers.hours") as tx:
        await availability.set_hours(tx, worker_id, [[0, 60]], "UTC", actor="x")
        at_ms = await tx.now_ms() + 3_600_000
    lease = Lease(
        id="job",
        token=1,
        topic="worker.hours",
        subject=worker_id,
        body={"version": 1, "at_ms": at_ms},
        attempt=1,
        queue="default",
        until_ms=0,
        age_ms=0,
        lease_ms=0,
    )
    async with work.begin("workers.hours") as tx:
        await availability.ring(tx, lease)
        [again] = [job for job in tx.jobs if job.key is None and job.topic == "worker.hours"]
        assert (again.body, again.delay_ms) == (lease.body, pytest.approx(3_600_000, abs=60_000))
    late = msgspec.structs.replace(lease, body={"version": 1, "at_ms": 0})
    for former in (late, msgspec.structs.replace(lease, body={"version": 0, "at_ms": at_ms})):
        async with work.begin("workers.hours") as tx:
            await availability.ring(tx, former)
            assert [job for job in tx.jobs if job.key is None and job.topic == "worker.hours"] == []


async def test_a_suspension_keeps_offers_away_until_an_appeal_is_granted(work: UnitOfWork) -> None:
    trust = Trust()
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    async with work.begin("operator.worker") as tx:
        made = await suspensions.suspend(tx, worker_id, "Copied answers", actor="person:op1")
    async with work.read() as session:
        assert not (await session.get_one(Worker, worker_id)).available
    with pytest.raises(Conflict):
        async with work.begin("workers.resume") as tx:
            await actions.resume(tx, worker_id, actor=f"person:{worker_id}")
    with pytest.raises(Conflict):
        async with work.begin("operator.worker") as tx:
            await suspensions.suspend(tx, worker_id, "Again", actor="person:op1")
    async with work.begin("workers.appeal") as tx:
        one = await suspensions.appeal(tx, worker_id, About.SUSPENSION, made.id, "It was not me", trust)
    with pytest.raises(Conflict):
        async with work.begin("workers.appeal") as tx:
            await suspensions.appeal(tx, worker_id, About.SUSPENSION, made.id, "Once more", trust)
    with pytest.raises(Forbidden):
        async with work.begin("operator.appeal") as tx:
            await suspensions.decide(tx, one.id, grant=True, answer="No", actor="person:op1", trust=trust)
    async with work.begin("test.late") as tx:
        row = await tx.session.get_one(type(one), one.id)
        row.due_at = clock.from_ms(await tx.now_ms() - 1)
        await tx.session.flush()
        await suspensions.overdue(tx, one.id)
    async with work.read() as session:
        assert [item.kind for item in await still_open(session)] == ["appeal_overdue"]
    async with work.begin("operator.appeal") as tx:
        await suspensions.decide(
            tx, one.id, grant=True, answer="You are right", actor="person:op2", trust=trust
        )
    async with work.read() as session:
        assert (await session.get_one(Worker, worker_id)).available
        assert await still_open(session) == []
        said = set(await session.scalars(select(AuditEntry.action)))
    assert {"worker.suspended", "appeal.made", "appeal.granted", "worker.unsuspended"} <= said


async def test_a_demotion_that_was_wrong_is_taken_back_and_stays_so(work: UnitOfWork) -> None:
    trust = Trust()
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx, tier=2)
    async with work.begin("workers.tier") as tx:
        down = await standing.set_tier(tx, worker_id, 0, "A mistake", actor="person:op1")
    async with work.begin("workers.appeal") as tx:
        one = await suspensions.appeal(tx, worker_id, About.TIER, down.id, "Look again", trust)
    async with work.begin("operator.appeal") as tx:
        await suspensions.decide(tx, one.id, grant=True, answer="Yes", actor="person:op2", trust=trust)
    async with work.read() as session:
        worker = await session.get_one(Worker, worker_id)
        kept = await standing.standing_of(session, worker, [], clock.now_ms())
    assert (worker.tier, kept.floor) == (2, 2)
