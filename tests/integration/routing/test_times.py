"""What a turn teaches about completion times, as rows: in the transaction of the turn's end, apart by environment, and
without losing one of two that end at once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.routing import actions, times
from core.routing.predict import State, observe, predict
from core.routing.tables import CompletionTime
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation

ANSWER = {"answer": "yes"}


async def a_hub(work: UnitOfWork, workers: int) -> tuple[Hub, list[str]]:
    """With as many accepted tasks as workers; the ids of the workers."""
    hub = Hub(work, a_type())
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        people = [await a_worker(tx) for _ in range(workers)]
        tasks = [await a_task(tx, organisation, sla_seconds=3_600) for _ in range(workers)]
    await hub.drain("task.posted")
    for task_id in tasks:
        [offer] = await hub.assignments(task_id)
        await hub.accept(offer)
    return hub, people


async def all_turns(hub: Hub) -> list[str]:
    from core.routing.tables import Assignment

    async with hub.work.read() as session:
        return list(await session.scalars(select(Assignment.id).order_by(Assignment.id)))


async def test_an_answer_is_learnt_as_the_pure_function_has_it(work: UnitOfWork) -> None:
    hub, [worker] = await a_hub(work, 1)
    await hub.pass_time(100)
    [turn] = await all_turns(hub)
    async with work.begin("routing.submit") as tx:
        before = (await times.states(tx.session, "test", "triage", [worker]))[worker]
        submission = await actions.submit(tx, turn, worker, ANSWER)
        [task] = [await hub.task(submission.task_id)]
        [assignment] = await hub.assignments(task.id)
    took = (submission.created_at - assignment.accepted_at).total_seconds() if assignment.accepted_at else 0
    assert took >= 0
    async with work.read() as session:
        after = (await times.states(session, "test", "triage", [worker]))[worker]
        [found] = (await times.predictions(session, "test", "triage", [worker])).values()
    wanted = observe(State(before.parts), took, censored=False)
    assert {part for part in after.parts if not part.endswith(":known")} == set(wanted.parts)
    assert after.of("worker:time").total == pytest.approx(wanted.of("worker:time").total)
    assert after.of("worker:offers").count == 1
    assert found == predict(after)


async def test_two_answers_at_once_are_both_learnt(work: UnitOfWork) -> None:
    hub, _ = await a_hub(work, 6)

    async def answer(turn: str) -> None:
        async with work.begin("routing.submit") as tx:
            from core.routing.tables import Assignment

            mine = await tx.session.get_one(Assignment, turn)
            await actions.submit(tx, turn, mine.worker_id, ANSWER)

    await asyncio.gather(*(answer(turn) for turn in await all_turns(hub)))
    async with work.read() as session:
        rows = {
            (row.whose, row.part): row
            for row in await session.scalars(
                select(CompletionTime).where(CompletionTime.whose == "test", CompletionTime.task_type == "")
            )
        }
    assert rows["test", "all:time"].count == 6
    assert rows["test", "all:time"].n == pytest.approx(6, rel=0.01)
    assert rows["test", "all:first"].count == 6


async def test_the_other_environment_learns_nothing(work: UnitOfWork) -> None:
    hub, [worker] = await a_hub(work, 1)
    [turn] = await all_turns(hub)
    async with work.begin("routing.submit") as tx:
        await actions.submit(tx, turn, worker, ANSWER)
    async with work.read() as session:
        assert (await times.states(session, "live", "triage", ["per_other"]))["per_other"].parts == {}
        assert (await times.states(session, "test", "other", ["per_other"]))["per_other"].of(
            "all:time"
        ).count == 1


async def test_what_was_given_back_or_declined_is_about_staying_not_speed(work: UnitOfWork) -> None:
    hub, [worker] = await a_hub(work, 1)
    [turn] = await all_turns(hub)
    async with work.begin("routing.release") as tx:
        await actions.release(tx, turn, worker)
    async with work.read() as session:
        known = (await times.states(session, "test", "triage", [worker]))[worker]
    assert known.of("worker:stays").total == 1
    assert known.of("all:time").count == 0
    assert predict(known).gone > predict(State()).gone
