"""Who may not take a task although they could: lists of organisations, plans of experts, languages, rings of accounts and
cool-off, with a directory and without; and how it is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from core.access.tables import Organisation
from core.db.unit_of_work import UnitOfWork
from core.routing import actions, lists
from core.routing.directory.follow import Follower
from core.routing.directory.registry import followers
from core.routing.lists import Word
from core.routing.model import InForce, Policy
from core.routing.offering import offer_to_best
from core.routing.states import AssignmentKind
from core.workers.tables import Worker
from hub.observe import why
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation


@pytest.fixture(params=["directory", "scan"])
async def hub(work: UnitOfWork, request: pytest.FixtureRequest) -> AsyncGenerator[Hub]:
    if request.param == "directory":
        follower = followers[work.database] = Follower(work)
        await follower.rebuild()
    yield Hub(work, policy=InForce(expert_plans=frozenset({"enterprise"})))
    followers.pop(work.database, None)


async def holders(hub: Hub, task_id: str) -> list[str]:
    return [one.worker_id for one in await hub.assignments(task_id)]


async def test_an_organisation_chooses_its_people(hub: Hub) -> None:
    async with hub.work.begin("test.seed") as tx:
        name = await an_organisation(tx)
        organisation, other = await tx.session.get_one(Organisation, name), await an_organisation(tx)
        best, second, third = [await a_worker(tx, reliability=r, capacity=3) for r in (0.9, 0.7, 0.5)]
        await lists.say(tx, organisation, best, Word.BLOCK, reason="rude", actor="hub")
        blocked = await a_task(tx, name)
    await hub.drain()
    assert await holders(hub, blocked) == [second]
    async with hub.work.begin("test.allow") as tx:
        await lists.say(tx, organisation, third, Word.ALLOW, reason="", actor="hub")
        allowed, theirs = await a_task(tx, name), await a_task(tx, other)
    await hub.drain()
    assert await holders(hub, allowed) == [third]
    assert await holders(hub, theirs) == [best]
    async with hub.work.begin("test.forget") as tx:
        await lists.forget(tx, organisation, third, actor="hub")
        await lists.forget(tx, organisation, best, actor="hub")
        free = await a_task(tx, name)
    await hub.drain()
    assert await holders(hub, free) == [best]


async def test_a_plan_of_experts_waits_for_one(hub: Hub) -> None:
    async with hub.work.begin("test.seed") as tx:
        name = await an_organisation(tx)
        (await tx.session.get_one(Organisation, name)).plan = "enterprise"
        await a_worker(tx, reliability=1.0, tier=2)
        task_id = await a_task(tx, name)
    await hub.drain()
    async with hub.work.read() as session:
        [told] = await why.of_task(session, task_id)
    assert [(one.code, one.count, one.without) for one in told.reasons] == [("experts", 1, 1)]
    assert "nobody of 1 workers can take it" in told.headline
    assert "experts" in why.render_text([told])
    async with hub.work.begin("test.expert") as tx:
        expert = await a_worker(tx, reliability=0.4)
        (await tx.session.get_one(Worker, expert)).expert = True
    await hub.drain()
    assert await holders(hub, task_id) == [expert]


@pytest.mark.parametrize("of_the_request", [True, False])
async def test_a_task_asks_for_a_language(hub: Hub, of_the_request: bool) -> None:
    kind = a_type(language="de" if not of_the_request else "fr")
    hub = Hub(hub.work, kind)
    async with hub.work.begin("test.seed") as tx:
        name = await an_organisation(tx)
        await a_worker(tx, reliability=1.0)
        speaker = await a_worker(tx, reliability=0.4)
        (await tx.session.get_one(Worker, speaker)).languages = ["en", "de"]
        task_id = await a_task(tx, name, kind=kind, language="de" if of_the_request else None)
    await hub.drain()
    assert await holders(hub, task_id) == [speaker]


async def test_two_of_one_ring_never_have_the_same_task_in_any_slot(hub: Hub) -> None:
    async with hub.work.begin("test.seed") as tx:
        name = await an_organisation(tx)
        people = [await a_worker(tx, reliability=r) for r in (0.9, 0.8, 0.5)]
        for worker_id in people[:2]:
            (await tx.session.get_one(Worker, worker_id)).cluster_id = "ring"
        task_id = await a_task(tx, name)
    await hub.drain()
    async with hub.work.begin("test.more") as tx:
        task = await actions.task_for_update(tx, task_id)
        more = [
            await offer_to_best(tx, task, a_type(), hub.policy, role=AssignmentKind.BACKUP, slot=slot)
            for slot in (5, 6, 5)
        ]
    assert [one and (one.worker_id, one.slot) for one in more] == [(people[2], 5), None, None]
    assert await holders(hub, task_id) == [people[0], people[2]]


async def test_who_leaves_an_offer_unanswered_gets_none_for_a_while(hub: Hub) -> None:
    hub = Hub(hub.work, policy=Policy(cool_off_seconds=600))
    async with hub.work.begin("test.seed") as tx:
        name = await an_organisation(tx)
        worker_id = await a_worker(tx)
        first = await a_task(tx, name)
    await hub.drain("task.posted")
    [turn] = await hub.assignments(first)
    await hub.pass_time(61)
    async with hub.work.begin("routing.lapse") as tx:
        await actions.lapse_offer(tx, turn.id, hub.policy)
    async with hub.work.begin("test.seed") as tx:
        second = await a_task(tx, name)
    await hub.drain("task.posted", "worker.free")
    assert await holders(hub, second) == []
    async with hub.work.read() as session:
        [told] = await why.of_task(session, second)
    assert [one.code for one in told.reasons] == ["cool_off"]
    worker = await hub.worker(worker_id)
    assert (worker.offers_taken, worker.offers_missed, worker.answers) == (0, 1, 0)
    async with hub.work.begin("test.over") as tx:
        (await tx.session.get_one(Worker, worker_id)).cool_off_until = None
    await hub.pass_time(600)
    await hub.drain()
    assert await holders(hub, second) == [worker_id]


async def test_what_a_worker_does_is_counted(hub: Hub) -> None:
    async with hub.work.begin("test.seed") as tx:
        name = await an_organisation(tx)
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, name)
    await hub.drain()
    await hub.answer(task_id, {"answer": "yes"})
    worker = await hub.worker(worker_id)
    assert (worker.offers_taken, worker.offers_missed, worker.answers) == (1, 0, 1)
    assert worker.usual_seconds is not None
    assert worker.usual_seconds > 180
