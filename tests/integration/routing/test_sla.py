"""The clock of a task on both databases: backup at 80 %, taken back at 100 %, over at the hard stop; and that timers
which ring early, late, twice or after a restart do no harm."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core import clock
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.outbox.rows import LEASE_MS, Lease
from core.outbox.tables import OutboxRow
from core.routing import actions, sla
from core.routing.deadlines import Owed
from core.routing.model import LateAnswers
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation

ANSWER = {"answer": "yes"}


async def ring(hub: Hub, task_id: str, topic: str = "task.at_100", at_ms: int = 0) -> Owed:
    lease = Lease(
        id="none",
        token=1,
        topic=topic,
        subject=task_id,
        body={"at_ms": at_ms},
        attempt=1,
        queue="default",
        until_ms=0,
        age_ms=0,
        lease_ms=LEASE_MS,
    )
    async with hub.work.begin("routing.timer") as tx:
        return await sla.ring(tx, lease, hub.types, hub.policy)


async def seeded(work: UnitOfWork, *reliabilities: float, **values: object) -> tuple[Hub, str, list[str]]:
    """A hub, a task that is offered and accepted by the best of the workers, and the workers."""
    hub = Hub(work, a_type(max_reroutes=1, hard_stop_factor=4, answers_limit=3))
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        workers = [await a_worker(tx, reliability=r) for r in reliabilities]
        kind = a_type(hard_stop_factor=4)
        task_id = await a_task(tx, organisation, sla_seconds=100, kind=kind, **values)
    await hub.drain()
    [first] = await hub.assignments(task_id)
    await hub.accept(first)
    return hub, task_id, workers


async def turns(hub: Hub, task_id: str) -> list[tuple[str, str, str, int]]:
    return [(one.worker_id, one.kind, one.state, one.slot) for one in await hub.assignments(task_id)]


async def test_eighty_percent_brings_a_backup_beside_the_first(work: UnitOfWork) -> None:
    hub, task_id, [first, second, third] = await seeded(work, 0.9, 0.6, 0.3)
    await hub.pass_time(60)  # and whatever a busy machine takes for the next line
    await hub.drain()
    assert len(await hub.assignments(task_id)) == 1
    await hub.pass_time(20)
    assert await hub.drain("task.at_80") == ["task.at_80"]
    assert await turns(hub, task_id) == [(first, "primary", "accepted", 0), (second, "backup", "offered", 1)]
    assert await ring(hub, task_id, "task.at_80") == Owed.NOTHING
    backup = (await hub.assignments(task_id))[1]
    async with work.begin("routing.decline") as tx:
        await actions.decline(tx, backup.id, second)
    await hub.drain("task.at_80")
    assert (await turns(hub, task_id))[2] == (third, "backup", "offered", 1)
    assert (await hub.task(task_id)).status == "assigned"


async def test_a_hundred_percent_takes_it_back_and_routes_it_anew(work: UnitOfWork) -> None:
    hub, task_id, [first, second, third] = await seeded(work, 0.9, 0.6, 0.3)
    await hub.pass_time(80)
    await hub.drain()
    [_, backup] = await hub.assignments(task_id)
    await hub.accept(backup)
    await hub.pass_time(20)
    await hub.drain()
    task = await hub.task(task_id)
    assert (task.status, task.reroutes) == ("assigned", 1)
    assert await turns(hub, task_id) == [
        (first, "primary", "lapsed", 0),
        (second, "backup", "lapsed", 1),
        (third, "primary", "offered", 0),
    ]
    assert [(await hub.worker(w)).load for w in (first, second, third)] == [0, 0, 1]
    with pytest.raises(Conflict, match="was over"):
        async with work.begin("routing.submit") as tx:
            await actions.submit(tx, backup.id, second, ANSWER, LateAnswers.REFUSED)
    # the one re-route is used up: the third keeps it until the hard stop
    last = (await hub.assignments(task_id))[2]
    assert last.due_at == task.hard_stop_at
    await hub.accept(last)
    await hub.pass_time(250)
    await hub.drain()
    assert (await hub.task(task_id)).status == "assigned"
    await hub.submit(last, ANSWER)
    assert (await hub.task(task_id)).status == "submitted"


async def test_the_hard_stop_ends_it(work: UnitOfWork) -> None:
    hub, task_id, [first] = await seeded(work, 0.9)
    [assignment] = await hub.assignments(task_id)
    await hub.pass_time(400)
    with pytest.raises(Conflict, match="over"):
        await hub.submit(assignment, ANSWER)
    await hub.drain()
    task = await hub.task(task_id)
    assert (task.status, task.reserved_msat) == ("expired", 0)
    assert await turns(hub, task_id) == [(first, "primary", "lapsed", 0)]
    assert (await hub.worker(first)).load == 0


async def test_an_answer_given_before_the_hard_stop_is_judged_after_it(work: UnitOfWork) -> None:
    hub, task_id, [first, second] = await seeded(work, 0.9, 0.6)
    await hub.pass_time(80)
    await hub.drain()
    [assignment, backup] = await hub.assignments(task_id)
    await hub.accept(backup)
    await hub.submit(assignment, ANSWER)
    await hub.pass_time(320)
    await hub.drain("task.hard_stop")
    assert await turns(hub, task_id) == [(first, "primary", "submitted", 0), (second, "backup", "lapsed", 1)]
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"


async def test_a_wrong_answer_judged_after_the_hard_stop_expires_the_task(work: UnitOfWork) -> None:
    hub, task_id, _ = await seeded(work, 0.9)
    [assignment] = await hub.assignments(task_id)
    await hub.submit(assignment, {"wrong": 1})
    await hub.pass_time(400)
    await hub.drain("task.hard_stop")
    assert (await hub.task(task_id)).status == "submitted"
    await hub.drain()
    assert (await hub.task(task_id)).status == "expired"
    assert (await hub.assignments(task_id))[0].state == "refused"


async def test_a_late_answer_counts_while_the_task_is_still_theirs(work: UnitOfWork) -> None:
    hub, task_id, _ = await seeded(work, 0.9)
    [assignment] = await hub.assignments(task_id)
    await hub.pass_time(101)  # no timer has run yet
    await hub.submit(assignment, ANSWER)
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"


async def test_nothing_happens_before_its_time_or_twice(work: UnitOfWork) -> None:
    hub, task_id, _ = await seeded(work, 0.9, 0.6)
    for topic in sla.TOPICS:
        assert await ring(hub, task_id, topic) == Owed.NOTHING
    await hub.pass_time(100)
    assert await ring(hub, task_id) == Owed.TAKE_BACK
    for topic in sla.TOPICS:
        assert await ring(hub, task_id, topic) == Owed.NOTHING
    assert (await hub.task(task_id)).reroutes == 1
    await hub.pass_time(400)
    assert await ring(hub, task_id) == Owed.EXPIRE
    for topic in sla.TOPICS:
        assert await ring(hub, task_id, topic) == Owed.NOTHING


async def test_a_timer_that_rings_too_early_is_set_again(work: UnitOfWork) -> None:
    hub, task_id, _ = await seeded(work, 0.9)
    at_ms = clock.now_ms() + 50_000
    assert await ring(hub, task_id, at_ms=at_ms) == Owed.NOTHING
    async with work.read() as session:
        again = select(OutboxRow).where(OutboxRow.topic == "task.at_100", OutboxRow.key.is_(None))
        [row] = await session.scalars(again)
    assert row.body == {"at_ms": at_ms}
    assert abs(clock.to_ms(row.due_at) - at_ms) < 5_000


async def test_timers_outlive_the_process(work: UnitOfWork) -> None:
    """Another process, started after the deadlines passed, finds them in the database and does what is owed."""
    _, task_id, [_, second] = await seeded(work, 0.9, 0.6)
    await Hub(work).pass_time(150)
    url = work.database.engine.url.render_as_string(hide_password=False)
    other = Database(url)
    try:
        hub = Hub(UnitOfWork(other), a_type(max_reroutes=1, hard_stop_factor=4))
        await hub.drain()
        assert (await hub.task(task_id)).reroutes == 1
        assert [one.worker_id for one in await hub.assignments(task_id) if one.state == "offered"] == [second]
        await hub.pass_time(300)
        await hub.drain()
        assert (await hub.task(task_id)).status == "expired"
    finally:
        await other.close()
