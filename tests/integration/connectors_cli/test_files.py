"""`hub connectors list`, `test`, `retire` and `revive`: files, and connectors whose file is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.intake import records
from core.intake.quarantine import keep
from tests.architecture.source import ROOT
from tests.integration.cli.conftest import Answer, Hub, succeed, table
from tests.integration.connectors_cli.conftest import NAME, InDatabase

HEADINGS = ["id", "connector", "organisation", "environment", "mode", "repairs", "quarantined", "dead"]
HEADINGS += ["reconciled to", "webhook address"]
ADDRESS = f"http://127.0.0.1:8000/hooks/in/{NAME}"


def test_connectors_are_listed_with_their_address(hub: Hub) -> None:
    heading, row = table(succeed(hub("connectors", "list")))
    assert heading == HEADINGS
    assert row == [NAME, "pagerduty", "demo", "test", "live", "0", "0", "0", "never", ADDRESS]


def test_what_waits_for_an_operator_is_counted(hub: Hub, in_database: InDatabase) -> None:
    in_database(
        lambda tx: keep(tx, NAME, headers={}, body=b"{}", path_token="", client_ip="", reason="No secret.")
    )
    _, row = table(succeed(hub("connectors", "list")))
    assert row[5:8] == ["1", "1", "0"]


def test_a_connector_without_a_file_is_listed_until_it_is_retired(
    hub: Hub, in_database: InDatabase, config_folder: Path
) -> None:
    in_database(lambda tx: records.register(tx, {NAME: "pagerduty", "old": "pagerduty"}))
    assert hub("connectors", "retire", NAME) == Answer(
        1,
        "",
        f"connector_in_use: config/connectors/pagerduty.yaml still configures {NAME}; take the file away first "
        "(or write `mode: off` into it to keep it)\n",
    )
    (config_folder / "connectors" / "pagerduty.yaml").unlink()
    rows = table(succeed(hub("connectors", "list")))[1:]
    assert [row[0] for row in rows] == [NAME, "old"]
    assert rows[1][-1] == "no file has this id: put it back, or run `hub connectors retire old`"
    assert succeed(hub("connectors", "retire", "old")) == ["retired old"]
    assert table(succeed(hub("connectors", "list")))[2][-1].startswith("retired on 20")
    assert succeed(hub("connectors", "revive", "old")) == ["revived old"]
    assert table(succeed(hub("connectors", "list")))[2][-1].startswith("no file has this id")


def test_a_name_that_never_was_is_one_line_with_what_there_is(hub: Hub) -> None:
    for words in (["retire", "demo-oncal"], ["revive", "demo-oncal"], ["resume", "demo-oncal"]):
        assert hub("connectors", *words) == Answer(
            1,
            "",
            "connector_not_found: No connector file ever had the id 'demo-oncal' (did you mean `demo-oncall`?); "
            "configured here: demo-oncall\n",
        )


def test_the_tests_inside_a_connector_file_pass(bare: Hub) -> None:
    for file in sorted((ROOT / "config" / "connectors").glob("*.yaml")):
        lines = succeed(bare("connectors", "test", str(file)))
        assert [line for line in lines if not line.startswith(("ok   ", "warn "))] == []
        assert len(lines) > 3


def test_routes_and_outcomes_without_a_test_are_named(bare: Hub, config_folder: Path) -> None:
    file = config_folder / "connectors" / "pagerduty.yaml"
    text = file.read_text()
    first = text.index("\ntests:")
    file.write_text(
        text[:first]
        + "\ntests:\n  - name: a ping\n    fixture: pagey_ping.json\n    expect: {ignored: true}\n"
    )
    lines = succeed(bare("connectors", "test", str(file)))
    assert lines[0] == "ok   a ping"
    assert (
        "warn route incident-over: no test expects it; add one with a fixture and `expect: {route: incident-over}`"
        in lines
    )
    assert "warn outbound.verified: no test; add one with `outcome: verified`" in lines


def test_a_failing_test_inside_a_connector_file_is_exit_1(bare: Hub, config_folder: Path) -> None:
    file = config_folder / "connectors" / "pagerduty.yaml"
    file.write_text(
        file.read_text().replace(
            "expect: {route: incident-over, action: cancel", "expect: {route: other, action: cancel"
        )
    )
    answer = bare("connectors", "test", str(file))
    assert (answer.code, answer.err) == (1, "")
    assert "FAIL a resolved incident cancels: route: expected 'other', got 'incident-over'" in answer.lines


def test_fixtures_may_lie_elsewhere(bare: Hub, config_folder: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(config_folder / "connectors" / "pagerduty.yaml", tmp_path / "mine.yaml"))
    assert "cannot be read" in bare("connectors", "test", str(file)).out
    fixtures = str(config_folder / "connectors" / "fixtures")
    assert bare("connectors", "test", str(file), "--fixtures", fixtures).code == 0


def test_a_connector_file_without_tests_is_exit_1(bare: Hub, config_folder: Path) -> None:
    file = config_folder / "connectors" / "pagerduty.yaml"
    text = file.read_text()
    file.write_text(text[: text.index("\ntests:")])
    assert bare("connectors", "test", str(file)) == Answer(1, f"{file}: has no tests: section\n", "")


def test_a_connector_file_that_is_not_there_is_exit_2(bare: Hub) -> None:
    answer = bare("connectors", "test", "nowhere.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert "nowhere.yaml" in answer.err
