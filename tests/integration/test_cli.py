"""The command line as an operator types it, on a data folder of its own: what each command answers, and that a mistake is
one clear line with exit code 1 (refused) or 2 (configuration, or not a command)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from hub import __main__ as command_line
from tests.architecture.source import ROOT

UUID = r"[0-9a-f]{32}"


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Hub = Callable[..., Answer]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hub:
    """`hub WORDS` in this process, through the console script's own entry, before any `hub migrate`."""
    for name in ("HUB_DATABASE_URL", "HUB_REDIS_URL", "HUB_PUBLIC_URL", "HUB_SECRET_KEYS", "HUB_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_CONFIG_DIR", str(ROOT / "config"))
    monkeypatch.setenv("PAGERDUTY_API_TOKEN", "token")
    monkeypatch.setenv("PAGERDUTY_WEBHOOK_SECRET", "secret")

    def hub(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hub", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int | None)
        return Answer(code or 0, captured.out, captured.err)

    return hub


@pytest.fixture
def hub(bare: Hub) -> Hub:
    assert bare("migrate") == Answer(0, "the schema is up to date\n", "")
    return bare


def succeed(answer: Answer) -> list[str]:
    assert (answer.code, answer.err) == (0, "")
    return answer.lines


def table(lines: list[str]) -> list[list[str]]:
    return [re.split(r"\s{2,}", line) for line in lines]


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


def test_check_of_what_we_ship(bare: Hub) -> None:
    types = len(list((ROOT / "config" / "task_types").glob("*.yaml")))
    [line] = succeed(bare("check"))
    assert line == f"{ROOT}/config: {types} task types, 1 connectors, rails sandbox: fine"


def test_check_warns_of_a_secret_that_is_not_there(bare: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGERDUTY_API_TOKEN")
    answer = bare("check")
    assert answer.code == 0
    assert (
        answer.err == "warning: pagerduty.yaml: env:PAGERDUTY_API_TOKEN is not set: this secret is disabled\n"
    )


def test_check_names_a_mistake_in_one_line(
    bare: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(ROOT / "config", tmp_path / "config"))
    monkeypatch.setenv("HUB_CONFIG_DIR", str(folder))
    file = folder / "hub.yaml"
    file.write_text(file.read_text().replace("port: 8000", "prot: 8000"))
    message = "server.prot: unknown key (did you mean `port`?); known here: host, port, public_url"
    assert bare("check") == Answer(2, "", f"configuration: hub.yaml: {message}\n")


def test_check_names_the_place_in_a_connector(
    bare: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(ROOT / "config", tmp_path / "config"))
    monkeypatch.setenv("HUB_CONFIG_DIR", str(folder))
    file = folder / "connectors" / "pagerduty.yaml"
    file.write_text(file.read_text().replace("region: us ", "region: uk "))
    answer = bare("check")
    assert (answer.code, answer.out) == (2, "")
    first, second = answer.err.splitlines()
    assert first.startswith("configuration: pagerduty.yaml: region: ")
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


# organisations, keys


def test_an_organisation_with_its_key(hub: Hub) -> None:
    identity, secret = succeed(hub("organisations", "create", "acme"))
    assert re.fullmatch(f"org_{UUID}", identity)
    assert re.fullmatch(r"webhook secret: whsec_\S{20,}", secret)
    heading, row = table(succeed(hub("organisations", "list")))
    assert heading == ["name", "id", "plan", "live sats", "test sats"]
    assert row[:4] == ["acme", identity, "pay_as_you_go", "0"]
    assert int(row[4]) > 0  # the grant of test money
    [test_key] = succeed(hub("keys", "mint", "acme"))
    [live_key] = succeed(hub("keys", "mint", "acme", "--environment", "live", "--name", "agent"))
    assert re.fullmatch(r"ek_test_\S{20,}", test_key)
    assert re.fullmatch(r"ek_live_\S{20,}", live_key)


def test_keys_are_listed_without_themselves_and_revoked(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    [key] = succeed(hub("keys", "mint", "acme", "--name", "agent"))
    heading, row = table(succeed(hub("keys", "list", "acme")))
    assert heading[:4] == ["id", "key", "environment", "name"]
    assert row[2:4] == ["test", "agent"]
    assert key not in " ".join(row)
    assert succeed(hub("keys", "revoke", row[0])) == [f"revoked {row[0]}"]
    assert table(succeed(hub("keys", "list", "acme")))[1][-1] == "revoked"


def test_a_credit_is_booked_once_for_one_reference(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    for _ in range(2):
        lines = succeed(hub("organisations", "credit", "acme", "5000", "--reference", "invoice 1"))
        assert lines == ["credited 5000 sats to acme (live)"]
    assert table(succeed(hub("organisations", "list")))[1][3] == "5000"
    assert succeed(hub("ledger", "check")) == ["the books balance"]


@pytest.mark.parametrize("sats", ["0", "1.5", "NaN", "many", "1e-3"])
def test_a_credit_is_a_whole_number_of_satoshis(hub: Hub, sats: str) -> None:
    succeed(hub("organisations", "create", "acme"))
    answer = hub("organisations", "credit", "acme", sats, "--reference", "1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("bad_amount: ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["keys", "mint", "nobody"],
            "organisation_not_found: There is no organisation 'nobody'; see `hub organisations list`",
        ),
        (
            ["keys", "list", "nobody"],
            "organisation_not_found: There is no organisation 'nobody'; see `hub organisations list`",
        ),
        (
            ["people", "link", "nobody@example.org"],
            "person_not_found: Nobody has the address nobody@example.org",
        ),
        (["jobs", "redrive", "job_1"], "job_not_dead: No dead job job_1"),
        (["inbound", "replay", "inb_1"], "inbound_event_not_found: No inbound delivery inb_1"),
        (["task", "cancel", "tsk_1"], "task_not_found: There is no task tsk_1"),
    ],
)
def test_what_is_not_there_is_one_line(hub: Hub, words: list[str], error: str) -> None:
    assert hub(*words) == Answer(1, "", f"{error}\n")


def test_the_trail_of_a_task_that_is_not_there(hub: Hub) -> None:
    answer = hub("task", "show", "tsk_1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1


def test_an_organisation_exists_once(hub: Hub) -> None:
    succeed(hub("organisations", "create", "acme"))
    answer = hub("organisations", "create", "acme")
    assert answer == Answer(1, "", "organisation_exists: An organisation of this name exists\n")
    assert len(succeed(hub("organisations", "list"))) == 2


def test_a_plan_that_is_not_there_makes_no_organisation(hub: Hub) -> None:
    answer = hub("organisations", "create", "acme", "--plan", "gold")
    assert answer == Answer(2, "", "configuration: config/plans.yaml has no plan 'gold'\n")
    assert len(succeed(hub("organisations", "list"))) == 1


# people


def test_a_worker_with_a_sign_in_link(hub: Hub) -> None:
    words = ["--name", "Ana", "--skill", "general", "--skill", "incident_triage", "--environment", "test"]
    [link] = succeed(hub("people", "add-worker", "ana@example.org", *words, "--address", "ana@sandbox.test"))
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/sign-in/\S{20,}", link)
    [second] = succeed(hub("people", "link", "ANA@example.org"))
    assert second.startswith("http://127.0.0.1:8000/sign-in/")
    assert second != link


def test_an_operator_with_a_sign_in_link(hub: Hub) -> None:
    [link] = succeed(hub("people", "add-operator", "op@example.org", "--name", "Op"))
    assert link.startswith("http://127.0.0.1:8000/sign-in/")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["add-operator", "not an address", "--name", "Op"], "email"),
        (["add-worker", "ana@example.org", "--name", "Ana", "--skill", "no spaces"], "bad_skills"),
        (["add-worker", "ana@example.org", "--name", "Ana", "--tier", "99"], "bad_worker"),
        (["add-worker", "ana@example.org", "--name", "Ana", "--address", "no address"], "bad_payout_address"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(hub: Hub, words: list[str], code: str) -> None:
    answer = hub("people", *words)
    assert (answer.code, answer.out) == (1, "")
    first, *fields = answer.err.splitlines()
    assert first.startswith(f"{code}: ")
    assert fields
    assert all(re.match(r"  \w+: ", line) for line in fields)


def test_a_refused_worker_leaves_no_person(hub: Hub) -> None:
    hub("people", "add-worker", "ana@example.org", "--name", "Ana", "--tier", "99")
    assert hub("people", "link", "ana@example.org").code == 1


# ledger, jobs, inbound


def test_the_books_of_a_new_organisation(hub: Hub) -> None:
    [identity, _] = succeed(hub("organisations", "create", "acme"))
    assert succeed(hub("ledger", "check")) == ["the books balance"]
    rows = table(succeed(hub("ledger", "balances")))
    assert rows[0] == ["account", "debits", "credits", "credits - debits"]
    balances = {row[0]: int(row[3]) for row in rows[1:]}
    assert sum(balances.values()) == 0
    assert balances[f"{identity}:test:prefund"] > 0


def test_lists_of_a_new_hub_are_empty_with_headings(hub: Hub) -> None:
    assert succeed(hub("jobs", "dead")) == ["id  topic  subject  attempts  last error"]
    assert succeed(hub("inbound", "list")) == ["id  connector  event  received  reason"]


# connectors


def test_connectors_are_listed_with_their_address(bare: Hub) -> None:
    heading, row = table(succeed(bare("connectors", "list")))
    assert heading == ["id", "connector", "organisation", "environment", "mode", "webhook address"]
    assert row == [
        "demo-oncall",
        "pagerduty",
        "demo",
        "test",
        "live",
        "http://127.0.0.1:8000/hooks/in/demo-oncall",
    ]


def test_the_tests_inside_a_connector_file_pass(bare: Hub) -> None:
    lines = succeed(bare("connectors", "test", str(ROOT / "config" / "connectors" / "pagerduty.yaml")))
    assert len(lines) == 6
    assert all(line.startswith("ok   ") for line in lines)


def test_a_failing_test_inside_a_connector_file_is_exit_1(bare: Hub, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "config" / "connectors", tmp_path / "connectors"))
    file = folder / "pagerduty.yaml"
    file.write_text(
        file.read_text().replace(
            "expect: {route: incident-over, action: cancel", "expect: {route: other, action: cancel"
        )
    )
    answer = bare("connectors", "test", str(file))
    assert (answer.code, answer.err) == (1, "")
    assert answer.lines[2] == "FAIL a resolved incident cancels: route: expected 'other', got 'incident-over'"


def test_a_connector_file_without_tests_is_exit_1(bare: Hub, tmp_path: Path) -> None:
    text = (ROOT / "config" / "connectors" / "pagerduty.yaml").read_text()
    file = tmp_path / "pagerduty.yaml"
    file.write_text(text[: text.index("\ntests:")])
    assert bare("connectors", "test", str(file)) == Answer(1, f"{file}: has no tests: section\n", "")


def test_a_connector_file_that_is_not_there_is_exit_2(bare: Hub) -> None:
    answer = bare("connectors", "test", "nowhere.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert "nowhere.yaml" in answer.err
