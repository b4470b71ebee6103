"""The reply machine: steps in order, one write per ticket at a time, modes, pauses and pace."""

from __future__ import annotations

import asyncio

import pytest

from connectors.form import Delivery, LoopGuard, Rate
from core.db.unit_of_work import refuse_open_transaction
from core.errors import Rejected, Retryable
from core.replies.actions import STOPPED_SECONDS
from core.replies.tables import Reply
from core.replies.ticketing import Moot
from tests.integration.tickets.conftest import World
from tests.integration.tickets.desk import NAME, DeskStep, Gate, note

BUSY = Retryable("busy", "503", after=7)


async def test_steps_go_in_order_and_the_next_waits_for_the_one_before(world: World) -> None:
    world.configure(steps=[note("one"), note("two"), note("three")])
    world.desk.faults = [None, ("before", BUSY)]
    await world.ended("T1")

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
    await world.ended("T1")

    await world.drain()

    assert await world.replies() == [(state, "one"), ("delivered", "two")]


async def test_all_actions_are_one_write_where_the_vendor_bundles(world: World) -> None:
    world.configure(steps=[note("one"), note("two")], connector={"bundles": True})
    await world.ended("T1")

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
    task_id = await world.task()
    await world.end(task_id)
    await world.end(task_id)

    await world.drain()

    assert len(await world.replies()) == 1
    assert len(world.desk.written) == 1


async def test_one_write_per_ticket_at_a_time_over_two_tasks(world: World) -> None:
    gate = Gate()
    world.desk.before_write = gate
    await world.ended("T1", "T1")
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
    await world.ended("T1", "T1", "T1", "T1")
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
    await world.ended("T1", "T2")
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    jobs = await world.due("reply.send")

    sending = [asyncio.create_task(world.runner.run(job_id)) for job_id in jobs]
    while world.desk.at_once < 2:
        await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(*sending)

    assert world.desk.most_at_once == 2


async def test_the_vendors_own_wait_is_kept(world: World) -> None:
    world.desk.faults = [("before", Retryable("rate", "429", after=100))]
    await world.ended("T1")

    await world.drain()
    await world.pass_time(98)
    assert world.desk.written == []
    await world.pass_time(2)
    assert len(world.desk.written) == 1


async def test_a_pause_holds_every_reply_and_burns_no_attempt(world: World) -> None:
    world.tools.pauses.pause(NAME, 3_000)
    await world.ended("T1", "T2")

    await world.drain()

    assert [(one.state, one.attempts) for one in await world.all(Reply)] == [("pending", 0)] * 2


async def test_our_own_pace(world: World) -> None:
    world.configure(delivery=Delivery(max_attempts=4, max_age="1h", rate=Rate(per_minute=2)))
    await world.ended("T1", "T2", "T3")

    await world.drain()

    assert sorted(state for state, _ in await world.replies()) == ["delivered", "delivered", "pending"]


async def test_shadow_keeps_what_would_have_been_sent(world: World) -> None:
    world.configure(mode="shadow", steps=[note("one"), note("two")])
    await world.ended("T1")

    await world.drain()

    assert await world.replies() == [("shadowed", "one"), ("shadowed", "two")]
    assert world.desk.written == []


async def test_off_holds_until_it_is_live_and_patience_begins_then(world: World) -> None:
    world.configure(mode="off")
    world.desk.faults = [("before", BUSY)]
    await world.ended("T1")

    await world.drain()
    for _ in range(25):
        await world.pass_time(86_400)
    assert await world.replies() == [("pending", "Answer to evt-1")]
    world.configure(mode="live")
    await world.pass_time(STOPPED_SECONDS)
    await world.pass_time(7)

    assert await world.replies() == [("delivered", "Answer to evt-1")]


async def test_a_file_that_is_gone_costs_no_answer(world: World) -> None:
    await world.ended("T1")
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


async def test_only_if_and_what_renders_to_nothing(world: World) -> None:
    world.configure(
        steps=[
            note("never", only_if="result.output.answer == 'no'"),
            note("{{ '' }}"),
            DeskStep(note=note("once").note),
        ]
    )
    await world.ended("T1")

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
    await world.ended("T1")

    await world.drain()

    assert len(world.desk.written) == 1
