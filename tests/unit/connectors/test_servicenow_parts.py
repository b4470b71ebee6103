"""ServiceNow's pure parts: record forms, journals, harmless text, the fields of a reply, hostile deliveries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.calls import Answer
from connectors.servicenow.body import dropped, values_of
from connectors.servicenow.client import refusal, said
from connectors.servicenow.doctor_values import seconds_apart
from connectors.servicenow.normalize import normalize
from connectors.servicenow.records import count_of, entries, flatten, glide_time, moment, newest_entry
from connectors.servicenow.text import harmless
from connectors.signed_json import SCHEMA
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.intake.envelope import Escalation, Ignored, InboundDelivery
from core.replies.ticketing import Action, Write
from tests.growth import grows_linearly
from tests.integration.servicenow_kit import settings_for

RECORD = "9d385017c611228701d22104cc95c371"
SETTINGS = settings_for("http://127.0.0.1:9")


def test_the_three_forms_of_a_field_come_out_the_same() -> None:
    fields, display = flatten(
        {
            "plain": "1",
            "both": {"value": "2024-09-10 08:15:50", "display_value": "2024-09-10 01:15:50"},
            "reference": {"link": "https://acme.service-now.com/api/now/table/sys_user/x", "value": "x"},
            "named": {"link": "https://acme.service-now.com/x", "display_value": "Fred Luddy"},
            "empty": "",
            "null": None,
            "true": True,
            "count": 3,
            "risk": -5.0,
            "nul": "a\x00b",
        }
    )
    assert fields == {
        "plain": "1",
        "both": "2024-09-10 08:15:50",
        "reference": "x",
        "named": "Fred Luddy",
        "empty": "",
        "null": "",
        "true": "true",
        "count": "3",
        "risk": "-5.0",
        "nul": "ab",
    }
    assert (display["both"], display["reference"]) == ("2024-09-10 01:15:50", "x")
    assert flatten("no record") == ({}, {})
    assert flatten({"huge": 10**5000})[0] == {"huge": "out of range"}


JOURNAL = (
    "2026-11-23 10:04:58 - Fred Luddy (Work notes)\nA person, please (really).\n\n"
    "23.11.2026 09:00:00 - Hub - Bot (Arbeitsnotizen)\nVerified. [hub:rep_1]\n\n"
)


def test_journals() -> None:
    assert newest_entry(JOURNAL) == JOURNAL.split("23.11.")[0]
    assert newest_entry("just a note") == "just a note"
    assert [(one["author"], one["kind"], one["text"]) for one in entries(JOURNAL)] == [
        ("Fred Luddy", "Work notes", "A person, please (really)."),
        ("Hub - Bot", "Arbeitsnotizen", "Verified. [hub:rep_1]"),
    ]
    assert entries("no heading") == []


def test_counts_and_moments() -> None:
    assert [count_of(value) for value in ("8", 8, "", "-1", "1.0", True, None, "9" * 20, 2**60)] == [
        8, 8, None, None, None, None, None, None, None,
    ]  # fmt: skip
    at = moment("2026-11-23 10:00:00")
    assert at is not None
    assert glide_time(at) == "2026-11-23 10:00:00"
    assert moment("10/24/2023 7:07:31") is None
    assert moment(None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[code]<b>[/code]", "(code)<b>(/code)"),
        ("[CoDe]x[ / C O D E ]", "(CoDe)x( / C O D E )"),
        ("[\tcode\n]", "(\tcode\n)"),
        ("[c\u200bo\u00add\ufeffe]", "(c\u200bo\u00add\ufeffe)"),
        ("[co\x00de]", "(code)"),
        ("[code onclick=1]", "(code onclick=1]"),
        ("[[code]]", "[(code)]"),
        ("[co[code]de]", "[co(code)de]"),
        ("[encode] [decoder] code [hub:rep_1]", "[encode] [decoder] code [hub:rep_1]"),
        ("tab\tnew\nline \ud800", "tab\tnew\nline ?"),
    ],
)
def test_code_tags_are_broken(text: str, expected: str) -> None:
    assert harmless(text) == expected


@given(
    st.lists(st.sampled_from(["[", "]", "/", "c", "O", "d", "E", " ", "\x00", "\u200b", "\x1f"]), max_size=30)
)
def test_no_code_tag_survives(pieces: list[str]) -> None:
    clean = harmless("".join(pieces))
    bare = "".join(character for character in clean if character not in " \u200b\x00\x1f").lower()
    assert "[code]" not in bare
    assert "[/code]" not in bare
    assert harmless(clean) == clean


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "[ " * 100_000, "[" + " " * 200_000, "[c" + "\u200b" * 200_000]
)
def test_breaking_takes_linear_time(text: str) -> None:
    assert grows_linearly(harmless, text)


def write(*actions: Action) -> Write:
    return Write(ticket_id=RECORD, actions=actions, marker="[hub:rep_1]", key="rep_1")


def test_the_actions_of_a_reply_become_one_set_of_fields() -> None:
    values = values_of(
        write(
            Action(kind="note", body="One."),
            Action(kind="note", body="Two. [hub:rep_1]"),
            Action(kind="fields", body={"u_a": "[code]", "state": "2"}),
            Action(kind="resolve", body={"state": "6", "close_code": "c", "close_notes": "n"}),
            Action(kind="assign", body={"assigned_to": ""}),
        )
    )
    assert values.texts == {"work_notes": "One.\n\nTwo. [hub:rep_1]"}
    assert values.fields == {
        "u_a": "(code)",
        "state": "6",
        "close_code": "c",
        "close_notes": "n",
        "assigned_to": "",
    }


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action(kind="resolve", body={"state": "6", "close_code": ""}), "resolve.close_code"),
        (Action(kind="assign", body={"assignment_group": "Network"}), "assign.assignment_group"),
        (Action(kind="fields", body="x"), "`fields`"),
        (Action(kind="fields", body={}), "no text and no field"),
        (Action(kind="tag", body="x"), "no step `tag`"),
    ],
)
def test_what_could_only_be_taken_wrongly(action: Action, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        values_of(write(action))


def test_dropped_fields() -> None:
    sent = {"a": "1", "b": "2", "c": "line\nline ", "d": "x", "e": ""}
    echo: dict[str, Any] = {
        "a": "1",
        "b": "3",
        "c": "line\r\nline",
        "d": {"value": "x", "link": "l"},
        "e": "",
    }
    assert dropped(sent, echo) == ["b"]
    assert dropped({"gone": "x", "kept": ""}, {}) == ["gone", "kept"]


@pytest.mark.parametrize(
    ("status", "writes", "kind"),
    [
        (401, True, Misconfigured),
        (403, True, Rejected),
        (404, False, Rejected),
        (400, True, Rejected),
        (500, True, Uncertain),
        (500, False, Retryable),
        (503, True, Uncertain),
    ],
)
def test_refusals(status: int, writes: bool, kind: type[HubError]) -> None:
    assert type(refusal(Answer(status=status, body=None, headers={}), writes=writes)) is kind


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"error": {"message": "No Record found", "detail": "gone"}, "status": "failure"},
            "No Record found: gone",
        ),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"error": {"message": None, "detail": 7}}, "7"),
        ([1], "status 400 without a reason"),
        (None, "status 400 without a reason"),
    ],
)
def test_the_vendors_words(body: object, words: str) -> None:
    assert said(Answer(status=400, body=body, headers={})) == words


def test_clock_headers() -> None:
    assert seconds_apart("Tue, 24 Nov 2026 00:00:00 GMT") is not None
    assert seconds_apart("yesterday") is None
    assert seconds_apart("") is None


# --- hostile deliveries


def delivered(body: bytes) -> InboundDelivery:
    return InboundDelivery(delivery_id="d", event_type="t", body=body, headers={}, verified_by=0)


def event(**changes: Any) -> bytes:
    source = {"system": "servicenow", "instance": "acme", "table": "incident", "id": RECORD, "revision": "7"}
    document = {
        "schema": SCHEMA,
        "event_id": "e",
        "sent_at": "2026-11-23T10:00:00Z",
        "source": {**source, **changes.pop("source", {})},
        "reason": "hitl_requested",
        "fields": {"short_description": "x", "priority": "1"},
        **changes,
    }
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"{",
        b"\xff\xfe",
        b"null",
        event(fields={"short_description": "\ud800"}),
        event(fields={"n": 1}).replace(b'"n": 1', b'"n": 1e999'),
        event(source={"id": "../../sys_user/x"}),
        event(source={"id": RECORD.upper()}),
        event(source={"id": RECORD + "\n"}),
        event(source={"number": "INC/../x"}),
        event(source={"table": "sys_user"}),
        event(sent_at="2026-11-23T10:00:00"),
    ],
)
def test_hostile_bodies_are_ignored(body: bytes) -> None:
    assert isinstance(normalize(SETTINGS, delivered(body), SETTINGS.inbound.routes), Ignored)


def test_numbers_of_any_size_and_strange_revisions_do_no_harm() -> None:
    body = event(fields={"short_description": "x", "n": 10**400}, source={"revision": "9" * 40})
    meaning = normalize(SETTINGS, delivered(body), SETTINGS.inbound.routes)
    assert isinstance(meaning, Escalation)
    assert (meaning.origin.revision, meaning.origin.item_ids) == (None, ())


def test_the_link_is_made_of_the_file() -> None:
    body = event(source={"url": "https://evil.example/"})
    meaning = normalize(SETTINGS, delivered(body), SETTINGS.inbound.routes)
    assert isinstance(meaning, Escalation)
    assert str(meaning.ticket.url).startswith("https://acme.service-now.com/nav_to.do?")
