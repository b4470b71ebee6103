"""The commands that talk to the vendor, end to end against the simulated account: set up, reconcile, context."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.pagerduty import FaultyPagerDuty
from tests.integration.cli.conftest import Hub, succeed, table
from tests.integration.connectors_cli.conftest import FIXTURES, NAME


def test_set_up_is_done_once(ready: Hub, vendor: FaultyPagerDuty) -> None:
    first = succeed(ready("connectors", "setup", NAME))
    assert len(vendor.world.subscriptions) == 1
    assert first[0].startswith("Subscription ")
    assert "is there already" in succeed(ready("connectors", "setup", NAME))[0]
    assert len(vendor.world.subscriptions) == 1


def test_a_look_brings_what_no_delivery_brought_and_only_once(ready: Hub, vendor: FaultyPagerDuty) -> None:
    incident = vendor.world.trigger("Checkout is slow")["id"]
    first = succeed(ready("connectors", "reconcile", NAME, "--since", "30m"))
    assert first[-1] == f"{NAME}: 1 change that no delivery had brought"
    event = first[0].split("  ")
    assert event[1] == "incident.triggered"
    assert event[2].startswith(f"recon:{incident}:")
    again = succeed(ready("connectors", "reconcile", NAME, "--since", "30m"))
    assert again == [f"{NAME}: no changes that no delivery had brought"]
    assert table(succeed(ready("connectors", "list")))[1][8] == "never"  # a look back leaves the mark alone
    succeed(ready("connectors", "reconcile", NAME))
    assert table(succeed(ready("connectors", "list")))[1][8].startswith("20")
    read = succeed(ready("connectors", "replay", event[0], "--dry-run"))
    assert "reading   route urgent-incident: task" in read
    assert f"ticket    {incident}" in read


def test_a_dry_run_reads_the_context_that_the_route_wants(
    ready: Hub, vendor: FaultyPagerDuty, tmp_path: Path
) -> None:
    incident = vendor.world.trigger("Checkout is slow")["id"]
    body = (FIXTURES / "incident_annotated.json").read_text().replace("Q3B15VLMF3ASBD", incident)
    file = tmp_path / "annotated.json"
    file.write_text(body)
    notes = len(vendor.world.notes[incident])
    lines = succeed(ready("connectors", "replay", str(file), "--connector", NAME, "--dry-run"))
    assert "fetched   incident from the vendor, because the route wants it" in lines
    begin, end = lines.index("{"), lines.index("}")
    task = json.loads("\n".join(lines[begin : end + 1]))
    assert task["payload"]["title"] == "Checkout is slow"
    assert len(vendor.world.notes[incident]) == notes
    assert {method for method, _, _ in vendor.world.requests} == {"GET"}


def test_a_vendor_that_is_away_is_one_line(ready: Hub) -> None:
    answer = ready("connectors", "reconcile", NAME)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1


def test_a_refused_token_says_where_to_get_one(ready: Hub, vendor: FaultyPagerDuty) -> None:
    vendor.world.token = "another"
    answer = ready("connectors", "reconcile", NAME)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("configuration: ")
