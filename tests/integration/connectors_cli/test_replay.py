"""`hub connectors replay`: what a dry run shows, that it writes nothing, and reading again for good."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from core.db.unit_of_work import Transaction
from core.intake.tables import InboundEvent
from core.outbox.tables import OutboxRow
from core.tasks.states import TaskStatus
from tests.factories_routing import a_task
from tests.fakes.pagerduty import FaultyPagerDuty
from tests.integration.cli.conftest import Answer, Hub, succeed
from tests.integration.connectors_cli.conftest import FIXTURES, NAME, InDatabase, an_event

ESCALATED = str(FIXTURES / "incident_escalated.json")
TICKET = "Q3B15VLMF3ASBD"
DRY = ["--connector", NAME, "--dry-run"]


def value_of(lines: list[str], name: str) -> str:
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return line[len(name) :].strip()


def task_of(lines: list[str]) -> dict[str, Any]:
    begin, end = lines.index("{"), lines.index("}")
    return json.loads("\n".join(lines[begin : end + 1]))


async def counts(tx: Transaction) -> dict[str, int]:
    """Rows of every table."""
    names = await tx.session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
    return {
        name: await tx.session.scalar(select(func.count()).select_from(text(name))) or 0 for name in names
    }


def test_a_dry_run_shows_the_task_and_each_request(ready: Hub, vendor: FaultyPagerDuty) -> None:
    lines = succeed(ready("connectors", "replay", ESCALATED, *DRY))
    assert value_of(lines, "reading") == "route urgent-incident: task"
    assert value_of(lines, "ticket") == value_of(lines, "key") == TICKET
    assert value_of(lines, "redacted") == "[email 1] (15 characters)"
    assert value_of(lines, "task") == "would be made:"
    task = task_of(lines)
    assert task["payload"] == {"title": "Critical: Checkout API High Latency", "reporter": "[email 1]"}
    assert (task["task_type"], task["risk_tier"]) == ("incident_triage", "high")
    at = lines.index("--- verified.0 note (an example)")
    assert lines[at + 1] == f"POST {vendor.url}/incidents/{TICKET}/notes"
    body = lines[lines.index("", at) - 1]
    assert json.loads(body)["note"]["content"].startswith("Verified by 1: ")
    assert "[hub:rep_" in body
    assert "--- expired.0 note (an example)" in lines
    assert not any(line.startswith("--- failed") for line in lines)  # the file wants nothing then
    assert vendor.world.requests == []


def test_a_dry_run_writes_nothing(ready: Hub, in_database: InDatabase) -> None:
    event = in_database(lambda tx: an_event(tx, "incident_escalated.json"))
    before = in_database(counts)
    assert value_of(succeed(ready("connectors", "replay", event, "--dry-run")), "ticket") == TICKET
    assert in_database(counts) == before


def test_nothing_that_hides_in_the_output_is_a_credential(ready: Hub) -> None:
    out = ready("connectors", "replay", ESCALATED, *DRY).out
    assert "authorization" not in out.lower()
    assert "token=" not in out


def test_the_difference_to_what_was_made(ready: Hub, in_database: InDatabase) -> None:
    async def made(tx: Transaction) -> str:
        organisation = await tx.session.scalar(text("SELECT id FROM organisations"))
        return await a_task(
            tx,
            organisation,
            task_type="incident_triage",
            connector=NAME,
            ticket_id=TICKET,
            escalation_key=TICKET,
            payload={"title": "Another title", "reporter": "[email 1]"},
            risk_tier="high",
            status=str(TaskStatus.VERIFIED),
            output={"summary": "it was the cache"},
        )

    task_id = in_database(made)
    lines = succeed(ready("connectors", "replay", ESCALATED, *DRY, "--diff"))
    assert value_of(lines, "task").startswith(f"exists already: {task_id} (verified)")
    at = lines.index("--- verified.0 note (the task's answer)")
    assert "Verified by 1: it was the cache" in lines[lines.index("", at) - 1]
    assert '-    "title": "Another title",' in lines
    assert '+    "title": "Critical: Checkout API High Latency",' in lines
    assert f"--- task {task_id}" in lines


def test_another_file_is_tried_without_being_installed(
    ready: Hub, in_database: InDatabase, tmp_path: Path
) -> None:
    event = in_database(lambda tx: an_event(tx, "incident_escalated.json", "failed", "route x: broken"))
    file = Path(shutil.copy(Path(__file__).with_name("pagerduty.yaml"), tmp_path / "new.yaml"))
    file.write_text(file.read_text().replace("risk_tier: \"'high'\"", "risk_tier: \"'critical'\""))
    lines = succeed(ready("connectors", "replay", event, "--dry-run", "--config", str(file)))
    assert value_of(lines, "event") == f"{event} incident.escalated of {NAME}, failed"
    assert value_of(lines, "file") == f"new.yaml (connector {NAME})"
    assert task_of(lines)["risk_tier"] == "critical"
    file.write_text(file.read_text().replace(f"id: {NAME}", "id: other"))
    answer = ready("connectors", "replay", event, "--dry-run", "--config", str(file))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("other_connector: new.yaml is of connector other")


def test_context_is_asked_of_the_vendor_unless_it_is_forbidden(ready: Hub, vendor: FaultyPagerDuty) -> None:
    annotated = str(FIXTURES / "incident_annotated.json")
    refused = ready("connectors", "replay", annotated, *DRY, "--offline")
    assert refused == Answer(
        1,
        "",
        f"context_wanted: Route ask wants incident of ticket {TICKET}, which only the vendor can tell; "
        "leave --offline out\n",
    )
    assert vendor.world.requests == []
    gone = ready("connectors", "replay", annotated, *DRY)
    assert (gone.code, gone.out) == (1, "")
    assert vendor.world.requests != []


def test_a_delivery_that_asks_nothing(ready: Hub) -> None:
    lines = succeed(ready("connectors", "replay", str(FIXTURES / "pagey_ping.json"), *DRY))
    assert value_of(lines, "reading").startswith("ignored: ")
    lines = succeed(ready("connectors", "replay", str(FIXTURES / "incident_resolved.json"), *DRY, "--diff"))
    assert value_of(lines, "cancels") == "nothing: the ticket has no open task"
    assert value_of(lines, "diff") == "there is no task to compare with"


def test_a_template_that_fails_is_exit_1(ready: Hub, config_folder: Path) -> None:
    file = config_folder / "connectors" / "pagerduty.yaml"
    file.write_text(file.read_text().replace("result.output.summary", "result.output.verdict.text"))
    answer = ready("connectors", "replay", ESCALATED, *DRY)
    assert (answer.code, answer.err) == (1, "")
    assert value_of(answer.lines, "REFUSED").startswith("outbound.verified[0].note")


def test_for_good(ready: Hub, in_database: InDatabase) -> None:
    event = in_database(lambda tx: an_event(tx, "incident_escalated.json", "failed", "route x: broken"))
    assert succeed(ready("connectors", "replay", event)) == [f"replaying {event}"]

    async def after(tx: Transaction) -> tuple[str, list[dict[str, Any]]]:
        row = await tx.session.get_one(InboundEvent, event)
        jobs = await tx.session.scalars(select(OutboxRow).where(OutboxRow.subject == event))
        return row.state, [job.body for job in jobs if job.body]

    assert in_database(after) == ("received", [{"replayed": True}])


def test_what_cannot_be_replayed_says_why(ready: Hub) -> None:
    missing = ready("connectors", "replay", "inb_1", "--dry-run")
    assert missing == Answer(
        1, "", "inbound_event_not_found: No inbound delivery inb_1; see `hub inbound list`\n"
    )
    assert ready("connectors", "replay", ESCALATED).code == 2
    assert ready("connectors", "replay", "inb_1", "--diff").code == 2
    which = ready("connectors", "replay", ESCALATED, "--dry-run")
    assert which == Answer(
        1, "", "which_connector: Say which connector the file was sent to: --connector NAME\n"
    )
    nothing = ready("connectors", "replay", "nowhere.json", *DRY)
    assert nothing.code == 1
    assert nothing.err.startswith(
        "no_such_event: nowhere.json is neither an inbound event (inb_…) nor a file"
    )
