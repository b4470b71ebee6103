"""The PagerDuty writer with the real pdpyras over HTTP against the simulated account: every fault ends with exactly
one note once the caller has done what the port asks (look after Uncertain, send again after Retryable)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from connectors.pagerduty.client import PagerDutyClient
from connectors.pagerduty.reply import PagerDutyWriter
from connectors.threads import Threads
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.replies.ticketing import Note, TicketWriter
from core.secret import Secret
from hub.demo.fake_pagerduty import PagerDuty
from tests.fakes.pagerduty import Fault, FaultyPagerDuty, serve

BOT = "hub-bot@demo.example"


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(2, "test-pagerduty")
    yield pool
    pool.close()


@pytest.fixture
async def vendor() -> AsyncIterator[FaultyPagerDuty]:
    world = PagerDuty(token="right")
    world.add_user("Hub", BOT)
    async with serve(world) as fake:
        yield fake


@pytest.fixture
def writer(vendor: FaultyPagerDuty, threads: Threads) -> PagerDutyWriter:
    return writer_with(vendor.url, threads)


def writer_with(url: str, threads: Threads, token: str = "right", sender: str = BOT) -> PagerDutyWriter:
    return PagerDutyWriter(PagerDutyClient(url, lambda: Secret(token), sender, threads, timeout=(1.0, 0.5)))


def note_for(incident_id: str, number: int = 1) -> Note:
    marker = f"[hub:rep_{number:032x}]"
    return Note(ticket_id=incident_id, text=f"Verified by 2 people.\n\n{marker}", marker=marker)


async def as_the_port_says(
    writer: TicketWriter, note: Note, tries: int = 5
) -> tuple[str, list[type[HubError]]]:
    """What core/replies does: send, look when in doubt, send again when nothing can have arrived."""
    seen: list[type[HubError]] = []
    doubtful = False
    for _ in range(tries):
        try:
            if doubtful and (found := await writer.find(note)):
                return found, seen
            return await writer.write(note), seen
        except (Retryable, Uncertain) as error:
            doubtful = doubtful or isinstance(error, Uncertain)
            seen.append(type(error))
    raise AssertionError(f"no note after {tries} tries: {seen}")


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
        ([Fault.SERVER_ERROR_BEFORE, Fault.NONE, Fault.RESET_AFTER], [Uncertain, Uncertain]),
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
    assert [(n["id"], n["content"]) for n in stored] == [(note_id, note.text)]
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


async def test_unknown_and_merged_incidents(vendor: FaultyPagerDuty, writer: PagerDutyWriter) -> None:
    source, target = vendor.world.trigger("Checkout is slow"), vendor.world.trigger("Database is slow")
    vendor.world.merge(source["id"], target["id"])
    with pytest.raises(Rejected) as caught:
        await writer.write(note_for(source["id"]))
    assert caught.value.code == "incident_merged"
    assert target["id"] in caught.value.message
    with pytest.raises(Rejected) as caught:
        await writer.write(note_for("Q0000000000000"))
    assert caught.value.code == "ticket_gone"


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
    bare = Note(ticket_id=incident["id"], text="Verified.", marker="[hub:rep_1]")
    await writer.write(bare)
    assert vendor.world.notes[incident["id"]][0]["content"] == "Verified.\n\n[hub:rep_1]"
    assert await writer.find(bare) == vendor.world.notes[incident["id"]][0]["id"]
