"""Whose change a Salesforce message tells about, when the record that is read again was last changed by ourselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.config import load
from connectors.salesforce.normalize import normalize
from connectors.salesforce.settings import SalesforceSettings
from core.intake.envelope import Escalation, Ignored, InboundDelivery, Reading, Wanted
from tests.contract.connectors.salesforce.kit import CASE
from tests.contract.connectors.suite import SECRETS

CONTRACT = Path(__file__).parents[2] / "contract" / "connectors" / "salesforce"
PERSON, BOT = "0055g00000PerSoAAJ", "0055g00000HubBoAAJ"


def settings() -> SalesforceSettings:
    found = load((CONTRACT / "config.yaml").read_text(), "config.yaml", SECRETS).settings
    assert isinstance(found, SalesforceSettings)
    return found


def message(author: str | None) -> InboundDelivery:
    body = msgspec.json.decode((CONTRACT / "fixtures" / "om_escalated.json").read_bytes())
    del body["fields"]["LastModifiedById"]
    if author is not None:
        body["fields"]["LastModifiedById"] = author
    return InboundDelivery(
        delivery_id="m1",
        event_type="record.updated",
        body=msgspec.json.encode(body),
        headers={},
        verified_by=0,
    )


def reading(author: str | None, refetched: str, **record: Any) -> Reading:
    ours = settings()
    asked = normalize(ours, message(author), ours.inbound.routes)
    if not isinstance(asked, Wanted):
        return asked
    context = {"record": {**CASE, "LastModifiedById": refetched, **record}, "comments": []}
    return normalize(ours, message(author), ours.inbound.routes, context)


@pytest.mark.parametrize("author", [PERSON, PERSON[:15]])
def test_a_person_who_escalated_before_our_write_is_heard(author: str) -> None:
    found = reading(author, BOT, Subject="As it is now")
    assert isinstance(found, Escalation)
    assert (found.task["title"], found.origin.revision) == ("As it is now", 1_795_428_005_000)


@pytest.mark.parametrize("author", [BOT, BOT[:15]])
def test_our_own_write_is_not_even_read_again(author: str) -> None:
    ours = settings()
    found = normalize(ours, message(author), ours.inbound.routes)
    assert isinstance(found, Ignored)
    assert found.reason == f"changed by {author}, which loop_guard ignores"


def test_our_own_write_stays_ours_when_a_person_changed_the_record_since() -> None:
    assert reading(BOT, PERSON) == Ignored(reason=f"changed by {BOT}, which loop_guard ignores")


def test_without_an_author_in_the_message_the_last_one_counts() -> None:
    assert reading(None, BOT) == Ignored(reason=f"changed by {BOT}, which loop_guard ignores")
    assert isinstance(reading(None, PERSON), Escalation)


def test_our_marker_in_the_record_is_ours_whoever_the_message_names() -> None:
    assert reading(PERSON, PERSON, Description="x [hub:rep_1]") == Ignored(reason="carries our own marker")
