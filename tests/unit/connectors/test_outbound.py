"""The steps of an outcome, rendered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.expressions import (
    Condition,
    Mapped,
    OutcomeCondition,
    OutcomeExpression,
    OutcomeMapped,
    PlainTemplate,
    Template,
)
from connectors.form import ConnectorFile, Inbound, Outbound, Outcomes, Route, Step, TaskMapping
from connectors.outbound import NOTE_ROOTS, actions
from core.errors import Misconfigured

CONTEXT = {
    "task": {"id": "tsk_1", "type": "question"},
    "result": {"output": {"answer": "yes <b>", "n": 3}, "workers": 2},
    "ticket": {"id": "T1", "url": "https://desk.example/T1"},
}


class Assign(msgspec.Struct, frozen=True, kw_only=True):
    team: OutcomeExpression
    reason: PlainTemplate | None = None


class MyStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fields: dict[str, OutcomeMapped] | None = None
    tags: list[PlainTemplate] | None = None
    assign: Assign | None = None
    close: bool | None = None


def text(source: str, *, html: bool = False) -> Template:
    return Template(source, html=html, roots=NOTE_ROOTS)


def plain(source: str) -> PlainTemplate:
    return PlainTemplate(source, html=False, roots=NOTE_ROOTS)


def mapped(value: object) -> OutcomeMapped:
    return OutcomeMapped(value, NOTE_ROOTS)


def a_file(
    *steps: MyStep, failed: list[MyStep] | None = None, routes: dict[str, Outcomes[MyStep]] | None = None
) -> ConnectorFile:
    roots = frozenset({"data"})
    ask = Route(
        name="ask",
        when=Condition("data == 'x'", roots),
        task=TaskMapping(type="question", payload=Mapped({}, roots)),
    )
    return ConnectorFile(
        version=1,
        connector="desk",
        id="desk",
        organisation="acme",
        environment="test",
        mode="live",
        inbound=Inbound(topics=["ask"], routes=[ask]),
        outbound=Outbound[MyStep](verified=list(steps), failed=failed or [], expired=[], routes=routes or {}),
    )


def done(
    settings: ConnectorFile, outcome: Any = "verified", route: str | None = None
) -> list[tuple[str, Any]]:
    return [(one.kind, one.body) for one in actions(settings, outcome, route, CONTEXT)]


def test_steps_in_the_order_of_the_file() -> None:
    settings = a_file(
        MyStep(note=text(" {{ result.output.answer }} by {{ result.workers }}\n")),
        MyStep(
            fields={
                "Answer": mapped("result.output.answer"),
                "Count": mapped({"n": "result.output.n", "c": 1}),
            }
        ),
        MyStep(tags=[plain("hub-{{ task.type }}"), plain("done")]),
        MyStep(assign=Assign(team=OutcomeExpression("ticket.id", NOTE_ROOTS))),
        MyStep(close=True),
    )

    assert done(settings) == [
        ("note", "yes <b> by 2"),
        ("fields", {"Answer": "yes <b>", "Count": {"n": 3, "c": 1}}),
        ("tags", ["hub-question", "done"]),
        ("assign", {"team": "T1"}),
        ("close", True),
    ]


def test_html_is_escaped_where_notes_are_html() -> None:
    assert done(a_file(MyStep(note=text("{{ result.output.answer }}", html=True)))) == [
        ("note", "yes &lt;b&gt;")
    ]


def test_only_if() -> None:
    yes, no = (
        OutcomeCondition(source, NOTE_ROOTS) for source in ("result.workers == `2`", "result.workers > `2`")
    )

    assert done(a_file(MyStep(note=text("a"), only_if=no), MyStep(note=text("b"), only_if=yes))) == [
        ("note", "b")
    ]


def test_an_only_if_that_is_neither_says_where() -> None:
    with pytest.raises(Misconfigured, match=r"outbound\.verified\[1\]\.only_if"):
        done(
            a_file(
                MyStep(note=text("a")),
                MyStep(note=text("b"), only_if=OutcomeCondition("result.x", NOTE_ROOTS)),
            )
        )


def test_what_is_not_there_says_where() -> None:
    with pytest.raises(Misconfigured, match=r"outbound\.failed\[0\]\.note"):
        done(a_file(failed=[MyStep(note=text("{{ result.output.none }}"))]), "failed")


def test_a_text_that_says_nothing_writes_nothing() -> None:
    assert done(a_file(MyStep(note=text("{% if false %}x{% endif %} ")))) == []


def test_an_outcome_without_steps() -> None:
    assert done(a_file(MyStep(note=text("a"))), "expired") == []


def test_the_steps_of_a_route_replace_the_general_ones() -> None:
    own = Outcomes[MyStep](verified=[MyStep(note=text("own"))], failed=[], expired=[])
    settings = a_file(MyStep(note=text("general")), failed=[MyStep(note=text("bad"))], routes={"ask": own})

    assert done(settings, route="ask") == [("note", "own")]
    assert done(settings, "failed", route="ask") == []
    assert done(settings, route="gone") == [("note", "general")]
    assert done(settings, route=None) == [("note", "general")]


def test_a_step_does_one_thing() -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        MyStep(note=text("a"), close=True)
    with pytest.raises(ValueError, match="exactly one of"):
        MyStep()
