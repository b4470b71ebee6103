"""`hub connectors doctor`, `setup` and `reconcile` against a simulated account."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.config import load
from core.repairs.actions import Kind, needed
from hub.connector_desk.file_checks import public_address
from tests.fakes.pagerduty import FaultyPagerDuty
from tests.integration.cli.conftest import Answer, Hub, succeed, table
from tests.integration.connectors_cli.conftest import NAME, InDatabase


def fix_of(answer: Answer, name: str) -> str:
    """The line under a check."""
    [at] = [n for n, line in enumerate(answer.lines) if line[6:].startswith(f"{name} ")]
    return answer.lines[at + 1].strip()


def marks(answer: Answer) -> dict[str, str]:
    """name of a check -> its mark."""
    lines = [line for line in answer.lines[:-1] if not line.startswith(" ")]
    return {line[6:].split("  ")[0].strip(): line[:4].strip() for line in lines}


def test_what_is_ours_is_fine(ready: Hub, vendor: FaultyPagerDuty) -> None:
    answer = ready("connectors", "doctor", NAME)
    told = marks(answer)
    assert {name: told[name] for name in ("file", "tests in the file", "organisation", "hub clock")} == {
        "file": "ok",
        "tests in the file": "ok",
        "organisation": "ok",
        "hub clock": "ok",
    }
    assert told["secret auth.api_token"] == "ok"
    assert told["public address"] == "??"  # a loopback address, in an environment of test
    assert told["quarantine"] == told["dead letters"] == told["repair items"] == "ok"
    assert answer.lines[-1].startswith(f"{NAME}: ")
    assert vendor.world.requests  # the vendor was asked too


def test_each_failure_says_its_fix(
    hub: Hub,
    vendor: FaultyPagerDuty,
    in_database: InDatabase,
    config_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PAGERDUTY_API_TOKEN")
    in_database(
        lambda tx: needed(tx, f"connector:{NAME}", Kind.CREDENTIALS, "PagerDuty refuses the token (2006).")
    )
    file = config_folder / "connectors" / "pagerduty.yaml"
    text = file.read_text().replace("type: incident_triage", "type: incident_triag")
    file.write_text(text.replace("expect: {route: incident-over", "expect: {route: other"))
    answer = hub("connectors", "doctor", NAME)
    assert answer.code == 1
    told = marks(answer)
    assert told["organisation"] == "FAIL"
    assert fix_of(answer, "organisation").startswith("-> Run `hub organisations create demo`")
    assert told["secret auth.api_token"] == "FAIL"
    assert fix_of(answer, "secret auth.api_token") == "-> Set env:PAGERDUTY_API_TOKEN, then restart."
    assert told["repair item credentials"] == "FAIL"
    assert (
        fix_of(answer, "repair item credentials") == f"-> When it is mended: `hub connectors resume {NAME}`."
    )
    route = next(name for name in told if name.startswith("route "))
    assert told[route] == "FAIL"
    assert "add config/task_types/incident_triag.yaml" in fix_of(answer, route)
    assert told["tests in the file"] == "FAIL"
    assert fix_of(answer, "tests in the file").startswith("-> Run `hub connectors test ")


def test_a_token_that_the_vendor_refuses_is_a_failure(
    ready: Hub, vendor: FaultyPagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGERDUTY_API_TOKEN", "wrong")
    answer = ready("connectors", "doctor", NAME)
    assert answer.code == 1
    assert marks(answer)["secret auth.api_token"] == "ok"
    assert "FAIL" in marks(answer).values()


@pytest.mark.parametrize(
    ("environment", "public_url", "ok"),
    [
        ("live", "https://hub.example.org", True),
        ("live", "http://hub.example.org", False),
        ("live", "https://127.0.0.1:8000", False),
        ("test", "http://127.0.0.1:8000", None),
    ],
)
def test_a_live_connector_needs_an_https_address(environment: str, public_url: str, ok: bool | None) -> None:
    text = Path(__file__).with_name("pagerduty.yaml").read_text()
    text = text.replace("environment: test", f"environment: {environment}")
    text = text.replace("test_base_url: http://127.0.0.1:8790\n", "")
    check = public_address(load(text, "pagerduty.yaml", {}).settings, public_url)
    assert check.ok is ok
    assert bool(check.fix) is (ok is not True)
    assert f"{public_url}/hooks/in/{NAME}" in check.said


def test_resume_closes_what_is_open(ready: Hub, in_database: InDatabase) -> None:
    in_database(lambda tx: needed(tx, f"connector:{NAME}", Kind.CREDENTIALS, "refused"))
    assert succeed(ready("connectors", "resume", NAME)) == [f"resumed {NAME}: 1 repair item closed"]
    assert table(succeed(ready("connectors", "list")))[1][5] == "0"


def test_an_unknown_name_is_one_line(hub: Hub) -> None:
    for words in (["doctor", "nobody"], ["reconcile", "nobody"], ["setup", "nobody"]):
        assert hub("connectors", *words) == Answer(
            1,
            "",
            "connector_not_found: No connector file has the id 'nobody'; configured here: demo-oncall\n",
        )


def test_a_duration_is_a_number_and_a_letter(hub: Hub) -> None:
    answer = hub("connectors", "reconcile", NAME, "--since", "half an hour")
    assert (answer.code, answer.out) == (2, "")
    assert "write a number and s, m, h or d, such as 30m" in answer.err


def test_without_credentials_nothing_is_reconciled(ready: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGERDUTY_API_TOKEN")
    answer = ready("connectors", "reconcile", NAME)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(
        "configuration: pagerduty.yaml: the API credentials of demo-oncall are empty"
    )
