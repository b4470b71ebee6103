"""A ticket that got an answer is told when that answer was found wrong later: after the answer, once for each correction, whatever
breaks between; and the note as each of the four vendors' simulated systems keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from connectors.form import Outbound
from connectors.intercom.reply import writer as intercom_writer
from connectors.pagerduty.api import Api
from connectors.pagerduty.client import PagerDutyClient
from connectors.pagerduty.reply import PagerDutyWriter
from connectors.salesforce.reply import SalesforceWriter
from connectors.servicenow.reply import writer as servicenow_writer
from connectors.threads import Threads
from core.errors import Retryable, Uncertain
from core.replies.actions import SETTLE_SECONDS
from core.replies.compose import IN_ORDER_SECONDS
from core.replies.tables import Reply
from core.replies.ticketing import TicketWriter
from core.secret import Secret
from hub.demo.fake_pagerduty import PagerDuty
from tests.fakes import intercom, pagerduty, salesforce, servicenow
from tests.fakes.intercom_lab import lab
from tests.integration import servicenow_kit
from tests.integration.test_salesforce_reply import case_of
from tests.integration.test_salesforce_reply import writer as salesforce_writer
from tests.integration.tickets.conftest import World
from tests.integration.tickets.desk import DeskStep, note

SAID = "Correction: the answer given here was looked at again. It says no."
RIGHT = f"{SAID}\n\nThe right answer:\nanswer: no\nsure: true"


async def test_a_correction_comes_after_the_answer_and_once(world: World) -> None:
    task_id = await world.task()
    await world.end(task_id, answer="yes")
    await world.drain()
    await world.correct(task_id, {"answer": "no", "sure": True})
    await world.correct(task_id)  # once more: the right answer is not known after all
    await world.drain()
    await world.pass_time(IN_ORDER_SECONDS)
    written = await world.all(Reply)
    assert [(one.state, one.position) for one in written] == [("delivered", n) for n in range(3)]
    assert [one.step.partition(".")[0] for one in written] == ["verified", "corrected", "corrected"]
    assert all(one.marker == f"[hub:{one.id}]" for one in written)
    assert world.desk.notes() == ["yes", SAID, SAID]


async def test_the_right_answer_is_told_and_a_repeated_job_says_nothing_more(world: World) -> None:
    task_id = await world.task()
    await world.end(task_id, answer="yes")
    await world.drain()
    await world.correct(task_id, {"answer": "no", "sure": True})
    [job_id] = await world.due("task.corrected")
    await world.runner.run(job_id)
    async with world.work.begin(
        "test.repeat"
    ) as tx:  # the same job under another id, as a redrive would bring it
        [version] = [int(one.step.split(".")[1]) for one in await world.all(Reply) if one.position]
        tx.emit("task.corrected", task_id, body={"version": version})
    await world.drain()
    assert world.desk.notes() == ["yes", RIGHT]


async def test_it_waits_for_the_answer_itself(world: World) -> None:
    world.desk.faults = [("before", Retryable("busy", "503", after=600))]
    task_id = await world.task()
    await world.end(task_id, answer="yes")
    await world.correct(task_id, "no")
    await world.drain()
    assert await world.replies() == [("pending", "yes")]
    await world.pass_time(IN_ORDER_SECONDS)
    assert await world.replies() == [("pending", "yes")]
    await world.pass_time(600)
    await world.pass_time(IN_ORDER_SECONDS)
    assert world.desk.notes() == ["yes", f"{SAID}\n\nThe right answer:\nno"]


async def test_a_ticket_that_got_no_answer_gets_no_correction(world: World) -> None:
    world.configure(outbound=Outbound[DeskStep](verified=[], failed=[], expired=[]))
    task_id = await world.task()
    await world.end(task_id, answer="yes")
    await world.correct(task_id, "no")
    await world.drain()
    await world.pass_time(IN_ORDER_SECONDS)
    assert (await world.all(Reply), world.desk.written) == ([], [])
    assert set(await world.job_states("task.corrected")) == {"done"}


async def test_what_was_redacted_is_put_back(world: World) -> None:
    task_id = await world.task(text="Shall ann@example.com get it?")
    await world.end(task_id, answer="yes")
    await world.drain()
    await world.correct(task_id, "no, [email 1] may not", note="Not [email 1].")
    await world.drain()
    said = "Correction: the answer given here was looked at again. Not ann@example.com."
    assert world.desk.notes()[1:] == [f"{said}\n\nThe right answer:\nno, ann@example.com may not"]


async def test_a_lost_answer_of_the_vendor_doubles_nothing(world: World) -> None:
    task_id = await world.task()
    await world.end(task_id, answer="yes")
    await world.drain()
    world.desk.faults = [("after", Uncertain("cut", "the connection broke"))]
    await world.correct(task_id, "no")
    await world.drain()
    await world.pass_time(SETTLE_SECONDS)
    assert [one.state for one in await world.all(Reply)] == ["delivered", "delivered"]
    assert len(world.desk.notes()) == 2


@dataclass(frozen=True)
class Vendor:
    """One simulated system: what writes into it, a ticket of it, its notes there, and how its next answer is lost."""

    port: TicketWriter
    ticket: str
    notes: Callable[[], list[str]]
    lose: Callable[[], None]
    html: bool = False


@asynccontextmanager
async def _pagerduty() -> AsyncIterator[Vendor]:
    known = PagerDuty(token="right")
    known.add_user("Hub", "hub-bot@demo.example", "PHUBBOT")
    threads = Threads(2, "test-pagerduty")
    async with pagerduty.serve(known) as fake:
        secret = Secret("right")
        client = PagerDutyClient(
            fake.url, lambda: secret, "hub-bot@demo.example", threads, timeout=(1.0, 0.5)
        )
        incident = fake.world.trigger("Checkout is slow")["id"]
        yield Vendor(
            PagerDutyWriter(Api(client), "PHUBBOT", frozenset({"PHUBBOT"})),
            incident,
            lambda: [one["content"] for one in fake.world.notes[incident]],
            lambda: fake.next(pagerduty.Fault.RESET_AFTER),
        )
    threads.close()


@asynccontextmanager
async def _intercom() -> AsyncIterator[Vendor]:
    async with lab() as here:
        number = here.begin()
        yield Vendor(
            intercom_writer(here.settings, here.tools),
            number,
            lambda: [part["body"] for part in here.parts(number)],
            lambda: here.vendor.next(intercom.Fault.RESET_AFTER),
            html=True,
        )


@asynccontextmanager
async def _salesforce() -> AsyncIterator[Vendor]:
    tools = servicenow_kit.HubTools()
    async with salesforce.serve() as org:
        case = case_of(org)
        port: SalesforceWriter = salesforce_writer(org, tools.tools)
        lost = next(one for one in salesforce.Fault if one.value.startswith("reset") and "after" in one.value)
        yield Vendor(port, case, lambda: org.comments(case), lambda: org.next(lost))
    await tools.close()


@asynccontextmanager
async def _servicenow() -> AsyncIterator[Vendor]:
    tools = servicenow_kit.HubTools()
    async with servicenow.serve() as fake:
        other = fake.world.insert({"short_description": "an older one"})
        fake.world.update(other["sys_id"], {"work_notes": "seen"}, "fred.luddy")
        record = fake.world.insert({"short_description": "Right?", "assignment_group": fake.world.group})[
            "sys_id"
        ]
        yield Vendor(
            servicenow_writer(servicenow_kit.settings_for(fake.url), tools.tools),
            record,
            lambda: fake.world.notes(record),
            lambda: fake.next("PATCH", servicenow.Fault.RESET_AFTER),
        )
    await tools.close()


@pytest.mark.parametrize(
    "vendor",
    [_pagerduty, _intercom, _salesforce, _servicenow],
    ids=["pagerduty", "intercom", "salesforce", "servicenow"],
)
async def test_every_vendor_keeps_one_correction(
    world: World, vendor: Callable[[], AbstractAsyncContextManager[Vendor]]
) -> None:
    async with vendor() as here:
        world.configure(
            steps=[note("{{ result.output.answer }}")],
            connector={"writer": lambda settings, tools: here.port, "html_notes": here.html},
        )
        task_id = await world.task(ticket=here.ticket)
        await world.end(task_id, answer="yes")
        await world.drain()
        here.lose()
        await world.correct(task_id, {"answer": "no <b>"})
        await world.drain()
        for _ in range(4):
            await world.pass_time(120)
        first, second = await world.all(Reply)
        assert [first.state, second.state] == ["delivered", "delivered"], second.error
        told = here.notes()
        assert len(told) == 2
        assert "Correction: the answer given here was looked at again. It says no." in told[1]
        assert ("answer: no &lt;b&gt;" if here.html else "answer: no <b>") in told[1]
        assert second.marker in told[1]
