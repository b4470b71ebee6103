"""The pure parts of the PagerDuty connector: whose note is whose, texts cut to length, log entries in the webhook's form,
and what its file may say."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.config import load
from connectors.pagerduty import events
from connectors.pagerduty.normalize import normalize, ticket_of
from connectors.pagerduty.notes import Repair, fitted, settle
from connectors.pagerduty.settings import PagerDutySettings, PagerDutySubscription
from core.errors import Misconfigured
from core.intake.envelope import Ignored, InboundDelivery

MARKER = "[hub:rep_1]"
OURS = f"Verified. {MARKER}"
FILE = Path(__file__).parents[3] / "config" / "connectors" / "pagerduty.yaml"


def note(
    note_id: str, content: str = OURS, user: str = "PHUB", at: int = 0, edited: int = 0
) -> dict[str, Any]:
    made, changed = (f"2026-01-01T00:00:{second:02d}Z" for second in (at, at + edited))
    return {
        "id": note_id,
        "content": content,
        "user": {"id": user},
        "created_at": made,
        "updated_at": changed,
    }


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], Repair()),
        ([note("A", "something else")], Repair()),
        ([note("A")], Repair(keep="A")),
        ([note("B", at=2), note("A", at=1)], Repair(keep="A", delete=("B",))),
        ([note("B", f"> {OURS} really?", "PANN", 2), note("A", at=1)], Repair(keep="A")),
        ([note("B", OURS, "PANN", 2), note("A", at=1)], Repair(keep="A")),
        ([note("A", f"Old words {MARKER}")], Repair(keep="A", put=True)),
        ([note("A", f"Ann put it better {MARKER}", edited=5)], Repair(keep="A")),
        ([note("A", f"Somebody's {MARKER}", "PANN")], Repair(keep="A")),
        ([note("B"), note("A", user="PANN")], Repair(keep="B")),
        ([{"id": 7, "content": OURS}, {"id": "A", "content": None}, {}], Repair()),
    ],
    ids=[
        "none", "not ours", "ours", "a copy", "a quotation", "the same words of another", "other words", "edited since",
        "another author's", "ours before another's of the same second", "strange shapes",
    ],
)  # fmt: skip
def test_which_note_is_ours(notes: list[dict[str, Any]], expected: Repair) -> None:
    assert settle(notes, MARKER, OURS, {"PHUB"}) == expected


@given(st.text(max_size=400), st.integers(min_value=40, max_value=200), st.sampled_from(["", MARKER]))
def test_a_text_fits_and_keeps_its_tail(text: str, limit: int, tail: str) -> None:
    cut = fitted(text, limit, tail)
    assert len(cut) <= limit
    assert tail in cut
    if len(text) + len(tail) + 2 <= limit:
        assert cut.startswith(text)


@pytest.mark.parametrize(
    ("event_type", "status", "told"),
    [
        ("incident.triggered", "triggered", True),
        ("incident.triggered", "acknowledged", True),
        ("incident.triggered", "resolved", False),
        ("incident.resolved", "resolved", True),
        ("incident.resolved", "triggered", False),
        ("incident.annotated", "resolved", True),
        ("incident.custom_field_values.updated", "resolved", False),
    ],
)
def test_what_is_still_worth_telling(event_type: str, status: str, told: bool) -> None:
    assert events.worth_telling(event_type, {"status": status}) is told


def test_which_fields_changed() -> None:
    values = [
        {"id": "P1", "name": "human_check", "value": "requested"},
        {"id": "P2", "name": "region", "value": "EU"},
    ]
    named = events.fields_data({"id": "Q1"}, values, {"event_details": {"fields": "human_check"}})
    assert named["changed_custom_fields"] == [{"id": "P1", "name": "human_check", "value": None}]
    assert named["custom_fields"] == values
    unnamed = events.fields_data({"id": "Q1"}, values, {"summary": "Fields were changed"})
    assert [one["name"] for one in unnamed["changed_custom_fields"]] == ["human_check", "region"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"id": "QINCIDENT"}, "QINCIDENT"),
        ({"id": "PNOTE", "incident": {"id": "QINCIDENT"}}, "QINCIDENT"),
        ({"id": "../users"}, None),
        ({"id": "Q\n"}, None),
        ({"id": "Q" * 33}, None),
        ({"id": 7}, None),
        ({}, None),
    ],
)
def test_the_incident_of_an_event(data: dict[str, Any], expected: str | None) -> None:
    found = ticket_of({"resource_type": "incident"}, data)
    assert (found.id if found else None) == expected
    assert ticket_of({"resource_type": "service"}, data) is None


def settings(**changes: str) -> PagerDutySettings:
    text = FILE.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    found = load(text, FILE.name, {}).settings
    assert isinstance(found, PagerDutySettings)
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(
    data=JSON, event_type=st.sampled_from(["incident.triggered", "incident.annotated", "incident.resolved"])
)
def test_no_shape_raises(data: object, event_type: str) -> None:
    """The example's expressions may call a shape wrong (Misconfigured, kept as failed); nothing else comes out."""
    event = {"event_type": event_type, "resource_type": "incident", "data": data}
    body = msgspec.json.encode({"event": event})
    delivery = InboundDelivery(delivery_id="d", event_type=event_type, body=body, headers={}, verified_by=0)
    with suppress(Misconfigured):
        normalize(EXAMPLE, delivery, EXAMPLE.inbound.routes, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[" * 200_000, b'{"event":' * 200_000, b'{"event": {"data": {}}}', b"1" * 5_000, b"\x00"],
)
def test_what_is_no_event_is_ignored(body: bytes) -> None:
    delivery = InboundDelivery(delivery_id="d", event_type="t", body=body, headers={}, verified_by=0)
    found = normalize(EXAMPLE, delivery, EXAMPLE.inbound.routes, None)
    assert isinstance(found, Ignored)
    assert found.reason.startswith("malformed body")


EXAMPLE = settings()


def test_responders_need_the_hub_s_user() -> None:
    step = "verified:\n    - responders: {message: Please join, users: [PUSER1]}\n"
    text = (
        FILE.read_text()
        .replace("  user_id: PHUBBOT ", "  # no user_id")
        .replace("  verified:\n    - note: |\n        Verified", f"  {step}    - note: |\n        Verified")
    )
    with pytest.raises(Misconfigured) as caught:
        load(text, FILE.name, {})
    assert "auth.user_id" in str(caught.value.field_errors)


@pytest.mark.parametrize(
    "wrong", [{"filter": "service"}, {"filter": "account", "id": "P1"}, {"filter": "team"}]
)
def test_a_subscription_names_its_service_or_team(wrong: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, PagerDutySubscription)
