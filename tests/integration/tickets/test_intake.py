"""What a delivery becomes: a task once, a cancellation, a message, or nothing, with the reason kept."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from connectors.form import LoopGuard
from core import clock
from core.db.unit_of_work import refuse_open_transaction
from core.errors import Misconfigured, Rejected, Retryable, Uncertain
from core.intake.actions import replay
from core.intake.guard import HOLD_SECONDS, STOPPED_SECONDS
from core.intake.tables import TaskMessage, TaskSource
from core.replies.actions import resume
from core.tasks.tables import Task
from tests.integration.tickets.conftest import World
from tests.integration.tickets.desk import NAME, Gate

SUBJECT = f"connector:{NAME}"
YES_NO = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


async def again(world: World, event_id: str) -> tuple[str, str | None]:
    """Replayed by an operator: (state, reason)."""
    async with world.work.begin("test.replay") as tx:
        await replay(tx, event_id, actor="test")
    await world.drain()
    event = await world.event(event_id)
    return event.state, event.reason


async def test_an_escalation_makes_a_task_and_remembers_where_it_came_from(world: World) -> None:
    task_id = await world.task(ticket="T7", key="K1", text="Pay ann@example.com or bob@example.com?")

    [task] = await world.all(Task)
    assert (task.id, task.connector, task.ticket_id, task.escalation_key) == (task_id, NAME, "T7", "K1")
    assert (task.organisation_id, task.environment, task.status) == (world.organisation, "test", "posted")
    assert (task.payout_amount, task.payload) == (Decimal(100), {"question": "Pay [email 1] or [email 2]?"})
    [source] = await world.all(TaskSource)
    assert (source.task_id, source.route, source.ticket_url) == (task_id, "ask", "https://desk.example/T7")
    assert source.redacted is not None
    assert "ann@" not in source.redacted
    assert msgspec.json.decode(world.sealer.unseal(source.redacted)) == {
        "[email 1]": "ann@example.com",
        "[email 2]": "bob@example.com",
    }


@pytest.mark.parametrize("kind", ["ask", "ask-again"], ids=["same route", "another route"])
async def test_one_key_is_one_task_however_often_it_is_asked(world: World, kind: str) -> None:
    first = await world.task(id="evt-1", key="K1")
    second = await world.told(id="evt-2", key="K1", kind=kind, text="the same, said otherwise")

    assert (second.state, second.task_id) == ("accepted", first)
    assert len(await world.all(Task)) == 1
    assert len(await world.all(TaskSource)) == 1


async def test_keys_and_tickets_tell_tasks_apart(world: World) -> None:
    made = {
        await world.task(id="evt-1", ticket="T1", key="K1"),
        await world.task(id="evt-2", ticket="T1", key="K2"),
        await world.task(id="evt-3", ticket="T2", key="K1"),
    }

    assert len(made) == 3


async def test_a_very_long_name_is_still_one_task(world: World) -> None:
    first = await world.task(id="evt-1", ticket="T" * 200, key="K" * 200)

    assert (await world.told(id="evt-2", ticket="T" * 200, key="K" * 200)).task_id == first


async def test_what_a_route_wants_is_fetched_outside_a_transaction(world: World) -> None:
    world.desk.context = {"conversation": [{"who": "ann", "text": "hello"}]}
    world.desk.before_fetch = refuse_open_transaction

    await world.task(kind="deep")

    [task] = await world.all(Task)
    assert task.payload == {"question": "Is it safe?", "before": [{"who": "ann", "text": "hello"}]}
    assert world.desk.fetches == 1


async def test_a_ticket_that_is_gone_fails_with_the_reason(world: World) -> None:
    world.desk.context = Rejected("gone", "404: there is no ticket T1")

    event = await world.told(kind="deep")

    assert (event.state, event.task_id) == ("failed", None)
    assert event.reason == "route deep: the context could not be fetched: 404: there is no ticket T1"
    world.desk.context = {"conversation": []}
    assert await again(world, event.id) == ("accepted", "route deep")


async def test_refused_credentials_wait_for_the_operator(world: World) -> None:
    world.desk.context = Misconfigured("token", "401: the token is refused.")

    event = await world.told(kind="deep")
    await world.pass_time(STOPPED_SECONDS)

    assert (event.state, world.desk.fetches) == ("received", 1)
    assert await world.repairs() == [(SUBJECT, "credentials", 1)]
    world.desk.context = {"conversation": []}
    async with world.work.begin("test.resume") as tx:
        await resume(tx, NAME, actor="test")
    await world.pass_time(STOPPED_SECONDS)
    assert (await world.event(event.id)).state == "accepted"


async def test_a_vendor_that_is_away_is_asked_until_it_is_back(world: World) -> None:
    world.desk.context = Retryable("busy", "503")
    event = await world.told(kind="deep")

    for _ in range(30):  # more often than the queue has patience for
        await world.pass_time(30)
    world.desk.context = Uncertain("no_answer", "the answer was lost")
    await world.pass_time(30)
    world.desk.context = {"conversation": []}
    await world.pass_time(300)

    assert (await world.event(event.id)).state == "accepted"


async def test_our_own_note_is_no_question(world: World) -> None:
    await world.end(await world.task())
    await world.drain()

    echo = await world.told(id="evt-2", item="note-1", text="Answer to evt-1")
    said = await world.told(id="evt-3", item="note-1", kind="said")

    assert (echo.state, said.state) == ("ignored", "ignored")
    assert (echo.reason or "").startswith("the echo of our own reply rep_")
    assert len(await world.all(Task)) == 1


async def test_what_comes_while_we_write_waits_until_we_know_what_is_ours(world: World) -> None:
    await world.end(await world.task(id="evt-1"))
    gate = Gate()
    world.desk.before_write = gate
    for job_id in await world.due("task.ended"):
        await world.runner.run(job_id)
    [job_id] = await world.due("reply.send")
    world.runner.start([job_id])
    await gate.reached.wait()

    echo = await world.told(id="evt-2", item="note-1")
    other = await world.told(id="evt-3", ticket="T2")
    assert (echo.state, other.state) == ("received", "accepted")
    gate.opened.set()
    await world.runner.finish()
    await world.pass_time(1)

    assert (await world.event(echo.id)).state == "ignored"


async def test_the_hold_ends_when_a_write_stays_doubtful(world: World) -> None:
    await world.end(await world.task(id="evt-1"))
    world.desk.faults = [("after", Uncertain("no_answer", "lost"))]
    world.desk.looks = [Retryable("busy", "503")] * 99
    await world.drain()

    held = await world.told(id="evt-2", item="somebody-elses")
    await world.pass_time(HOLD_SECONDS - 1)
    assert (await world.event(held.id)).state == "received"
    await world.pass_time(2)

    assert (await world.event(held.id)).state == "accepted"


async def test_late_news_of_a_ticket_is_ignored_and_the_same_revision_is_taken(world: World) -> None:
    states = [
        (await world.told(id=f"evt-{n}", key=f"K{n}", revision=revision, kind="ask", ticket="T1")).state
        for n, revision in enumerate([5, 4, 5], 1)
    ]
    await world.told(id="evt-4", kind="over", revision=6)
    reopened = await world.told(id="evt-5", kind="over", revision=5)
    unordered = await world.told(id="evt-6", ticket="T2", revision=1)

    assert states == ["accepted", "ignored", "accepted"]
    assert reopened.reason == "revision 5 is older than one that was seen before"
    assert unordered.state == "accepted"


async def test_an_old_event_can_be_replayed(world: World) -> None:
    late = await world.told(id="evt-1", key="K1", revision=1, kind="nothing")
    await world.told(id="evt-2", key="K2", revision=9)
    assert late.state == "ignored"
    await world.told(id="evt-3", key="K3", revision=8)
    ignored = await world.told(id="evt-4", key="K4", revision=7)
    assert (ignored.reason or "").startswith("revision 7 is older")

    assert await again(world, ignored.id) == ("accepted", "route ask")


async def test_a_message_is_added_to_every_open_task_once(world: World) -> None:
    first = await world.task(id="evt-1", key="K1")
    second = await world.task(id="evt-2", key="K2")
    closed = await world.task(id="evt-3", ticket="T2")
    await world.end(closed)
    await world.drain()

    told = await world.told(
        id="evt-4", kind="said", item="part-1", key="Ann", text="Ask ann@example.com [email 1]"
    )
    twice = await world.told(id="evt-5", kind="said", item="part-1", text="the same part by another event")
    nobody = await world.told(id="evt-6", kind="said", ticket="T2", item="part-2")

    assert (told.state, twice.state, nobody.state) == ("accepted", "ignored", "ignored")
    assert nobody.reason == "the ticket has no open task, or the message is known"
    messages = await world.all(TaskMessage)
    assert sorted(one.task_id for one in messages) == sorted([first, second])
    # its placeholders are not those of the question, so nothing is turned back by mistake
    assert {(one.author, one.text) for one in messages} == {("Ann", "Ask [email] [email 1]")}
    assert len(await world.all(Task)) == 3


async def test_the_author_of_a_message_is_redacted_too(world: World) -> None:
    await world.task()
    await world.told(id="evt-2", kind="said", item="part-1", key="ann@example.com")

    [message] = await world.all(TaskMessage)
    assert message.author == "[email]"


async def test_a_ticket_that_is_over_withdraws_its_questions(world: World) -> None:
    first = await world.task(id="evt-1", key="K1")
    await world.task(id="evt-2", ticket="T2")

    over = await world.told(id="evt-3", kind="over")
    twice = await world.told(id="evt-4", kind="over")

    assert (over.state, over.task_id, over.reason) == ("accepted", first, "cancelled 1 task(s)")
    assert twice.reason == "the ticket ended and has no open task"
    assert sorted((one.ticket_id, one.status) for one in await world.all(Task)) == [
        ("T1", "cancelled"),
        ("T2", "posted"),
    ]


async def test_the_fuse(world: World) -> None:
    await world.task(id="evt-1", key="K1")
    await world.task(id="evt-2", key="K2")

    known = await world.told(id="evt-3", key="K1")
    blown = await world.told(id="evt-4", key="K3")
    other = await world.told(id="evt-5", key="K3", ticket="T2")

    assert (known.state, blown.state, other.state) == ("accepted", "failed", "accepted")
    assert "max_tasks_per_key_per_hour" in (blown.reason or "")
    assert await world.repairs() == [(SUBJECT, "loop", 1)]
    await world.pass_time(3_601)
    assert (await again(world, blown.id))[0] == "accepted"


async def test_the_fuse_is_as_strong_as_the_file_says(world: World) -> None:
    world.configure(loop_guard=LoopGuard(max_tasks_per_key_per_hour=1))
    await world.task(id="evt-1", key="K1")

    assert (await world.told(id="evt-2", key="K2")).state == "failed"


async def test_the_schema_of_the_answer_may_come_with_the_question(world: World) -> None:
    await world.task(kind="form", form=YES_NO)

    [task] = await world.all(Task)
    assert task.output_schema == YES_NO


async def test_a_schema_out_of_profile_fails_with_the_place(world: World) -> None:
    event = await world.told(
        kind="form", form={"type": "object", "properties": {"a": {"$ref": "https://x.example/s"}}}
    )
    wrong = await world.told(id="evt-2", kind="form", form="a text")

    assert event.state == "failed"
    assert "outputSchema/properties/a" in (event.reason or "")
    assert wrong.reason == (
        "inbound.routes[3] (form).task.output_schema must give an object, it gave str 'a text'"
    )


async def test_what_no_route_wants_is_kept_for_a_route_to_come(world: World) -> None:
    event = await world.told(kind="unheard-of")

    assert (event.state, event.reason) == ("ignored", "no route matches")


async def test_a_file_that_is_gone_fails_and_is_replayed(world: World) -> None:
    file = world.configs.pop(NAME)
    event = await world.told()
    world.configs[NAME] = file

    assert (event.state, event.reason) == ("failed", f"No connector '{NAME}' is configured")
    assert await again(world, event.id) == ("accepted", "route ask")


async def test_a_hold_is_on_the_databases_clock(world: World) -> None:
    event = await world.event(await world.receive())

    assert abs(clock.now_ms() - clock.to_ms(event.received_at)) < 60_000
