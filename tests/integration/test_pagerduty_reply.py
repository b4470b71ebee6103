"""The PagerDuty writer with the real pdpyras over HTTP against the simulated account: every fault ends with exactly
one note once the caller has done what the port asks (look after Uncertain, send again after Retryable)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from connectors.pagerduty.api import Api
from connectors.pagerduty.client import PagerDutyClient
from connectors.pagerduty.reply import PagerDutyWriter
from connectors.threads import Threads
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.replies.ticketing import Action, Write
from core.secret import Secret
from hub.demo.fake_pagerduty import PagerDuty
from tests.fakes.pagerduty import Fault, FaultyPagerDuty, serve
from tests.reply_port import as_the_port_says

BOT = "hub-bot@demo.example"


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(2, "test-pagerduty")
    yield pool
    pool.close()


@pytest.fixture
async def vendor() -> AsyncIterator[FaultyPagerDuty]:
    world = PagerDuty(token="right")
    world.add_user("Hub", BOT, "PHUBBOT")
    async with serve(world) as fake:
        yield fake


@pytest.fixture
def writer(vendor: FaultyPagerDuty, threads: Threads) -> PagerDutyWriter:
    return writer_with(vendor.url, threads)


def writer_with(url: str, threads: Threads, token: str = "right", sender: str = BOT) -> PagerDutyWriter:
    client = PagerDutyClient(url, lambda: Secret(token), sender, threads, timeout=(1.0, 0.5))
    return PagerDutyWriter(Api(client), "PHUBBOT", frozenset({"PHUBBOT"}))


def marker_of(number: int) -> str:
    return f"[hub:rep_{number:032x}]"


def write_of(incident_id: str, kind: str, body: Any, number: int = 1) -> Write:
    action = Action(kind=kind, body=body)
    return Write(ticket_id=incident_id, actions=(action,), marker=marker_of(number), key=f"rep_{number}")


def note_for(incident_id: str, number: int = 1) -> Write:
    return write_of(incident_id, "note", f"Verified by 2 people.\n\n{marker_of(number)}", number)


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([], []),
        ([Fault.SLOW], []),
        ([Fault.SERVER_ERROR_BEFORE], [Uncertain]),
        ([Fault.SERVER_ERROR_AFTER], [Uncertain]),
        ([Fault.RESET_BEFORE], [Uncertain]),
        ([Fault.RESET_AFTER], [Uncertain]),
        ([Fault.TIMEOUT_AFTER], [Uncertain]),
        ([Fault.NOT_JSON], [Uncertain]),
        ([Fault.RATE_LIMITED], [Retryable]),
        ([Fault.RESET_AFTER, Fault.SERVER_ERROR_BEFORE], [Uncertain, Retryable]),
        # A look that finds nothing asks for the incident too: it may have been merged.
        (
            [Fault.SERVER_ERROR_BEFORE, Fault.NONE, Fault.NONE, Fault.RESET_AFTER],
            [Uncertain, Uncertain],
        ),
        ([Fault.TIMEOUT_AFTER, Fault.RATE_LIMITED, Fault.RESET_BEFORE], [Uncertain, Retryable, Retryable]),
    ],
    ids=lambda value: "+".join(item.value for item in value if isinstance(item, Fault)) or "calm",
)
async def test_every_fault_ends_with_exactly_one_note(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter, faults: list[Fault], expected: list[type[HubError]]
) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    note = note_for(incident["id"])
    vendor.next(*faults)
    note_id, seen = await as_the_port_says(writer, note)
    stored = vendor.world.notes[incident["id"]]
    assert [(n["id"], n["content"]) for n in stored] == [(note_id, note.actions[0].body)]
    assert seen == expected


async def test_one_call_is_one_request(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    """pdpyras 5.4.1 left to itself repeats a POST after a reset and waits for ever on 429."""
    incident = vendor.world.trigger("Checkout is slow")
    path = f"/incidents/{incident['id']}/notes"
    for fault, status in ((Fault.RESET_AFTER, 200), (Fault.SERVER_ERROR_AFTER, 200), (Fault.SLOW, 200)):
        vendor.world.requests.clear()
        vendor.next(fault)
        with contextlib.suppress(Uncertain):
            await writer.write(note_for(incident["id"]))
        assert vendor.world.requests == [("POST", path, status)]


@pytest.mark.parametrize(("fault", "after"), [(Fault.RATE_LIMITED, 17.0), (Fault.RATE_LIMITED_BARE, None)])
async def test_429_says_when_to_come_back(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter, fault: Fault, after: float | None
) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    vendor.next(fault, fault)
    for call in (writer.write, writer.find):
        with pytest.raises(Retryable) as caught:
            await call(note_for(incident["id"]))
        assert caught.value.code == "rate_limited"
        assert caught.value.after == after
    assert vendor.world.notes[incident["id"]] == []


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault.UNAUTHORIZED, Misconfigured, "credentials_refused"),
        (Fault.FORBIDDEN, Misconfigured, "credentials_refused"),
        (Fault.NOT_FOUND, Rejected, "ticket_gone"),
    ],
)
async def test_refusals_for_good(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter, fault: Fault, kind: type[HubError], code: str
) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    for call in (writer.write, writer.find):
        vendor.next(fault)
        with pytest.raises(kind) as caught:
            await call(note_for(incident["id"]))
        assert caught.value.code == code


@pytest.mark.parametrize(
    "fault", [Fault.SERVER_ERROR_BEFORE, Fault.RESET_AFTER, Fault.TIMEOUT_AFTER, Fault.NOT_JSON]
)
async def test_looking_leaves_no_doubt(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter, fault: Fault
) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    vendor.next(fault)
    with pytest.raises(Retryable):
        await writer.find(note_for(incident["id"]))


async def test_wrong_token_and_unknown_sender(vendor: FaultyPagerDuty, threads: Threads) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    with pytest.raises(Misconfigured) as caught:
        await writer_with(vendor.url, threads, token="wrong").write(note_for(incident["id"]))
    assert caught.value.code == "credentials_refused"
    with pytest.raises(Misconfigured) as caught:
        await writer_with(vendor.url, threads, sender="nobody@demo.example").write(note_for(incident["id"]))
    assert caught.value.code == "unknown_sender"
    assert vendor.world.notes[incident["id"]] == []


async def test_a_merged_incident_is_followed(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    """1019 does not name the target; `resolve_reason` of the merged incident does."""
    source, middle, target = (vendor.world.trigger(title) for title in ("Checkout", "Database", "Disk"))
    vendor.world.merge(source["id"], middle["id"])
    vendor.world.merge(middle["id"], target["id"])
    written = await writer.write(note_for(source["id"]))
    assert [note["id"] for note in vendor.world.notes[target["id"]]] == [written]
    assert await writer.find(note_for(source["id"])) == written
    assert await writer.find(note_for(source["id"], 2)) is None


async def test_an_unknown_incident(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    with pytest.raises(Rejected) as caught:
        await writer.write(note_for("Q0000000000000"))
    assert caught.value.code == "ticket_gone"


async def test_a_merged_incident_whose_target_is_not_told(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter
) -> None:
    source, target = vendor.world.trigger("Checkout is slow"), vendor.world.trigger("Database is slow")
    vendor.world.merge(source["id"], target["id"])
    source["resolve_reason"] = None
    with pytest.raises(Rejected) as caught:
        await writer.write(note_for(source["id"]))
    assert caught.value.code == "incident_merged"
    assert target["id"] in caught.value.message


async def test_other_refusals_name_code_and_message(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    vendor.world.notes[incident["id"]].extend({"id": str(n), "content": "old"} for n in range(2_000))
    with pytest.raises(Rejected) as caught:
        await writer.write(note_for(incident["id"]))
    assert caught.value.code == "refused"
    assert "2019" in caught.value.message
    assert "Product Limit Reached" in caught.value.message


@pytest.mark.parametrize("ticket_id", ["../users", "Q1/../../users", "Q1?x=1", "", "Q1\n", "é", "Q" * 33])
async def test_an_id_that_is_none_reaches_no_path(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter, ticket_id: str
) -> None:
    for call in (writer.write, writer.find):
        with pytest.raises(Rejected) as caught:
            await call(note_for(ticket_id))
        assert caught.value.code == "bad_ticket_id"
    assert vendor.world.requests == []


async def test_refused_connection_is_safe_to_repeat(threads: Threads, unused_tcp_port: int) -> None:
    writer = writer_with(f"http://127.0.0.1:{unused_tcp_port}", threads)
    with pytest.raises(Retryable) as caught:
        await writer.write(note_for("Q0000000000000"))
    assert caught.value.code == "unreachable"


async def test_find_takes_the_oldest_of_ours(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    note = note_for(incident["id"], 7)
    person = vendor.world.add_user("Ann", "ann@demo.example")
    vendor.world.add_note(incident["id"], "on it", person)
    assert await writer.find(note) is None
    written = await writer.write(note)
    quoted = vendor.world.add_note(incident["id"], f"what is this? > {note.marker}", person)
    quoted["created_at"] = "2999-01-01T00:00:00Z"
    assert await writer.find(note) == written
    assert await writer.find(note_for(incident["id"], 8)) is None


async def test_the_marker_stands_in_the_open(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    bare = write_of(incident["id"], "note", "Verified.")
    await writer.write(bare)
    assert vendor.world.notes[incident["id"]][0]["content"] == f"Verified.\n\n{marker_of(1)}"
    assert await writer.find(bare) == vendor.world.notes[incident["id"]][0]["id"]


async def test_copies_of_our_note_are_deleted(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    """Should a note ever be there twice, the oldest stays; what a person quotes is the person's."""
    incident = vendor.world.trigger("Checkout is slow")
    note = note_for(incident["id"])
    person = vendor.world.add_user("Ann", "ann@demo.example")
    first = await writer.write(note)
    vendor.world.notes[incident["id"]][0]["created_at"] = "2020-01-01T00:00:00Z"
    vendor.world.notes[incident["id"]][0]["updated_at"] = "2020-01-01T00:00:00Z"
    await writer.write(note)
    await writer.write(note)
    quoted = vendor.world.add_note(incident["id"], f"> {note.actions[0].body}", person)
    assert len(vendor.world.notes[incident["id"]]) == 4
    assert await writer.find(note) == first
    assert [one["id"] for one in vendor.world.notes[incident["id"]]] == [first, quoted["id"]]


async def test_our_note_with_other_words_is_put_right(
    vendor: FaultyPagerDuty, writer: PagerDutyWriter
) -> None:
    incident = vendor.world.trigger("Checkout is slow")
    written = await writer.write(note_for(incident["id"]))
    better = write_of(incident["id"], "note", f"Verified by 3 people.\n\n{marker_of(1)}")
    assert await writer.find(better) == written
    assert [n["content"] for n in vendor.world.notes[incident["id"]]] == [better.actions[0].body]
    vendor.world.edit_note(incident["id"], written, f"edited by Ann {marker_of(1)}")["updated_at"] = "2999"
    assert await writer.find(better) == written
    assert vendor.world.notes[incident["id"]][0]["content"] == f"edited by Ann {marker_of(1)}"
