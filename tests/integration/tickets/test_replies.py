"""The reply machine: in order, one at a time, once, whatever the vendor answers."""

from __future__ import annotations

import asyncio

import pytest

from connectors.form import Delivery, LoopGuard, Rate
from core.db.unit_of_work import refuse_open_transaction
from core.errors import Conflict, LeaseLost, Misconfigured, NotFound, Rejected, Retryable, Uncertain
from core.outbox import rows
from core.replies import actions as replies
from core.replies.actions import SETTLE_SECONDS, STOPPED_SECONDS
from core.replies.tables import Reply
from core.replies.ticketing import Moot
from tests.integration.tickets.conftest import World
from tests.integration.tickets.desk import NAME, DeskStep, Gate, note

SUBJECT = f"connector:{NAME}"
LOST = Uncertain("no_answer", "the answer was lost")
BUSY = Retryable("busy", "503", after=7)
REFUSED_TOKEN = Misconfigured("token", "401: the token is refused.")


async def ended(world: World, *tickets: str) -> list[str]:
    """A verified task for each ticket; their ids. Jobs are not run."""
    ids = [await world.task(id=f"evt-{n}", ticket=ticket) for n, ticket in enumerate(tickets, 1)]
    for task_id in ids:
        await world.end(task_id)
    return ids


async def test_steps_go_in_order_and_the_next_waits_for_the_one_before(world: World) -> None:
    world.configure(steps=[note("one"), note("two"), note("three")])
    world.desk.faults = [None, ("before", BUSY)]
    await ended(world, "T1")

    await world.drain()
    assert await world.replies() == [("delivered", "one"), ("pending", "two"), ("pending", "three")]
    assert world.desk.notes() == ["one"]

    await world.pass_time(7)
    assert world.desk.notes() == ["one", "two", "three"]
    written = await world.all(Reply)
    assert [(one.state, one.vendor_id, one.attempts) for one in written] == [
        ("delivered", "note-1", 1),
        ("delivered", "note-2", 2),
        ("delivered", "note-3", 1),
    ]
    assert [one.step for one in written] == ["verified.0", "verified.1", "verified.2"]
    assert all(one.marker == f"[hub:{one.id}]" for one in written)


@pytest.mark.parametrize(
    ("fault", "state"),
    [(Rejected("field", "`note` is too long"), "dead"), (Moot("gone", "answered elsewhere"), "moot")],
)
async def test_a_step_that_is_over_lets_the_next_go(world: World, fault: Exception, state: str) -> None:
    world.configure(steps=[note("one"), note("two")])
    world.desk.faults = [("before", fault)]
    await ended(world, "T1")

    await world.drain()

    assert await world.replies() == [(state, "one"), ("delivered", "two")]


async def test_all_actions_are_one_write_where_the_vendor_bundles(world: World) -> None:
    world.configure(steps=[note("one"), note("two")], connector={"bundles": True})
    await ended(world, "T1")

    await world.drain()

    assert await world.replies() == [("delivered", "one; two")]
    assert len(world.desk.written) == 1


async def test_a_cancelled_task_leaves_nothing_and_an_expired_one_its_own_words(world: World) -> None:
    first = await world.task(id="evt-1")
    second = await world.task(id="evt-2", ticket="T2")
    await world.end(first, "cancelled")
    await world.end(second, "expired")

    await world.drain()

    assert await world.replies() == [("delivered", "Nobody answered")]


async def test_a_task_that_ends_twice_is_answered_once(world: World) -> None:
    [task_id] = await ended(world, "T1")
    await world.end(task_id)

    await world.drain()

    assert len(await world.replies()) == 1
    assert len(world.desk.written) == 1


async def test_one_write_per_ticket_at_a_time_over_two_tasks(world: World) -> None:
    gate = Gate()
    world.desk.before_write = gate
    await ended(world, "T1", "T1")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    first, second = await world.due("reply.send")

    sending = asyncio.create_task(world.runner.run(first))
    await gate.reached.wait()
    await world.runner.run(second)
    states = sorted(one.state for one in await world.all(Reply))
    gate.opened.set()
    await sending

    assert states == ["pending", "sending"]
    await world.pass_time(1)
    assert world.desk.most_at_once == 1
    assert [one.attempts for one in await world.all(Reply)] == [1, 1]
    assert len(world.desk.written) == 2


async def test_two_tasks_of_one_ticket_that_start_at_once_are_written_one_after_the_other(
    world: World,
) -> None:
    world.configure(loop_guard=LoopGuard(max_tasks_per_key_per_hour=9))
    await ended(world, "T1", "T1", "T1", "T1")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)

    for _ in range(8):
        jobs = await world.due("reply.send")
        await asyncio.gather(*(world.runner.run(job_id) for job_id in jobs))
        await world.pass_time(1)

    assert world.desk.most_at_once == 1
    assert len(world.desk.written) == 4


async def test_other_tickets_do_not_wait(world: World) -> None:
    gate = Gate()
    world.desk.before_write = gate
    await ended(world, "T1", "T2")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    jobs = await world.due("reply.send")

    sending = [asyncio.create_task(world.runner.run(job_id)) for job_id in jobs]
    while world.desk.at_once < 2:
        await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(*sending)

    assert world.desk.most_at_once == 2


async def test_refused_credentials_stop_the_connector_until_it_is_resumed(world: World) -> None:
    world.desk.faults = [("before", REFUSED_TOKEN)]
    await ended(world, "T1", "T2", "T3")

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
    await ended(world, "T1", "T2", "T3")
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
    await ended(world, "T1")
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
    await ended(world, "T1")

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
    await ended(world, "T1")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    reply = await world.reply()
    assert (reply.state, reply.attempts, len(world.desk.written)) == ("delivered", 2, 1)


async def test_a_look_that_cannot_tell_is_for_a_person(world: World) -> None:
    world.desk.faults = [("after", LOST)]
    world.desk.looks = [Rejected("unreadable", "the journal is hidden from us")]
    await ended(world, "T1")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    assert (await world.reply()).error == "the journal is hidden from us"
    assert await world.replies() == [("dead", "Answer to evt-1")]
    assert await world.repairs() == [(SUBJECT, "unreadable", 1)]


async def test_a_look_is_repeated_and_given_up_with_age(world: World) -> None:
    world.configure(delivery=Delivery(max_attempts=4, max_age="10m"))
    world.desk.faults = [("after", LOST)]
    world.desk.looks = [Retryable("busy", "503"), LOST, REFUSED_TOKEN, *[Retryable("busy", "503")] * 50]
    await ended(world, "T1")
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
    await ended(world, "T1", "T2")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    assert sorted(state for state, _ in await world.replies()) == ["dead", "delivered"]
    assert len(world.desk.written) == 1


async def test_a_look_that_finds_the_ticket_closed_is_moot(world: World) -> None:
    world.desk.faults = [("before", LOST)]
    world.desk.looks = [Moot("closed", "resolved")]
    await ended(world, "T1")

    await world.drain()
    await world.pass_time(SETTLE_SECONDS)

    assert await world.replies() == [("moot", "Answer to evt-1")]


async def test_a_refusal_names_its_field_in_the_repair_item(world: World) -> None:
    world.desk.faults = [("before", Rejected("422", "`fields.severity`: `S1` is no choice; add it"))]
    await ended(world, "T1")

    await world.drain()

    reply = await world.reply()
    assert (reply.state, reply.error) == ("dead", "`fields.severity`: `S1` is no choice; add it")
    assert await world.repairs() == [(SUBJECT, "refused", 1)]


async def test_the_vendors_own_wait_is_kept(world: World) -> None:
    world.desk.faults = [("before", Retryable("rate", "429", after=100))]
    await ended(world, "T1")

    await world.drain()
    await world.pass_time(98)
    assert world.desk.written == []
    await world.pass_time(2)
    assert len(world.desk.written) == 1


async def test_a_pause_holds_every_reply_and_burns_no_attempt(world: World) -> None:
    world.tools.pauses.pause(NAME, 3_000)
    await ended(world, "T1", "T2")

    await world.drain()

    assert [(one.state, one.attempts) for one in await world.all(Reply)] == [("pending", 0)] * 2


async def test_our_own_pace(world: World) -> None:
    world.configure(delivery=Delivery(max_attempts=4, max_age="1h", rate=Rate(per_minute=2)))
    await ended(world, "T1", "T2", "T3")

    await world.drain()

    assert sorted(state for state, _ in await world.replies()) == ["delivered", "delivered", "pending"]


async def test_shadow_keeps_what_would_have_been_sent(world: World) -> None:
    world.configure(mode="shadow", steps=[note("one"), note("two")])
    await ended(world, "T1")

    await world.drain()

    assert await world.replies() == [("shadowed", "one"), ("shadowed", "two")]
    assert world.desk.written == []


async def test_off_holds_until_it_is_live_and_patience_begins_then(world: World) -> None:
    world.configure(mode="off")
    world.desk.faults = [("before", BUSY)]
    await ended(world, "T1")

    await world.drain()
    for _ in range(25):
        await world.pass_time(86_400)
    assert await world.replies() == [("pending", "Answer to evt-1")]
    world.configure(mode="live")
    await world.pass_time(STOPPED_SECONDS)
    await world.pass_time(7)

    assert await world.replies() == [("delivered", "Answer to evt-1")]


async def test_a_file_that_is_gone_costs_no_answer(world: World) -> None:
    await ended(world, "T1")
    task_two = await world.task(id="evt-9", ticket="T9")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    file = world.configs.pop(NAME)
    await world.end(task_two)
    await world.drain()
    await world.pass_time(600)
    world.configs[NAME] = file

    await world.pass_time(600)

    assert sorted(world.desk.notes()) == ["Answer to evt-1", "Answer to evt-9"]


async def test_attempts_end(world: World) -> None:
    world.desk.faults = [("before", BUSY)] * 4
    await ended(world, "T1")

    for _ in range(6):
        await world.pass_time(7)

    reply = await world.reply()
    assert (reply.state, reply.attempts, reply.error) == ("dead", 4, "given up: 503")
    assert (world.desk.faults, world.desk.written) == ([], [])


async def test_age_ends(world: World) -> None:
    world.desk.faults = [("before", BUSY)]
    await ended(world, "T1")

    await world.drain()
    await world.pass_time(3_601)

    assert await world.replies() == [("dead", "Answer to evt-1")]


async def test_redrive(world: World) -> None:
    world.configure(steps=[note("one"), note("two")])
    world.desk.faults = [("before", Rejected("422", "no")), ("before", Retryable("rate", "429", after=50))]
    await ended(world, "T1")
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
    await ended(world, "T1")
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
    await ended(world, "T1")
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
    await ended(world, "T1")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    [job_id] = await world.due("reply.send")

    await asyncio.gather(world.runner.run(job_id), world.second_runner.run(job_id))

    assert len(world.desk.written) == 1
    assert await world.job_states("reply.send") == ["done"]


async def test_only_if_and_what_renders_to_nothing(world: World) -> None:
    world.configure(
        steps=[
            note("never", only_if="result.output.answer == 'no'"),
            note("{{ '' }}"),
            DeskStep(note=note("once").note),
        ]
    )
    await ended(world, "T1")

    await world.drain()

    assert await world.replies() == [("delivered", "once")]


async def test_redacted_values_are_restored_where_the_answer_goes(world: World) -> None:
    task_id = await world.task(text="Shall ann@example.com get it? [email 1]")
    await world.end(task_id, answer="Yes, tell [email 1]; and [email 2], [text 1]")

    await world.drain()

    assert world.desk.notes() == ["Yes, tell ann@example.com; and [email 2], [email 1]"]


async def test_no_transaction_is_open_while_the_vendor_is_called(world: World) -> None:
    async def check(_: object) -> None:
        refuse_open_transaction()

    world.desk.before_write = check
    await ended(world, "T1")

    await world.drain()

    assert len(world.desk.written) == 1
