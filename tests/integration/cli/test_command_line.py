"""The command line itself, `hub check` and `hub migrate`: a mistake is one clear line with exit code 1 (refused) or 2
(configuration, or not a command)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub import __main__ as command_line
from tests.architecture.source import ROOT
from tests.integration.cli.conftest import Answer, Hub, succeed

# The command line itself


def test_it_says_what_it_can(bare: Hub) -> None:
    answer = bare("--help")
    assert answer.code == 0
    assert [word for word in command_line._COMMANDS if f"  {word} " not in answer.out] == []


@pytest.mark.parametrize("word", list(command_line._COMMANDS))
def test_every_command_says_what_it_does(bare: Hub, word: str) -> None:
    answer = bare(word, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: hub {word} ")


def test_an_unknown_command_is_exit_2(bare: Hub) -> None:
    answer = bare("key", "mint")
    assert (answer.code, answer.out) == (2, "")
    assert "No such command 'key'" in answer.err


def test_it_runs_as_a_module_from_another_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub", "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r".*, version \d+\.\d+\.\d+\n", done.stdout)


# check


def test_check_of_what_we_ship(bare: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_CONFIG_DIR", str(ROOT / "config"))
    types = len(list((ROOT / "config" / "task_types").glob("*.yaml")))
    connectors = len(list((ROOT / "config" / "connectors").glob("*.yaml")))
    quizzes = len(list((ROOT / "config" / "quizzes").glob("*.yaml")))
    answer = bare("check")
    assert answer.code == 0
    assert answer.lines == [
        f"{ROOT}/config: {types} task types, {quizzes} quizzes, {connectors} connectors, rails sandbox: fine"
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "routing.yaml",
            "late_percent: 40",
            "late_percent: 0",
            "Expected `int` >= 1 - at `$.sla.late_percent`",
        ),
        (
            "routing.yaml",
            "retry_seconds: 30",
            "retry_seconds: 0",
            "Expected `int` >= 1 - at `$.retry_seconds`",
        ),
        ("routing.yaml", "critical: 3}", "critical: 9}", "Expected `int` <= 4 - at `$.minimum_tier[...]`"),
        ("trust.yaml", "lower: 0.60", "lower: 0.7", "tiers[1].leave.lower: at most 0.65"),
        ("trust.yaml", "usual: 0.70", "usual: 7", "Expected `float` <= 1.0 - at `$.tiers[0].usual`"),
        ("quizzes/general.yaml", "needed: 5", "needed: 9", "needed: No more than draw, which is 6"),
        ("terms.md", "", None, "is missing or empty"),
    ],
)
def test_check_reads_what_is_about_people(
    bare: Hub, config_folder: Path, file: str, old: str, new: str | None, told: str
) -> None:
    path = config_folder / file
    text = path.read_text()
    assert old in text
    path.write_text("" if new is None else text.replace(old, new, 1))
    answer = bare("check")
    assert (answer.code, told in answer.err) == (2, True), answer.err


def test_check_warns_of_a_risk_that_no_tier_reaches(bare: Hub, config_folder: Path) -> None:
    path = config_folder / "trust.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  - name: expert")] + text[text.index("promotion_hours") :])
    answer = bare("check")
    assert answer.code == 0
    assert answer.err.startswith(
        "warning: routing.yaml: minimum_tier.critical: 3, but the highest tier of trust.yaml is 2"
    )


def test_check_warns_of_a_secret_that_is_not_there(bare: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGERDUTY_API_TOKEN")
    answer = bare("check")
    assert answer.code == 0
    assert (
        answer.err == "warning: pagerduty.yaml: env:PAGERDUTY_API_TOKEN is not set: this secret is disabled\n"
    )


def test_check_names_a_mistake_in_one_line(bare: Hub, config_folder: Path) -> None:
    file = config_folder / "hub.yaml"
    file.write_text(file.read_text().replace("port: 8000", "prot: 8000"))
    message = "server.prot: unknown key (did you mean `port`?); known here: host, port, public_url, client_ip_header"
    assert bare("check") == Answer(2, "", f"configuration: hub.yaml: {message}\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('top_up_rail: ""', "top_up_rail: lnd", "billing.top_up_rail: 'lnd' is not among the rails"),
        ("use: [sandbox]", "use: [sandbox, moon]", "rails.use: no rail ['moon']"),
        ("use: [sandbox]", "use: [lnd]", "rails.options.lnd."),
        ("top_up_least_sats: 1000", "top_up_least_sats: 99000000", "top_up_least_sats is above"),
    ],
)
def test_check_reads_what_is_about_money(
    bare: Hub, config_folder: Path, old: str, new: str, said: str
) -> None:
    file = config_folder / "hub.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    answer = bare("check")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_check_names_the_place_in_a_connector(bare: Hub, config_folder: Path) -> None:
    file = config_folder / "connectors" / "pagerduty.yaml"
    file.write_text(file.read_text().replace("region: us ", "region: uk "))
    answer = bare("check")
    assert (answer.code, answer.out) == (2, "")
    first, second = answer.err.splitlines()
    assert first.startswith("configuration: pagerduty.yaml:11: region: ")
    assert second.startswith("  region: ")


# migrate


def test_migrate_check_changes_nothing(bare: Hub) -> None:
    refused = Answer(1, "", "Error: the schema is not this version's; run `hub migrate`\n")
    assert bare("migrate", "--check") == refused
    assert bare("migrate", "--check") == refused
    assert succeed(bare("migrate")) == ["the schema is up to date"]
    assert succeed(bare("migrate", "--check")) == ["the schema is up to date"]
    assert succeed(bare("migrate")) == ["the schema is up to date"]


@pytest.mark.parametrize(
    "words", [["organisations", "list"], ["ledger", "check"], ["jobs", "dead"], ["inbound", "list"]]
)
def test_before_migrate_a_command_says_so_in_one_line(bare: Hub, words: list[str]) -> None:
    answer = bare(*words)
    assert answer.code in (1, 2)
    assert answer.out == ""
    assert "hub migrate" in answer.err
    assert answer.err.count("\n") == 1


def test_a_database_that_is_away_is_one_line(bare: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub:hunter2@127.0.0.1:1/hub")
    for words in (["organisations", "list"], ["migrate"]):
        answer = bare(*words)
        assert answer.code == 1
        assert answer.err.count("\n") == 1
        assert "hunter2" not in answer.err
