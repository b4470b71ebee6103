"""`hub connectors deadletters`, `redrive` and `quarantine` as they are typed; what they do on both databases is in
test_desk.py."""

from __future__ import annotations

import pytest

from connectors.signatures import hmac_hex
from core.db.unit_of_work import Transaction
from core.intake.quarantine import keep
from core.secret import Secret
from tests.integration.cli.conftest import Answer, Hub, succeed, table
from tests.integration.connectors_cli.conftest import FIXTURES, NAME, InDatabase, an_event

BODY = (FIXTURES / "incident_escalated.json").read_bytes()


def quarantined(secret: str, body: bytes = BODY) -> dict[str, object]:
    """What PagerDuty would have sent with that secret, as it lies in quarantine."""
    return {
        "headers": {"x-pagerduty-signature": f"v1={hmac_hex(Secret(secret), body)}"},
        "body": body,
        "path_token": "",
        "client_ip": "192.0.2.7",
        "reason": "No configured secret matches for X-PagerDuty-Signature.",
    }


async def hold(tx: Transaction, *secrets: str) -> None:
    for secret in secrets:
        await keep(tx, NAME, **quarantined(secret))  # type: ignore[arg-type] - a dict of its arguments


def test_what_failed_is_listed_and_brought_back(hub: Hub, in_database: InDatabase) -> None:
    event = in_database(
        lambda tx: an_event(tx, "incident_escalated.json", "failed", "route x: no \x1b[2J price")
    )
    heading, row = table(succeed(hub("connectors", "deadletters")))
    assert heading == ["id", "connector", "state", "what", "at", "reason"]
    assert row[:4] == [event, NAME, "failed", "incident.escalated incident_escalated.json"]
    assert row[5] == "route x: no ·[2J price"
    assert len(succeed(hub("connectors", "deadletters", NAME))) == 2
    assert succeed(hub("connectors", "redrive", event)) == [f"redriven {event}"]
    assert len(succeed(hub("connectors", "deadletters"))) == 1


def test_what_cannot_be_brought_back_says_so(hub: Hub) -> None:
    assert hub("connectors", "redrive", "rep_1") == Answer(1, "", "reply_not_found: No reply rep_1\n")
    assert hub("connectors", "redrive", "inb_1").err.startswith("inbound_event_not_found: ")
    assert hub("connectors", "redrive", "job_1").err.startswith("dead_letter_not_found: 'job_1' is neither")
    assert hub("connectors", "deadletters", "nobody").err.startswith("connector_not_found: ")


def test_quarantine_is_listed_shown_and_forgotten(hub: Hub, in_database: InDatabase) -> None:
    in_database(lambda tx: hold(tx, "stranger"))
    heading, row = table(succeed(hub("connectors", "quarantine", NAME)))
    assert heading == ["id", "connector", "received", "from", "bytes", "reason"]
    assert (row[1], row[3], row[4]) == (NAME, "192.0.2.7", str(len(BODY)))
    shown = succeed(hub("connectors", "quarantine", "--show", row[0]))
    assert shown[0].startswith(f"{row[0]} for {NAME}, ")
    assert any(line.startswith("x-pagerduty-signature: v1=") for line in shown)
    assert "Checkout API High Latency" in shown[-1]
    assert succeed(hub("connectors", "quarantine", "--forget", row[0])) == [f"forgotten {row[0]}"]
    assert len(succeed(hub("connectors", "quarantine"))) == 1
    assert table(succeed(hub("connectors", "list")))[1][5] == "0"  # the alarm ended with the last one
    again = hub("connectors", "quarantine", "--forget", row[0])
    assert (again.code, again.err.split(":")[0]) == (1, "quarantined_not_found")


def test_release_takes_in_what_the_mended_secret_verifies(
    hub: Hub, in_database: InDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_database(lambda tx: hold(tx, "rotated", "forged"))
    before = hub("connectors", "quarantine", NAME, "--release")
    assert (before.code, before.lines[-1]) == (1, "0 released, 2 kept")
    monkeypatch.setenv("PAGERDUTY_WEBHOOK_SECRET", "rotated")
    after = hub("connectors", "quarantine", NAME, "--release")
    assert (after.code, after.lines[-1]) == (1, "1 released, 1 kept")
    assert after.lines[0].endswith(f"{NAME}  released, 1 new")
    assert "No configured secret matches" in after.lines[1]
    assert table(succeed(hub("inbound", "list", "--state", "received")))[1][1] == NAME


def test_quarantine_does_one_thing_at_a_time(hub: Hub) -> None:
    answer = hub("connectors", "quarantine", "--release", "--forget", "qua_1")
    assert (answer.code, answer.out) == (2, "")
    assert "exclude each other" in answer.err
