"""From a posted task to a worker and back, on both databases: who is chosen, what is read, what is given back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, NotFound
from core.outbox.tables import OutboxRow
from core.routing import actions, endings, queries
from core.routing.states import AssignmentKind
from core.tasks.model import Environment
from core.workers import actions as actions_of_workers
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation


async def test_the_best_is_offered_it_and_the_timers_are_set_once(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        best = await a_worker(tx, reliability=0.9)
        await a_worker(tx, reliability=0.5)
        await a_worker(tx, reliability=1.0, environment=Environment.LIVE)
        await a_worker(tx, reliability=1.0, available=False)
        await a_worker(tx, reliability=1.0, price_floor_msat=10_000_000)
        task_id = await a_task(tx, organisation)
        tx.emit("task.posted", task_id)  # the same job once more
    await hub.drain()
    [offered] = await hub.assignments(task_id)
    assert (offered.worker_id, offered.state, offered.slot, offered.kind) == (best, "offered", 0, "primary")
    assert (offered.expires_at - offered.offered_at).total_seconds() == 60
    task = await hub.task(task_id)
    assert task.status == "assigned"
    assert offered.due_at == task.expires_at
    assert (await hub.worker(best)).load == 1
    async with work.read() as session:
        keys = await session.scalars(select(OutboxRow.key).where(OutboxRow.key.is_not(None)))
        assert sorted(keys) == [f"task:{task_id}:{end}" for end in ("100:0", "80", "stop")]


async def test_skills_of_type_and_request_and_the_tier_of_the_risk(work: UnitOfWork) -> None:
    kind = a_type(skills=["german"])
    hub = Hub(work, kind)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        await a_worker(tx, skills=frozenset({"german"}), tier=4)
        await a_worker(tx, skills=frozenset({"law"}), tier=4)
        await a_worker(tx, skills=frozenset({"german", "law"}), tier=1)
        good = await a_worker(tx, skills=frozenset({"german", "law"}), tier=2, reliability=0.1)
        task_id = await a_task(tx, organisation, skills=["law"], risk_tier="high")
    await hub.drain()
    assert [one.worker_id for one in await hub.assignments(task_id)] == [good]


async def test_a_task_without_funds_waits_with_its_clock_running(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        await a_worker(tx)
        task_id = await a_task(tx, organisation, funded=False)
    await hub.drain()
    assert await hub.assignments(task_id) == []
    await hub.pass_time(1200)
    await hub.drain()
    assert (await hub.task(task_id)).status == "expired"


async def test_nobody_there_then_somebody(work: UnitOfWork) -> None:
    """Tried again every 30 s by one job, however often nobody was found, and at once when a worker comes."""
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx, available=False)
        task_id = await a_task(tx, organisation)
        for _ in range(3):
            tx.emit("task.posted", task_id)
    await hub.drain()
    async with work.read() as session:
        again = select(OutboxRow).where(OutboxRow.topic == "task.posted", OutboxRow.state == "pending")
        # two, when the four jobs ran on both sides of a boundary between two spans
        assert len((await session.scalars(again)).all()) in (1, 2)
    await hub.pass_time(61)
    assert await hub.drain("task.posted")
    assert (await hub.task(task_id)).status == "posted"
    async with work.begin("test.resume") as tx:
        await actions_of_workers.resume(tx, worker_id, actor=f"person:{worker_id}")
    assert await hub.drain("worker.free") == ["worker.free"]
    assert [one.worker_id for one in await hub.assignments(task_id)] == [worker_id]


async def test_waiting_tasks_in_the_order_of_their_deadlines(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx, available=False, capacity=2)
        late, soon, sooner, other = [
            await a_task(tx, organisation, sla_seconds=sla, **more)
            for sla, more in ((900, {}), (600, {}), (300, {}), (60, {"skills": ["welsh"]}))
        ]
    await hub.drain()
    async with work.begin("test.resume") as tx:
        await actions_of_workers.resume(tx, worker_id, actor="hub")
    await hub.drain()
    status = {task_id: (await hub.task(task_id)).status for task_id in (late, soon, sooner, other)}
    assert status == {late: "posted", soon: "assigned", sooner: "assigned", other: "posted"}


async def test_declined_and_released_go_to_somebody_else(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        first, second, third = [await a_worker(tx, reliability=r) for r in (0.9, 0.6, 0.3)]
        task_id = await a_task(tx, organisation)
    await hub.drain()
    one = (await hub.assignments(task_id))[0]
    async with work.begin("routing.decline") as tx:
        await actions.decline(tx, one.id, first)
    await hub.drain()
    two = (await hub.assignments(task_id))[1]
    await hub.accept(two)
    async with work.begin("routing.release") as tx:
        await actions.release(tx, two.id, second)
        await actions.release(tx, two.id, second)
    await hub.drain()
    turns = [(a.worker_id, a.state) for a in await hub.assignments(task_id)]
    assert turns == [(first, "declined"), (second, "released"), (third, "offered")]
    assert [(await hub.worker(w)).load for w in (first, second, third)] == [0, 0, 1]


async def test_an_offer_that_nobody_answers_lapses(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        first, second = [await a_worker(tx, reliability=r) for r in (0.9, 0.6)]
        task_id = await a_task(tx, organisation)
    await hub.drain()
    [offered] = await hub.assignments(task_id)
    async with work.begin("routing.lapse") as tx:  # too early: nothing happens, and it comes again
        await actions.lapse_offer(tx, offered.id)
        assert [job.topic for job in tx.jobs] == ["assignment.lapse"]
    await hub.pass_time(60)
    with pytest.raises(Conflict, match="run out"):
        await hub.accept(offered)
    await hub.drain()
    turns = [(a.worker_id, a.state, a.reason) for a in await hub.assignments(task_id)]
    assert turns == [(first, "lapsed", "offer_expired"), (second, "offered", None)]
    assert [(await hub.worker(w)).load for w in (first, second)] == [0, 1]


async def test_two_accounts_that_are_paid_to_one_address_do_not_share_a_task(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        for _ in range(2):
            await a_worker(tx, payout_address="one@wallet.test")
        task_id = await a_task(tx, organisation)
    await hub.drain()
    await hub.pass_time(60)
    await hub.drain()
    assert [one.state for one in await hub.assignments(task_id)] == ["lapsed"]


async def test_a_worker_reads_their_offers_work_and_history(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id, stranger = await a_worker(tx, capacity=4), await a_worker(tx, available=False)
        task_ids = [await a_task(tx, organisation, sla_seconds=sla) for sla in (600, 500, 400, 300)]
    await hub.drain()
    turns = {task_id: (await hub.assignments(task_id))[0] for task_id in task_ids}
    await hub.accept(turns[task_ids[0]])
    async with work.begin("routing.decline") as tx:
        await actions.decline(tx, turns[task_ids[1]].id, worker_id)
    async with work.begin("routing.draft") as tx:
        mine = turns[task_ids[0]].id
        await actions.save_draft(tx, mine, worker_id, {"answer": ["half"]})
        await actions.save_draft(tx, mine, worker_id, {"answer": ["half a"]})
        with pytest.raises(NotFound):
            await actions.save_draft(tx, mine, stranger, {})
        with pytest.raises(Conflict):
            await actions.save_draft(tx, turns[task_ids[2]].id, worker_id, {})
    async with work.read() as session:
        assert {turn.task.id for turn in await queries.offers(session, worker_id)} == set(task_ids[2:])
        assert [turn.task.id for turn in await queries.work(session, worker_id)] == task_ids[:1]
        assert [turn.task.id for turn in await queries.history(session, worker_id)] == [task_ids[1]]
        past = await queries.history(session, worker_id, before=turns[task_ids[1]].id)
        assert past == []
        page = await queries.one(session, mine, worker_id)
        assert (page.task.id, page.draft, page.submission) == (task_ids[0], {"answer": ["half a"]}, None)
        assert [one.id for one in await queries.of_task(session, task_ids[0])] == [mine]
        with pytest.raises(NotFound):
            await queries.one(session, mine, stranger)


async def test_a_cancelled_task_sets_its_people_free_and_gives_the_money_back(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx)
        task_id = await a_task(tx, organisation)
    await hub.drain()
    async with work.begin("tasks.cancel") as tx:
        task = await actions.task_for_update(tx, task_id)
        await endings.cancel(tx, task, "key:k")
        assert {job.topic for job in tx.jobs} == {"task.ended", "worker.free"}  # nobody listens to events
    [assignment] = await hub.assignments(task_id)
    assert (assignment.state, assignment.reason) == ("lapsed", "task_cancelled")
    assert (await hub.worker(worker_id)).load == 0
    task = await hub.task(task_id)
    assert (task.status, task.reserved_msat) == ("cancelled", 0)
    async with work.begin("tasks.cancel") as tx:
        with pytest.raises(Conflict):
            await endings.cancel(tx, task, "key:k")
    assert AssignmentKind(assignment.kind) is AssignmentKind.PRIMARY
