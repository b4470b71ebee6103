"""Auto-assignment: in hand at once for who switched it on and may have it, an offer for everybody else; on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.outbox.tables import OutboxRow
from core.routing.model import InForce
from core.routing.tables import Assignment
from core.tasks.states import TaskStatus
from core.tasks.view import Expected, view
from core.workers import actions as workers
from core.workers.tables import Worker
from core.workers.tiers import Trust
from tests.factories_routing import Hub, a_task, a_worker, an_organisation

TRUST = Trust()
POLICY = InForce(auto_tiers=TRUST.auto_assigned)


async def _switched_on(work: UnitOfWork, **values: Any) -> str:
    async with work.begin("test.worker") as tx:
        worker_id = await a_worker(tx, **{"tier": 2, **values})
        await workers.set_auto_assign(tx, worker_id, True, TRUST, actor=f"person:{worker_id}")
    return worker_id


async def _posted(work: UnitOfWork, **values: Any) -> str:
    async with work.begin("test.task") as tx:
        return await a_task(tx, await an_organisation(tx), **values)


async def test_a_task_is_in_hand_at_once_with_its_clock_and_its_capacity(work: UnitOfWork) -> None:
    hub = Hub(work, policy=POLICY)
    worker_id = await _switched_on(work)
    task_id = await _posted(work)
    await hub.drain("task.posted")
    [turn] = await hub.assignments(task_id)
    assert (turn.worker_id, turn.state, turn.accepted_at) == (worker_id, "accepted", turn.offered_at)
    assert turn.accepted_at is not None
    assert turn.p50_seconds is not None
    assert turn.p90_seconds is not None
    assert (await hub.worker(worker_id)).load == 1
    task = await hub.task(task_id)
    assert (task.status, task.version, turn.due_at) == (TaskStatus.ASSIGNED, 2, task.expires_at)
    assert task.p90_at is not None
    assert task.p90_at == clock.from_ms(clock.to_ms(turn.accepted_at) + round(turn.p90_seconds * 1000))
    shown = view(task).estimated_completion
    assert isinstance(shown, Expected)
    assert shown.p90 == clock.iso(task.p90_at)
    async with work.read() as session:
        topics = set(await session.scalars(select(OutboxRow.topic).where(OutboxRow.state == "pending")))
    assert {"task.at_80", "task.hard_stop"} <= topics
    assert "assignment.lapse" not in topics
    await hub.submit(turn, {"answer": "this"})  # nothing else is needed
    assert (await hub.worker(worker_id)).load == 0


async def test_full_hands_get_nothing_more_and_the_next_one_is_asked(work: UnitOfWork) -> None:
    hub = Hub(work, policy=POLICY)
    eager = await _switched_on(work, reliability=0.99)
    async with work.begin("test.worker") as tx:
        other = await a_worker(tx, reliability=0.6)
    tasks = [await _posted(work) for _ in range(3)]
    await hub.drain("task.posted")
    held = [(one.worker_id, one.state) for task in tasks for one in await hub.assignments(task)]
    assert sorted(held) == sorted([(eager, "accepted"), (other, "offered")])
    assert [(await hub.worker(one)).load for one in (eager, other)] == [1, 1]


async def test_the_tier_must_allow_it_when_it_is_switched_on_and_whenever_it_is_used(
    work: UnitOfWork,
) -> None:
    hub = Hub(work, policy=POLICY)
    async with work.begin("test.worker") as tx:
        worker_id = await a_worker(tx, tier=1)
    with pytest.raises(Conflict) as refused:
        async with work.begin("workers.settings") as tx:
            await workers.set_auto_assign(tx, worker_id, True, TRUST, actor="person:me")
    assert (refused.value.code, refused.value.facts) == ("tier_too_low", {"tier": 1, "needed": 2})
    async with work.begin("test.fallen") as tx:  # switched on in a higher tier, fallen since
        await tx.session.execute(update(Worker).values(auto_assign=True))
    task_id = await _posted(work)
    await hub.drain("task.posted")
    assert [one.state for one in await hub.assignments(task_id)] == ["offered"]


async def test_who_does_not_wish_it_or_a_file_without_it_gets_an_offer(work: UnitOfWork) -> None:
    async with work.begin("test.worker") as tx:
        await a_worker(tx, tier=4)
    first = await _posted(work)
    await Hub(work, policy=POLICY).drain("task.posted")
    async with work.begin("test.switch") as tx:
        await tx.session.execute(update(Worker).values(auto_assign=True, capacity=2))
    second = await _posted(work)
    await Hub(work).drain("task.posted")
    async with work.read() as session:
        rows = await session.execute(select(Assignment.task_id, Assignment.state))
        found = {row.task_id: row.state for row in rows}
    assert found == {first: "offered", second: "offered"}


async def test_who_let_one_run_out_is_not_given_the_next_unasked(work: UnitOfWork) -> None:
    hub = Hub(work, policy=POLICY)
    worker_id = await _switched_on(work)
    task_id = await _posted(work)
    await hub.drain("task.posted")
    await hub.pass_time(601)
    await hub.drain("task.at_100")
    [turn] = await hub.assignments(task_id)
    assert (turn.state, turn.reason) == ("lapsed", "taken_back")
    worker = await hub.worker(worker_id)
    assert (worker.auto_assign, worker.load) == (False, 0)
    after = await _posted(work)
    await hub.drain("task.posted")
    assert [one.state for one in await hub.assignments(after)] == ["offered"]


async def test_several_answers_and_backups_are_assigned_too(work: UnitOfWork) -> None:
    hub = Hub(work, policy=POLICY)
    people = {await _switched_on(work) for _ in range(3)}
    task_id = await _posted(work, answers_wanted=3, answers_max=3)
    await hub.drain("task.posted", "task.more")
    found = await hub.assignments(task_id)
    assert {one.worker_id for one in found} == people
    assert [(one.kind, one.state) for one in found] == [
        ("primary", "accepted"), ("redundant", "accepted"), ("redundant", "accepted"),
    ]  # fmt: skip
