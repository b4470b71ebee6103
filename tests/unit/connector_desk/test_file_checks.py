"""What the doctor says of a file alone: its secrets, its task types, its tests."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.config import load
from connectors.form import ConnectorFile
from core.tasks.types import Price, TaskType, TaskTypes
from hub.connector_desk.coverage import untested
from hub.connector_desk.file_checks import task_types
from hub.connector_desk.secrets import secret_checks

FILE = """
version: 1
connector: pagerduty
id: acme
organisation: acme
environment: live
mode: live
auth:
  api_token: env:TOKEN
  from: hub@acme.example
  webhook_secrets: SECRETS
inbound:
  topics: [incident.triggered]
  routes:
    - {name: first, when: "`true`", task: {type: triage, payload: {a: "data.id"}}}
    - {name: second, when: "`true`", action: cancel}
outbound:
  verified: [{note: yes}]
OUTBOUND
tests: TESTS
"""


def settings(
    *, secrets: str = "[env:S]", outbound: str = "", tests: str = "[]", **environ: str
) -> ConnectorFile:
    text = FILE.replace("SECRETS", secrets).replace("OUTBOUND", outbound).replace("TESTS", tests)
    return load(text, "acme.yaml", {"TOKEN": "t", **environ}).settings


@pytest.mark.parametrize(
    ("secrets", "environ", "ok", "said", "fix"),
    [
        ("[env:S]", {"S": "x"}, True, "1 active", ""),
        ("[env:S]", {}, False, "no active secret", "Set env:S, then restart."),
        (
            "[env:S, env:NEW]",
            {"S": "x"},
            None,
            "1 active, 1 empty",
            "Set env:NEW, or take it out of the file.",
        ),
        (
            "[env:S, {secret: env:OLD, until: 2020-01-31}]",
            {"S": "x", "OLD": "y"},
            True,
            "1 active, 1 past its `until`",
            "",
        ),
        (
            "[{secret: env:OLD, until: 2020-01-31}]",
            {"OLD": "y"},
            False,
            "no active secret",
            "`until: 2020-01-31` is over, name a newer secret, then restart.",
        ),
    ],
)
def test_secrets(secrets: str, environ: dict[str, str], ok: bool | None, said: str, fix: str) -> None:
    token, webhook = secret_checks(settings(secrets=secrets, **environ))
    assert (token.name, token.ok) == ("secret auth.api_token", True)
    assert (webhook.name, webhook.ok, webhook.said, webhook.fix) == (
        "secret auth.webhook_secrets",
        ok,
        said,
        fix,
    )


def test_no_secret_is_ever_told() -> None:
    assert "hunter2" not in repr(secret_checks(settings(S="hunter2")))


@pytest.mark.parametrize(
    ("types", "ok", "fix"),
    [
        ([TaskType(name="triage", title="T", payout=Price(currency="SATS", max_amount=1))], True, ""),
        (
            [TaskType(name="triage", title="T")],
            False,
            "Set `payout:` in the route, or in the task type's file.",
        ),
        (
            [TaskType(name="other", title="O")],
            False,
            "Write one of other, or add config/task_types/triage.yaml.",
        ),
    ],
)
def test_task_types_exist_and_have_a_price(types: list[Any], ok: bool, fix: str) -> None:
    [check] = task_types(settings(), TaskTypes(types))
    assert (check.name, check.ok, check.fix) == ("route first", ok, fix)


def test_what_the_tests_leave_out() -> None:
    assert [line.partition(":")[0] for line in untested(settings())] == [
        "route first",
        "route second",
        "outbound.verified",
    ]
    own = "  first: {verified: [{note: yes}], expired: [{note: no}]}"
    named = "[{name: a, outcome: verified, route: first, expect: {note: yes}}]"
    # The only route that makes tasks has outcomes of its own: the general ones are never used.
    assert [line.partition(":")[0] for line in untested(settings(outbound=own, tests=named))] == [
        "route first",
        "route second",
        "outbound.first.expired",
    ]
    covered = (
        "[{name: a, fixture: a.json, expect: {route: first}}, {name: b, fixture: b.json, expect: {route: second}}, "
        "{name: c, outcome: verified, expect: {note: yes}}]"
    )
    assert untested(settings(tests=covered)) == []
