"""Every choice and every refusal has a reason that can be asked for; on both databases."""

from __future__ import annotations

from sqlalchemy import delete

from core import clock
from core.access.tables import Person
from core.db.unit_of_work import UnitOfWork
from core.errors import NotFound
from core.routing import pull
from core.routing.backups import Backups
from core.routing.model import Policy, Sla
from core.routing.tables import RoutingDecision
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.workers.actions import pause
from hub.observe import why, why_one
from tests.factories_routing import Hub, a_task, a_worker, an_organisation


async def asked(hub: Hub, task_id: str, who: str) -> list[str]:
    async with hub.work.read() as session:
        task = await session.get_one(Task, task_id)
        try:
            return await why_one.lines(session, task, who, hub.types, hub.policy)
        except NotFound as error:
            return [error.message]


async def untold(hub: Hub, task_id: str) -> str:
    async with hub.work.read() as session:
        assert await why.of_task(session, task_id) == []
        return await why_one.untold(session, await session.get_one(Task, task_id), hub.policy)


async def test_a_backup_that_was_not_looked_for_says_why(work: UnitOfWork) -> None:
    hub = Hub(work, policy=Policy(sla=Sla(backups=Backups(burst=0, share_percent=0))))
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        for _ in range(2):
            await a_worker(tx)
        task_id = await a_task(tx, organisation)
    await hub.drain("task.posted")
    [turn] = await hub.assignments(task_id)
    await hub.accept(turn)
    await hub.pass_time(480)
    await hub.drain("task.at_80")
    async with work.read() as session:
        told = await why.of_task(session, task_id)
    spent = "the share of backups of a skill that it asks for is used up for now"
    assert [one.headline for one in told][1:] == [f"backup: not now, {spent}"]
    assert f"backup: not now, {spent}" in why.render_text(told)
    assert (told[1].decision.not_now, told[1].decision.able, told[1].chosen) == ("spent", 1, None)


async def test_who_took_it_from_the_queue_is_told_with_their_score(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, await an_organisation(tx))
    async with work.begin("routing.take") as tx:
        await pull.take(tx, task_id, worker_id, hub.types, hub.policy)
    async with work.read() as session:
        [told] = await why.of_task(session, task_id)
    assert told.headline == f"primary taken from the queue by {worker_id}"
    assert [one.worker_id for one in told.decision.candidates] == [worker_id]


async def test_every_reason_of_one_worker(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        able, other = await a_worker(tx), await a_worker(tx, price_floor_msat=2_000_000)
        await pause(tx, other, actor="x")
        task_id = await a_task(tx, await an_organisation(tx), skills=["law"], risk_tier="high")
        name = (await tx.session.get_one(Person, able)).name
        email = (await tx.session.get_one(Person, other)).email
        dear = (await tx.session.get_one(Person, other)).name
        open_to_all = await a_task(tx, await an_organisation(tx))
    assert await asked(hub, task_id, f" {email.upper()} ") == [
        f"{dear} ({other}) may not take it as things are now. They",
        "  take no offers now: paused, outside of their hours, suspended or blocked (unavailable)",
        "  lack a skill that the task asks for (skills)",
        "  have less trust than the task's risk asks for (tier)",
        "  ask for more than the task pays (price)",
    ]
    assert await asked(hub, open_to_all, able) == [f"{name} ({able}) may take it as things are now."]
    await hub.drain("task.posted")
    [turn] = await hub.assignments(open_to_all)
    assert await asked(hub, open_to_all, able) == [
        f"{name} ({able}) may not take it as things are now. They",
        "  have their hands full (capacity)",
        "  had this task before (had_it)",
        f"{clock.iso(turn.offered_at)}  primary in slot 0: offered",
    ]
    for nobody in ("", "eve@example.test", "per_none", "x" * 400):
        assert await asked(hub, open_to_all, nobody) == [
            f"No worker has the id or e-mail address {nobody[:320]}"
        ]


async def test_why_there_is_nothing_to_tell(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        new = await a_task(tx, organisation)
        unfunded = await a_task(tx, organisation, funded=False)
        withdrawn = await a_task(tx, organisation, status=str(TaskStatus.CANCELLED))
        old = await a_task(tx, organisation, age=31 * 86_400, status=str(TaskStatus.VERIFIED))
    assert "within a second" in await untold(hub, new)
    assert await untold(hub, unfunded) == "Nobody is looked for yet: it waits for funds of its organisation."
    assert await untold(hub, withdrawn) == "Nobody was looked for: it was cancelled before."
    assert await untold(hub, old) == "The reasons are forgotten: they are kept for 30 days."
    async with work.begin("test.seed") as tx:
        await a_worker(tx)
    await hub.drain("task.posted")
    async with work.begin("test.forget") as tx:
        await tx.session.execute(delete(RoutingDecision))
    assert await untold(hub, new) == "The reasons are forgotten: they are kept for 30 days."
