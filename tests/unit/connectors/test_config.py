"""A connector file as an operator meets it: what loads, and that every mistake names file, path and fix."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.config import ConnectorConfig, load
from connectors.file_tests import run_tests
from connectors.outbound import actions
from connectors.pagerduty.settings import PagerDutySettings
from connectors.registry import connector
from core.errors import Misconfigured

ENVIRON = {"TOKEN": "t", "A": "a", "B": "b"}


def document(**changes: Any) -> dict[str, Any]:
    """A small good file; `a__b=value` changes a.b, None takes it away."""
    base: dict[str, Any] = {
        "version": 1,
        "connector": "pagerduty",
        "id": "acme",
        "organisation": "acme",
        "environment": "test",
        "mode": "live",
        "auth": {"api_token": "env:TOKEN", "from": "bot@acme.example", "webhook_secrets": ["env:A"]},
        "inbound": {
            "topics": ["incident.triggered"],
            "routes": [
                {
                    "name": "all",
                    "when": "`true`",
                    "task": {"type": "question", "payload": {"q": "data.title"}},
                }
            ],
        },
    }
    for path, value in changes.items():
        *outer, last = path.split("__")
        place = base
        for step in outer:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return base


def loaded(environ: dict[str, str] | None = None, **changes: Any) -> ConnectorConfig:
    return load(yaml.safe_dump(document(**changes)), "acme.yaml", ENVIRON if environ is None else environ)


def error_of(text: str) -> Misconfigured:
    with pytest.raises(Misconfigured) as caught:
        load(text, "acme.yaml", ENVIRON)
    assert caught.value.message.startswith("acme.yaml")
    return caught.value


def problem(**changes: Any) -> dict[str, str]:
    return error_of(yaml.safe_dump(document(**changes))).field_errors


def test_defaults() -> None:
    config = loaded()
    settings = config.settings
    assert isinstance(settings, PagerDutySettings)
    assert config.warnings == ()
    assert settings.api_url == "https://api.pagerduty.com"
    assert settings.delivery.max_attempts == 12
    assert settings.delivery.max_age_seconds == 21_600
    assert settings.delivery.rate.per_minute == 300
    assert settings.loop_guard.marker == "[hub:"
    assert settings.outbound.verified == []
    assert actions(settings, "verified", None, {}) == []


def test_region_and_loopback() -> None:
    assert loaded(region="eu").settings.api_url == "https://api.eu.pagerduty.com"  # type: ignore[attr-defined]  # pagerduty's own
    assert loaded(test_base_url="http://127.0.0.1:9").settings.api_url == "http://127.0.0.1:9"  # type: ignore[attr-defined]  # as above


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://user@127.0.0.1", "ftp://127.0.0.1",
        "127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:99999", "http://169.254.169.254", "http://0.0.0.0",
    ],
)  # fmt: skip
def test_test_base_url_is_loopback(url: str) -> None:
    assert "test_base_url" in problem(test_base_url=url)["(top)"]


def test_test_base_url_only_in_test() -> None:
    assert (
        "only for `environment: test`"
        in problem(environment="live", test_base_url="http://127.0.0.1:9")["(top)"]
    )


def test_unknown_keys_are_all_named_with_the_nearest() -> None:
    found = problem(
        organization="acme",
        inbound__topic=["x"],
        auth__webhook_secret="env:A",
        inbound__routes=[
            {
                "name": "a",
                "whn": "x",
                "when": "`true`",
                "task": {
                    "typ": "q",
                    "type": "q",
                    "payload": "data",
                    "payout": {"currency": "USD", "maxamount": 1},
                },
            }
        ],
    )
    assert sorted(found) == [
        "auth.webhook_secret",
        "inbound.routes[0].task.payout.maxamount",
        "inbound.routes[0].task.typ",
        "inbound.routes[0].whn",
        "inbound.topic",
        "organization",
    ]
    assert "did you mean `organisation`?" in found["organization"]
    assert "did you mean `webhook_secrets`?" in found["auth.webhook_secret"]
    assert "did you mean `when`?" in found["inbound.routes[0].whn"]
    assert "did you mean `maxAmount`?" in found["inbound.routes[0].task.payout.maxamount"]


@pytest.mark.parametrize(
    ("changes", "path", "part"),
    [
        ({"version": 2}, "version", "write one of 1"),
        ({"connector": "pagrduty"}, "connector", "did you mean `pagerduty`?"),
        ({"connector": None}, "connector", "is missing"),
        ({"organisation": None}, "(top)", "missing required field `organisation`"),
        ({"mode": "on"}, "mode", "Invalid enum value 'on'; write one of live, off, shadow"),
        ({"region": "mars"}, "region", "write one of eu, us"),
        ({"id": "Acme Oncall"}, "id", "regex"),
        ({"auth__api_token": "literal-token"}, "auth.api_token", "env:NAME"),
        ({"auth__webhook_secrets": ["env:A", "lit"]}, "auth.webhook_secrets", "env:NAME"),
        ({"auth__from": "nobody"}, "auth.from", "regex"),
        ({"inbound__routes": [{"name": "a", "when": "`true`", "action": "drop"}]}, "inbound.routes[0].action", "write one of append_context, cancel, task"),
        ({"inbound__topics": []}, "inbound.topics", "length"),
        ({"inbound__routes": []}, "inbound.routes", "length"),
        ({"delivery": {"max_age": "6 hours"}}, "delivery.max_age", "regex"),
        ({"delivery": {"max_attempts": 0}}, "delivery.max_attempts", ">= 1"),
        ({"inbound__routes": [{"name": "a", "when": "`true`"}]}, "inbound.routes[0]", "needs a `task:`"),
        ({"inbound__routes": [{"name": "a", "when": "data.x ==", "action": "cancel"}]}, "inbound.routes[0].when", "not a JMESPath"),
        ({"inbound__routes": [{"name": "a", "when": True, "action": "cancel"}]}, "inbound.routes[0].when", "quote it"),
        ({"inbound__routes": [{"name": "a", "when": "`true`", "action": "cancel"}] * 2}, "inbound", "two routes are called `a`"),
        ({"outbound": {"verified": [{"note": "{{ nothing }}"}]}}, "outbound.verified[0].note", "`nothing` is not known"),
        ({"tests": [{"name": "t", "expect": {}}]}, "tests[0]", "either `fixture:` or `outcome:`"),
        ({"tests": [{"name": "t", "fixture": "../x.json", "expect": {}}]}, "tests[0].fixture", "regex"),
    ],
)  # fmt: skip
def test_mistakes_name_path_and_fix(changes: dict[str, Any], path: str, part: str) -> None:
    found = problem(**changes)
    assert list(found) == [path]
    assert part in found[path]


def task_problem(**task: Any) -> dict[str, str]:
    return problem(
        inbound__routes=[{"name": "a", "when": "`true`", "task": {"type": "q", "payload": "data"} | task}]
    )


@pytest.mark.parametrize(
    ("task", "path", "part"),
    [
        ({"title": "Urgent"}, ".title", "\"'Urgent'\""),
        ({"payload": {"a": "data.x["}}, ".payload", "a: not a JMESPath"),
        ({"payout": {"currency": "EUR", "maxAmount": 1}}, ".payout.currency", "write one of BTC, SATS, USD"),
        ({"payout": {"currency": "USD", "maxAmount": 0}}, ".payout", "above zero"),
        ({"type": "a b"}, ".type", "regex"),
    ],
)
def test_mistakes_in_a_task(task: dict[str, Any], path: str, part: str) -> None:
    found = task_problem(**task)
    assert list(found) == [f"inbound.routes[0].task{path}"]
    assert part in next(iter(found.values()))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: [1", "acme.yaml:1:"),
        ("a: 1\na: 2", "acme.yaml:2:1: the key `a` stands twice"),
        ("1: x", "quote it"),
        ("a: .nan", "not a plain decimal number"),
        ("a: .inf", "not a plain decimal number"),
        ("- a", "not a mapping"),
        ("", "not a mapping"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &a [*a]", "acme.yaml"),
        ("[" * 3_000, "acme.yaml"),
        ("# " + "x" * 300_000, "longer than"),
    ],
)
def test_yaml_itself(text: str, part: str) -> None:
    assert part in error_of(text).message


def test_on_and_off_are_words_and_money_is_decimal() -> None:
    text = (
        yaml.safe_dump(document())
        .replace("mode: live", "mode: off")
        .replace("type: question", "type: question\n      payout: {currency: USD, maxAmount: 0.10}")
    )
    settings = load(text, "acme.yaml", ENVIRON).settings
    assert settings.mode == "off"
    task = settings.inbound.routes[0].task
    assert task is not None
    assert task.payout is not None
    assert str(task.payout.max_amount) == "0.10"


def test_secrets() -> None:
    config = loaded(
        {"TOKEN": "", "B": "b"},
        auth__webhook_secrets=["env:A", {"secret": "env:B", "until": date(2999, 12, 1)}],
    )
    assert config.warnings == (
        "acme.yaml: env:TOKEN is not set: this secret is disabled",
        "acme.yaml: env:A is not set: this secret is disabled",
    )
    auth = config.settings.auth  # type: ignore[attr-defined]  # pagerduty's own
    assert [(e.ref, e.secret.reveal(), e.until) for e in auth.webhook_secrets.entries] == [
        ("env:A", "", None),
        ("env:B", "b", date(2999, 12, 1)),
    ]


def test_secret_files(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file\n")
    auth = loaded(auth__api_token=f"file:{path}").settings.auth  # type: ignore[attr-defined]  # pagerduty's own
    assert auth.api_token.entries[0].secret.reveal() == "from-file"
    missing = loaded(auth__api_token=f"file:{tmp_path}/none")
    assert missing.warnings == (
        f"acme.yaml: file:{tmp_path}/none is missing or empty: this secret is disabled",
    )
    assert "cannot be read" in problem(auth__api_token=f"file:{tmp_path}")["auth.api_token"]


def test_unknown_topics_are_a_warning() -> None:
    (warning,) = loaded(inbound__topics=["incident.trigered"]).warnings
    assert warning == (
        "acme.yaml: inbound.topics[0]: pagerduty documents no event type `incident.trigered`"
        " (did you mean `incident.triggered`?)"
    )


def test_unknown_connector() -> None:
    with pytest.raises(Misconfigured, match="did you mean `pagerduty`"):
        connector("pagerdty")


def test_in_file_tests_say_what_came_instead(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        '{"event":{"id":"1","event_type":"incident.triggered","resource_type":"incident",'
        '"data":{"id":"PX","title":"T"}}}'
    )
    (tmp_path / "ping.json").write_text('{"event":{"event_type":"pagey.ping","data":{}}}')
    tests: list[dict[str, Any]] = [
        {
            "name": "good",
            "fixture": "t.json",
            "expect": {"route": "all", "key": "PX", "task": {"payload": {"q": "T"}}},
        },
        {"name": "key", "fixture": "t.json", "expect": {"key": "PY"}},
        {"name": "task", "fixture": "t.json", "expect": {"task": {"title": "x"}}},
        {"name": "wants a task", "fixture": "ping.json", "expect": {"route": "all"}},
        {"name": "no file", "fixture": "none.json", "expect": {}},
        {"name": "note", "outcome": "failed", "context": {"task": {"id": 1}}, "expect": {"note": "Task 2"}},
        {"name": "undefined", "outcome": "failed", "context": {}, "expect": {"note": "Task 2"}},
    ]
    config = loaded(tests=tests, outbound={"failed": [{"note": "Task {{ task.id }}"}]})
    outcomes = {outcome.name: outcome.problem for outcome in run_tests(config, tmp_path)}
    assert outcomes["good"] == ""
    assert outcomes["key"] == "key: expected 'PY', got 'PX'"
    assert outcomes["task"] == "task.title: expected 'x', got None"
    assert outcomes["wants a task"].startswith("expected ignored: false, got {'ignored': True")
    assert outcomes["no file"] == "the fixture none.json cannot be read: No such file or directory"
    assert outcomes["note"] == "note: expected 'Task 2', got 'Task 1'"
    assert "outbound.failed[0].note" in outcomes["undefined"]


@pytest.mark.parametrize(
    ("task", "part"),
    [
        ({"title": "data.number"}, ".task.title must give text, it gave int"),
        (
            {"risk_tier": "data.nothing"},
            ".task.risk_tier must give one of low, medium, high, critical, it gave NoneType",
        ),
        ({"sla_seconds": "'600'"}, ".task.sla_seconds must give whole seconds, it gave str"),
        ({"payload": "data.title"}, ".task.payload must give an object"),
        ({"metadata": "data.title"}, ".task.metadata must give an object"),
    ],
)
def test_a_mapping_of_the_wrong_kind_is_never_silent(task: dict[str, Any], part: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        '{"event":{"event_type":"incident.triggered","resource_type":"incident","data":{"id":"PX","title":"T","number":5}}}'
    )
    config = loaded(
        inbound__routes=[{"name": "a", "when": "`true`", "task": {"type": "q", "payload": {"k": 1}} | task}],
        tests=[{"name": "t", "fixture": "t.json", "expect": {"route": "a"}}],
    )
    (outcome,) = run_tests(config, tmp_path)
    assert f"inbound.routes[0] (a){part}" in outcome.problem


def test_payout_reaches_the_task_exactly(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        '{"event":{"event_type":"incident.triggered","resource_type":"incident","data":{"id":"PX"}}}'
    )
    payout = {"currency": "USD", "maxAmount": 0.1}
    task = {"type": "q", "payload": {"k": 1}, "payout": payout}
    config = loaded(
        inbound__routes=[{"name": "a", "when": "`true`", "task": task}],
        tests=[{"name": "t", "fixture": "t.json", "expect": {"task": {"payout": payout}}}],
    )
    expected = config.settings.tests[0].expect.task
    assert expected == {"payout": {"currency": "USD", "maxAmount": Decimal("0.1")}}
    assert [outcome.problem for outcome in run_tests(config, tmp_path)] == [""]
