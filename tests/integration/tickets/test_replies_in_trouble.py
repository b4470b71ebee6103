"""The reply machine when the vendor refuses, loses answers or stays away, and when processes die: written once."""

from __future__ import annotations

import asyncio

import pytest

from connectors.form import Delivery
from core.errors import Conflict, LeaseLost, Misconfigured, NotFound, Rejected, Retryable, Uncertain
from core.outbox import rows
from core.replies import actions as replies
from core.replies.actions import SETTLE_SECONDS, STOPPED_SECONDS
from core.replies.tables import Reply
from core.replies.ticketing import Moot
from tests.integration.tickets.conftest import World
from tests.integration.tickets.desk import NAME, Gate, note

SUBJECT = f"connector:{NAME}"
LOST = Uncertain("no_answer", "the answer was lost")
BUSY = Retryable("busy", "503", after=7)
REFUSED_TOKEN = Misconfigured("token", "401: the token is refused.")


async def test_refused_credentials_stop_the_connector_until_it_is_resumed(world: World) -> None:
    world.desk.faults = [("before", REFUSED_TOKEN)]
    await world.ended("T1", "T2", "T3")

    await world.drain()
    assert [(one.state, one.attempts) for one in await world.all(Reply)] == [("pending", 0)] * 3
    assert await world.repairs() == [(SUBJECT, "credentials", 1)]

    await world.pass_time(STOPPED_SECONDS)
    assert world.desk.written == []
    assert await world.repairs() == [(SUBJECT, "credentials", 1)]  # nobody asked the vendor again

    async with world.work.begin("test.resume") as tx:
        assert await replies.resume(tx, NAME, actor="test") == 1
    assert await world.repairs() == []
    world.desk.faults = [("before", REFUSED_TOKEN)]
    await world.pass_time(STOPPED_SECONDS)
    async with world.work.begin("test.resume") as tx:
        await replies.resume(tx, NAME, actor="test")
    await world.pass_time(STOPPED_SECONDS)
    assert [(one.state, one.attempts) for one in await world.all(Reply)] == [("delivered", 1)] * 3


async def test_those_on_their_way_count_the_same_repair_item(world: World) -> None:
    gate = Gate()
    world.desk.before_write = gate
    world.desk.faults = [("before", REFUSED_TOKEN)] * 3
    await world.ended("T1", "T2", "T3")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)

    sending = [asyncio.create_task(world.runner.run(job_id)) for job_id in await world.due("reply.send")]
    while world.desk.at_once < 3:
        await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(*sending)

    assert await world.repairs() == [(SUBJECT, "credentials", 3)]
    assert [(one.state, one.attempts) for one in await world.all(Reply)] == [("pending", 0)] * 3


async def test_what_waited_long_has_its_full_patience_after_resume(world: World) -> None:
    world.desk.faults = [("before", BUSY), ("before", BUSY), ("before", BUSY), ("before", REFUSED_TOKEN)]
    await world.ended("T1")
    for _ in range(4):
        await world.pass_time(7)
    assert (await world.reply()).attempts == 3
    for _ in range(25):  # more looks than the queue has patience for
        await world.pass_time(STOPPED_SECONDS * 10)

    async with world.work.begin("test.resume") as tx:
        await replies.resume(tx, NAME, actor="test")
    world.desk.faults = [("before", Retryable("busy", "500"))] * 3
    for _ in range(5):
        await world.pass_time(600)

    reply = await world.reply()
    assert (reply.state, reply.attempts, world.desk.faults) == ("delivered", 4, [])


async def test_a_doubtful_write_is_looked_for_after_it_had_time_to_settle(world: World) -> None:
    world.desk.faults = [("after", LOST)]
    await world.ended("T1")

    await world.drain()
    assert await world.replies() == [("uncertain", "Answer to evt-1")]
    await world.pass_time(SETTLE_SECONDS - 2)
    assert world.desk.finds == 0

    await world.pass_time(2)
    reply = await world.reply()
    assert (reply.state, reply.vendor_id, reply.attempts) == ("delivered", "note-1", 1)
    assert (world.desk.finds, len(world.desk.written)) == (1, 1)


async def test_what_is_not_found_is_sent_again(world: World) -> None:
    world.desk.faults = [("before", LOST)]
    await world.ended("T1")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    reply = await world.reply()
    assert (reply.state, reply.attempts, len(world.desk.written)) == ("delivered", 2, 1)


async def test_a_look_that_cannot_tell_is_for_a_person(world: World) -> None:
    world.desk.faults = [("after", LOST)]
    world.desk.looks = [Rejected("unreadable", "the journal is hidden from us")]
    await world.ended("T1")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    assert (await world.reply()).error == "the journal is hidden from us"
    assert await world.replies() == [("dead", "Answer to evt-1")]
    assert await world.repairs() == [(SUBJECT, "unreadable", 1)]


async def test_a_look_is_repeated_and_given_up_with_age(world: World) -> None:
    world.configure(delivery=Delivery(max_attempts=4, max_age="10m"))
    world.desk.faults = [("after", LOST)]
    world.desk.looks = [Retryable("busy", "503"), LOST, REFUSED_TOKEN, *[Retryable("busy", "503")] * 50]
    await world.ended("T1")
    await world.drain()

    for _ in range(3):
        await world.pass_time(120)
    assert await world.repairs() == [(SUBJECT, "credentials", 1)]
    assert (await world.reply()).state == "uncertain"
    async with world.work.begin("test.resume") as tx:
        await replies.resume(tx, NAME, actor="test")
    for _ in range(3):
        await world.pass_time(900)

    assert (await world.reply()).state == "dead"
    assert await world.repairs() == [(SUBJECT, "unreadable", 1)]


async def test_a_doubtful_last_attempt_is_looked_for_before_it_is_given_up(world: World) -> None:
    world.configure(delivery=Delivery(max_attempts=1, max_age="1h"))
    world.desk.faults = [("after", LOST), ("before", LOST)]
    await world.ended("T1", "T2")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    assert sorted(state for state, _ in await world.replies()) == ["dead", "delivered"]
    assert len(world.desk.written) == 1


async def test_a_look_that_finds_the_ticket_closed_is_moot(world: World) -> None:
    world.desk.faults = [("before", LOST)]
    world.desk.looks = [Moot("closed", "resolved")]
    await world.ended("T1")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    assert await world.replies() == [("moot", "Answer to evt-1")]


async def test_a_refusal_names_its_field_in_the_repair_item(world: World) -> None:
    world.desk.faults = [("before", Rejected("422", "`fields.severity`: `S1` is no choice; add it"))]
    await world.ended("T1")

    await world.drain()

    reply = await world.reply()
    assert (reply.state, reply.error) == ("dead", "`fields.severity`: `S1` is no choice; add it")
    assert await world.repairs() == [(SUBJECT, "refused", 1)]


async def test_attempts_end(world: World) -> None:
    world.desk.faults = [("before", BUSY)] * 4
    await world.ended("T1")

    for _ in range(6):
        await world.pass_time(7)

    reply = await world.reply()
    assert (reply.state, reply.attempts, reply.error) == ("dead", 4, "given up: 503")
    assert (world.desk.faults, world.desk.written) == ([], [])


async def test_age_ends(world: World) -> None:
    world.desk.faults = [("before", BUSY)]
    await world.ended("T1")

    await world.drain()
    await world.pass_time(3_601)

    assert await world.replies() == [("dead", "Answer to evt-1")]


async def test_redrive(world: World) -> None:
    world.configure(steps=[note("one"), note("two")])
    world.desk.faults = [("before", Rejected("422", "no")), ("before", Retryable("rate", "429", after=50))]
    await world.ended("T1")
    await world.drain()
    first = (await world.all(Reply))[0]

    async with world.work.begin("test.redrive") as tx:
        await replies.redrive(tx, first.id, actor="test")
    with pytest.raises(Conflict):
        async with world.work.begin("test.redrive") as tx:
            await replies.redrive(tx, first.id, actor="test")
    with pytest.raises(NotFound):
        async with world.work.begin("test.redrive") as tx:
            await replies.redrive(tx, "rep_none", actor="test")
    await world.pass_time(SETTLE_SECONDS)

    assert await world.replies() == [("delivered", "one"), ("pending", "two")]
    assert world.desk.finds == 1  # it had been sent once, so it looks first
    assert len(await world.job_states("reply.send")) == 3  # the second reply keeps its one job
    await world.pass_time(50)
    assert world.desk.notes() == ["one", "two"]


async def test_a_process_that_died_while_sending_is_looked_for(world: World) -> None:
    await world.ended("T1")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    [job_id] = await world.due("reply.send")
    gate = Gate()
    world.desk.before_write = gate
    dying = asyncio.create_task(world.runner.run(job_id))
    await gate.reached.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    world.desk.before_write = None
    assert (await world.reply()).state == "sending"

    await world.pass_time(31)

    assert (world.desk.finds, len(world.desk.written)) == (1, 1)
    assert (await world.reply()).state == "delivered"


async def test_two_workers_with_one_job_write_once(world: World) -> None:
    """The first sleeps past its lease between its commit and the vendor's answer; the second looks and finds."""
    await world.ended("T1")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    [job_id] = await world.due("reply.send")

    async def slow(_: object) -> None:
        world.desk.before_write = None
        world.desk.faults = [("after", LOST)]

    async with world.work.begin("test.lease") as tx:
        late = await rows.lease(tx, job_id)
        assert late is not None
    world.desk.before_write = slow
    with pytest.raises(Retryable):
        await replies.deliver(world.work, late, world.connectors.delivery)
    await world.pass_time(31)
    assert (await world.reply()).state == "delivered"

    with pytest.raises(LeaseLost):
        await replies.deliver(world.work, late, world.connectors.delivery)
    assert len(world.desk.written) == 1


async def test_the_same_job_at_once_in_two_processes(world: World) -> None:
    await world.ended("T1")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    [job_id] = await world.due("reply.send")

    await asyncio.gather(world.runner.run(job_id), world.second_runner.run(job_id))

    assert len(world.desk.written) == 1
    assert await world.job_states("reply.send") == ["done"]
