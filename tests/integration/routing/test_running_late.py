"""A task that runs late, on both databases: a backup when the answer will probably be late, none that the skill cannot spare,
the answer of somebody from whom it was taken back, an extension, and a clock that jumps."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.routing import times
from core.routing.assignments import task_for_update
from core.routing.backups import Backups
from core.routing.model import Policy, Sla
from core.routing.promise import KNOWN_FROM, extend
from core.routing.tables import Assignment
from core.tasks.tables import Task
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation

ANSWER = {"answer": "yes"}


async def accepted(
    work: UnitOfWork,
    people: int,
    *,
    tasks: int = 1,
    policy: Policy | None = None,
    learnt: float | None = None,
) -> tuple[Hub, list[str]]:
    """A hub with tasks of 100 s that people have accepted, and the tasks' ids. `learnt`: so many seconds the answers of the
    type have taken."""
    hub = Hub(work, a_type(max_reroutes=1, hard_stop_factor=4), policy=policy)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        for n in range(people):
            await a_worker(tx, reliability=0.9 - n / 100)
        ids = [
            await a_task(tx, organisation, sla_seconds=100, kind=a_type(hard_stop_factor=4))
            for _ in range(tasks)
        ]
    if learnt is not None:
        await answers_took(work, learnt)
    await hub.drain("task.posted")
    for task_id in ids:
        for offer in await hub.assignments(task_id):
            await hub.accept(offer)
    return hub, ids


async def answers_took(work: UnitOfWork, seconds: float) -> None:
    """Many answers of others, by the code that learns from one."""
    task = Task(environment="test", task_type="triage")
    for n in range(2 * KNOWN_FROM):
        async with work.begin("test.learn") as tx:
            now = await tx.now_ms()
            turn = Assignment(
                worker_id=f"per_other{n % 4}",
                state="accepted",
                accepted_at=clock.from_ms(now - round(seconds * 1000)),
            )
            times.ended(tx, task, turn, times.AssignmentState.SUBMITTED, now)


async def kinds(hub: Hub, task_id: str) -> list[tuple[str, str]]:
    return [(one.kind, one.state) for one in await hub.assignments(task_id)]


async def test_who_will_probably_be_late_gets_somebody_beside_them_before_eighty_percent(
    work: UnitOfWork,
) -> None:
    hub, [task_id] = await accepted(work, 2, learnt=300)
    [turn] = await hub.assignments(task_id)
    assert turn.worry_at is not None
    assert turn.worry_at < turn.due_at
    task = await hub.task(task_id)
    assert task.p50_at is not None
    assert task.p90_at is not None
    assert task.p50_at < task.p90_at
    assert turn.p90_seconds is not None
    await hub.pass_time(60)
    await hub.drain("task.at_80")
    assert await kinds(hub, task_id) == [("primary", "accepted"), ("backup", "offered")]


async def test_who_will_be_in_time_is_left_alone_until_eighty_percent(work: UnitOfWork) -> None:
    hub, [task_id] = await accepted(work, 2, learnt=10)
    await hub.pass_time(20)
    await hub.drain("task.at_80")
    assert await kinds(hub, task_id) == [("primary", "accepted")]
    await hub.pass_time(60)
    await hub.drain("task.at_80")
    assert await kinds(hub, task_id) == [("primary", "accepted"), ("backup", "offered")]


async def test_a_skill_gives_no_more_backups_than_its_share(work: UnitOfWork) -> None:
    rules = Policy(sla=Sla(backups=Backups(burst=1, share_percent=10)))
    hub, ids = await accepted(work, 5, tasks=3, policy=rules)
    await hub.pass_time(80)
    await hub.drain("task.at_80")
    assert sorted([await kinds(hub, task_id) for task_id in ids]) == [
        [("primary", "accepted")],
        [("primary", "accepted")],
        [("primary", "accepted"), ("backup", "offered")],
    ]
    woken = [(await hub.assignments(task_id))[0].woken_at is not None for task_id in ids]
    assert sorted(woken) == [False, True, True]


async def test_no_backup_while_the_people_are_busy_or_others_wait_for_them(work: UnitOfWork) -> None:
    hub, [one, other] = await accepted(work, 2, tasks=2)  # everybody has a task
    await hub.pass_time(80)
    await hub.drain("task.at_80")
    assert await kinds(hub, one) == await kinds(hub, other) == [("primary", "accepted")]


async def test_a_late_answer_is_judged_and_paid_if_it_is_the_first(work: UnitOfWork) -> None:
    hub, [task_id] = await accepted(work, 1)
    [turn] = await hub.assignments(task_id)
    await hub.pass_time(101)
    await hub.drain()
    assert await kinds(hub, task_id) == [("primary", "lapsed")]
    assert (await hub.task(task_id)).status == "posted"
    await hub.submit(turn, ANSWER)
    await hub.submit(turn, ANSWER)  # the same again is the same
    await hub.drain()
    task = await hub.task(task_id)
    assert (task.status, task.output) == ("verified", ANSWER)
    assert await kinds(hub, task_id) == [("primary", "counted")]
    assert (await hub.worker(turn.worker_id)).load == 0


async def test_a_late_answer_beside_somebody_elses_work(work: UnitOfWork) -> None:
    hub, [task_id] = await accepted(work, 2)
    [turn] = await hub.assignments(task_id)
    await hub.pass_time(101)
    await hub.drain()
    assert await kinds(hub, task_id) == [("primary", "lapsed"), ("primary", "offered")]
    await hub.submit(turn, ANSWER)
    assert (await hub.assignments(task_id))[0].slot == 1  # its own slot is somebody else's now
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"
    assert await kinds(hub, task_id) == [("primary", "counted"), ("primary", "lapsed")]


async def test_after_the_hard_stop_nobody_answers(work: UnitOfWork) -> None:
    hub, [task_id] = await accepted(work, 1)
    [turn] = await hub.assignments(task_id)
    await hub.pass_time(401)
    await hub.drain()
    with pytest.raises(Conflict):
        await hub.submit(turn, ANSWER)


async def test_an_extension_moves_the_end_of_the_turn_and_nothing_else(work: UnitOfWork) -> None:
    hub, [task_id] = await accepted(work, 1)
    before = (await hub.assignments(task_id))[0].due_at
    async with work.begin("routing.extend") as tx:
        task = await task_for_update(tx, task_id)
        turn = await tx.session.get_one(Assignment, (await hub.assignments(task_id))[0].id)
        assert await extend(tx, task, turn, 50) == clock.to_ms(before) + 50_000
    await hub.pass_time(110)
    await hub.drain()
    assert await kinds(hub, task_id) == [("primary", "accepted")]
    await hub.pass_time(41)
    await hub.drain()
    assert await kinds(hub, task_id) == [("primary", "lapsed")]
    async with work.begin("routing.extend") as tx:
        task = await task_for_update(tx, task_id)
        turn = await tx.session.get_one(Assignment, (await hub.assignments(task_id))[0].id)
        with pytest.raises(Conflict, match="no longer"):
            await extend(tx, task, turn, 50)


async def test_a_clock_that_leaps_ahead_and_back_does_nothing_twice(work: UnitOfWork) -> None:
    """Ahead: all alarms ring at once and each thing is done once. Back: what was done stays done, what was not rings when
    its time comes."""
    hub, [task_id] = await accepted(work, 3)
    await hub.pass_time(150)
    await hub.drain()
    assert (await hub.task(task_id)).reroutes == 1
    turns = await kinds(hub, task_id)
    assert turns[0] == ("primary", "lapsed")
    await hub.pass_time(-140)  # the clock is set back: everything lies further ahead
    async with work.begin("test.ring") as tx:  # and every alarm rings once more
        await tx.session.execute(
            text("UPDATE outbox SET state = 'pending', due_at = 0 WHERE topic LIKE 'task.at%'")
        )
    await hub.drain()
    assert (await hub.task(task_id)).reroutes == 1
    assert (await kinds(hub, task_id))[0] == ("primary", "lapsed")
    await hub.pass_time(400)
    await hub.drain()
    assert (await hub.task(task_id)).status == "expired"
