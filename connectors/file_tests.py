"""Runs the tests that stand inside a connector file against recorded deliveries: offline, no secrets needed.
Called by `hub connectors test` and by our own suite for every file we ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from connectors.config import ConnectorConfig
from connectors.form import Expect, InFileTest
from connectors.outbound import actions
from core.errors import Misconfigured
from core.intake.envelope import Addition, Cancellation, Ignored, InboundDelivery, Wanted


class TestOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` is empty when the test passed, else one line that says what came instead."""

    __test__: ClassVar[bool] = False  # pytest would try to collect it

    name: str
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem


def run_tests(config: ConnectorConfig, fixtures_dir: Path) -> list[TestOutcome]:
    """Every test of the file, in its order. Never raises for a bad fixture or expression: that is the outcome."""
    return [
        TestOutcome(name=test.name, problem=_problem(config, test, fixtures_dir))
        for test in config.settings.tests
    ]


def _problem(config: ConnectorConfig, test: InFileTest, fixtures_dir: Path) -> str:
    try:
        got = (
            _note(config, test)
            if test.fixture is None
            else _meaning(config, test, fixtures_dir / test.fixture)
        )
    except Misconfigured as error:
        return error.message
    except OSError as error:
        return f"the fixture {test.fixture} cannot be read: {error.strerror}"
    return _difference(test.expect, got)


def _note(config: ConnectorConfig, test: InFileTest) -> dict[str, Any]:
    assert test.outcome is not None  # the form demands a fixture or an outcome
    done = actions(config.settings, test.outcome, test.route, test.context or {})
    notes = [one.body for one in done if one.kind == "note"]
    return {
        "note": "\n".join(
            notes if all(isinstance(one, str) for one in notes) else [str(one) for one in notes]
        ),
        "actions": [{one.kind: one.body} for one in done],
    }


def _meaning(config: ConnectorConfig, test: InFileTest, fixture: Path) -> dict[str, Any]:
    delivery = InboundDelivery(
        delivery_id=fixture.name, event_type="test", body=fixture.read_bytes(), headers={}, verified_by=0
    )
    routes = config.settings.inbound.routes
    meaning = config.connector.normalize(config.settings, delivery, routes, None)
    if isinstance(meaning, Wanted):
        missing = [name for name in meaning.names if name not in (test.ctx or {})]
        if missing:
            return {
                "wanted": list(meaning.names),
                "missing": f"give `ctx: {{{missing[0]}: ...}}` to the test",
            }
        meaning = config.connector.normalize(config.settings, delivery, routes, test.ctx or {})
    match meaning:
        case Ignored():
            return {"ignored": True, "reason": meaning.reason}
        case Addition():
            return {
                "route": meaning.route,
                "action": "append_context",
                "ticket": meaning.ticket.id,
                "message": meaning.text,
            }
        case Cancellation():
            return {
                "route": meaning.route,
                "action": "cancel",
                "ticket": meaning.ticket.id,
                "key": meaning.key,
            }
        case Wanted():
            return {"wanted": list(meaning.names), "missing": "the reading wanted the same again"}
        case _:
            return {
                "route": meaning.route,
                "action": "task",
                "ticket": meaning.ticket.id,
                "key": meaning.key,
                "task": dict(meaning.task),
                "redacted": dict(meaning.redacted),
            }


def _difference(expect: Expect, got: dict[str, Any]) -> str:
    if expect.ignored != got.get("ignored", False):
        return f"expected ignored: {str(expect.ignored).lower()}, got {got}"
    if "missing" in got:
        return f"the route wants {', '.join(got['wanted'])}: {got['missing']}"
    for name in ("route", "action", "ticket", "key", "message", "redacted", "note", "actions"):
        wanted = getattr(expect, name)
        if wanted is not None and got.get(name) != wanted:
            return f"{name}: expected {wanted!r}, got {got.get(name)!r}"
    for name, wanted in (expect.task or {}).items():
        value = got.get("task", {}).get(name)
        if value != wanted:
            return f"task.{name}: expected {wanted!r}, got {value!r}"
    return ""
