"""The Intercom writer with the real library over HTTP against the simulated workspace: every fault ends with exactly
one note once the caller has done what the port asks (look after Uncertain, send again after Retryable)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.intercom.reply import IntercomWriter, writer
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from tests.fakes.intercom import Fault
from tests.fakes.intercom_lab import ANN, HUB, Lab, write
from tests.reply_port import as_the_port_says

FAULTS = [
    ([], []),
    ([Fault.SERVER_ERROR_BEFORE], [Uncertain]),
    ([Fault.SERVER_ERROR_AFTER], [Uncertain]),
    ([Fault.RESET_BEFORE], [Uncertain]),
    ([Fault.RESET_AFTER], [Uncertain]),
    ([Fault.TIMEOUT_AFTER], [Uncertain]),
    ([Fault.NOT_JSON], [Uncertain]),
    ([Fault.RATE_LIMITED], [Retryable]),
    ([Fault.RESET_AFTER, Fault.SERVER_ERROR_BEFORE], [Uncertain, Retryable]),
    ([Fault.SERVER_ERROR_BEFORE, Fault.NONE, Fault.RESET_AFTER], [Uncertain, Uncertain]),
    ([Fault.TIMEOUT_AFTER, Fault.RATE_LIMITED, Fault.RESET_BEFORE], [Uncertain, Retryable, Retryable]),
]


@pytest.mark.parametrize("kind", ["note", "comment", "ticket note"])
@pytest.mark.parametrize(
    ("faults", "expected"),
    FAULTS,
    ids=lambda value: "+".join(item.value for item in value if isinstance(item, Fault)) or "calm",
)
async def test_every_fault_ends_with_exactly_one_note(
    here: Lab, ours: IntercomWriter, kind: str, faults: list[Fault], expected: list[type[HubError]]
) -> None:
    body: Any = {"body": "<p>Done</p>"} if kind == "comment" else "<p>Done</p>"
    if kind == "ticket note":
        number = here.world.open_ticket("Broken", "It does not work", here.customer)["id"]
        asked, parts = (
            write(f"ticket:{number}", "note", body),
            here.world.ticket(number)["ticket_parts"]["ticket_parts"],
        )
    else:
        number = here.begin()
        asked, parts = write(number, kind, body), here.parts(number)
    here.vendor.next(*faults)
    part_id, seen = await as_the_port_says(ours, asked)
    assert [(part["id"], part["body"], part["author"]["id"]) for part in parts] == [
        (part_id, f"<p>Done</p>\n<p>{asked.marker}</p>", HUB)
    ]
    assert seen == expected


async def test_one_call_is_one_request(here: Lab, ours: IntercomWriter) -> None:
    number = here.begin()
    for fault in (Fault.SERVER_ERROR_AFTER, Fault.RESET_AFTER):
        here.world.requests.clear()
        here.vendor.next(fault)
        with pytest.raises(Uncertain):
            await ours.write(write(number, "note", "<p>x</p>"))
        assert here.world.requests == [("POST", f"/conversations/{number}/reply", 200)]


async def test_429_says_when_to_come_back_and_pauses_the_connector(here: Lab, ours: IntercomWriter) -> None:
    """X-RateLimit-Reset is a unix time at Intercom."""
    number, asked = here.begin(), write("1", "note", "<p>x</p>")
    asked = msgspec.structs.replace(asked, ticket_id=number)
    here.vendor.limits.reset = lambda: clock.unix() + 7
    here.vendor.next(Fault.RATE_LIMITED, Fault.RATE_LIMITED, Fault.RATE_LIMITED_BARE)
    for call in (ours.write, ours.find):
        with pytest.raises(Retryable) as caught:
            await call(asked)
        assert caught.value.code == "rate_limited"
        assert caught.value.after in (6.0, 7.0)
    assert 5.0 < here.tools.pauses.wait(here.settings.id) <= 7.0
    with pytest.raises(Retryable) as bare:
        await ours.write(asked)
    assert bare.value.after is None
    assert here.parts(number) == []


async def test_the_last_call_of_a_window_pauses_too(here: Lab, ours: IntercomWriter) -> None:
    here.vendor.limits.left = 0
    here.vendor.limits.reset = lambda: clock.unix() + 9
    await ours.write(write(here.begin(), "note", "<p>x</p>"))
    assert 7.0 < here.tools.pauses.wait(here.settings.id) <= 9.0


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault.UNAUTHORIZED, Misconfigured, "credentials_refused"),
        (Fault.FORBIDDEN, Misconfigured, "credentials_refused"),
        (Fault.NOT_FOUND, Rejected, "ticket_gone"),
        (Fault.REDIRECT, Rejected, "refused"),
    ],
)
async def test_refusals_for_good(
    here: Lab, ours: IntercomWriter, fault: Fault, kind: type[HubError], code: str
) -> None:
    asked = write(here.begin(), "note", "<p>x</p>")
    for call in (ours.write, ours.find):
        here.vendor.next(fault)
        with pytest.raises(kind) as caught:
            await call(asked)
        assert caught.value.code == code


@pytest.mark.parametrize(
    "ticket_id",
    [
        "../admins",
        "last",
        "215/../../me",
        "1?x=1",
        "",
        "1\n",
        "é",
        "9" * 21,
        "ticket:",
        "ticket:../me",
        "procedure:1",
    ],
)
async def test_an_id_that_is_none_reaches_no_path(here: Lab, ours: IntercomWriter, ticket_id: str) -> None:
    for call in (ours.write, ours.find):
        with pytest.raises(Rejected) as caught:
            await call(write(ticket_id, "note", "<p>x</p>"))
        assert caught.value.code == "bad_ticket_id"
    assert here.world.requests == []


async def test_a_refused_connection_is_safe_to_repeat(here: Lab, unused_tcp_port: int) -> None:
    lost = msgspec.structs.replace(here.settings, test_base_url=f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(Retryable) as caught:
        await writer(lost, here.tools).write(write("1", "note", "<p>x</p>"))
    assert caught.value.code == "unreachable"


async def test_find_takes_the_oldest_of_ours(here: Lab, ours: IntercomWriter) -> None:
    number, ann = here.begin(), here.world.admins[ANN]
    asked = write(number, "note", "<p>x</p>", 7)
    here.world.say(number, "note", ann, f"what is {asked.marker}?")
    assert await ours.find(asked) is None
    written = await ours.write(asked)
    here.world.say(number, "note", here.world.admins[HUB], f"again {asked.marker}")
    assert await ours.find(asked) == written
    assert await ours.find(write(number, "note", "<p>x</p>", 8)) is None
