"""The two small languages: what they give, what they refuse at load, and that no bomb goes off."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from connectors.expressions import MAX_LENGTH, Condition, Expression, Mapped, Template
from core.errors import Misconfigured

ROOTS = frozenset({"event", "data"})
DOCUMENT: dict[str, Any] = {
    "event": {"type": "x"},
    "data": {
        "title": "A <b>bold</b> claim",
        "html": "<p>Hello&nbsp;<b>you</b> &amp; me</p><script>alert(1)</script><ul><li>one<li>two</ul>",
        "at": "2026-04-01T02:07:30+02:00",
        "unix": 1775009250,
        "list": [1, 2, 3],
        "none": None,
        "amount": 12.345,
    },
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("data.title", "A <b>bold</b> claim"),
        ("data.missing.deeper", None),
        ("'constant'", "constant"),
        ("`[1, 2]`", [1, 2]),
        ("html_to_text(data.html)", "Hello you & me\none\ntwo"),
        ("html_to_text(data.none)", ""),
        ("html_to_text(data.none) || 'nothing'", "nothing"),
        ("truncate(data.title, `5`)", "A <b…"),
        ("truncate('short', `5`)", "short"),
        ("truncate(data.none, `5`)", ""),
        ("truncate(data.list, `80`)", "[1,2,3]"),
        ("replace(data.title, 'bold', 'mild')", "A <b>mild</b> claim"),
        ("iso(data.at)", "2026-04-01T00:07:30.000Z"),
        ("iso(data.unix)", "2026-04-01T02:07:30.000Z"),
        ("iso('2026-04-01')", "2026-04-01T00:00:00.000Z"),
        ("iso('soon')", None),
        ("iso(`true`)", None),
        ("iso(`1e300`)", None),
        ("epoch(data.at)", 1775002050),
        ("epoch(data.none)", None),
        ("money(data.amount, 'USD')", "12.34 USD"),
        ("money('12.355', 'USD')", "12.36 USD"),
        ("money('0.5', 'SATS')", "0 SATS"),
        ("money(`1`, 'BTC')", "1.00000000 BTC"),
        ("money('a lot', 'USD')", None),
        ("money('NaN', 'USD')", None),
        ("data.list[?@ > `1`] | [0]", 2),
        ("data.{a: title, b: list[0]}", {"a": "A <b>bold</b> claim", "b": 1}),
    ],
)
def test_search(source: str, value: object) -> None:
    assert Expression(source, ROOTS).search(DOCUMENT, "here") == value


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("data.", "not a JMESPath expression"),
        ("data[", "not a JMESPath expression"),
        ("", "not a JMESPath expression"),
        ("trunkate(data.title, `5`)", "no function `trunkate` (did you mean `truncate`?)"),
        ("high", "a constant is written with quotes inside: \"'high'\""),
        ("dta.title", "(did you mean `data`?)"),
        ("data.a && evnt.b", "no `evnt`"),
        ("join(',', titles)", "no `titles`"),
        ("{a: data.a, b: other}", "no `other`"),
        ("a" * (MAX_LENGTH + 1), "2001 characters"),
        ("[" * 1_900, "nested too deep"),
        ("!" * 1_900 + "data", "nested too deep"),
        ("(" * 60 + "!" * 60 + "data" + ")" * 60, "nested too deep"),
    ],
)
def test_refused_at_load(source: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        Expression(source, ROOTS)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "source",
    ["data.list[?foo == 'x'].bar", "data.a[].b.c", "data | list", "map(&title, data.list)", "@", "data.*.x"],
)
def test_inner_names_are_free(source: str) -> None:
    Expression(source, ROOTS)


def test_comparing_the_incomparable_is_an_error() -> None:
    with pytest.raises(Misconfigured) as caught:
        Condition("data.unix > data.at", ROOTS).holds(DOCUMENT, "when")
    assert caught.value.code == "expression_failed"


def test_a_failing_expression_names_its_place() -> None:
    with pytest.raises(Misconfigured) as caught:
        Expression("contains(data.none, 'x')", ROOTS).search(DOCUMENT, "inbound.routes[0] (p1).when")
    assert caught.value.message.startswith("inbound.routes[0] (p1).when: `contains(data.none, 'x')` failed: ")
    assert caught.value.facts["path"] == "inbound.routes[0] (p1).when"


@pytest.mark.parametrize(
    ("source", "answer"),
    [("data.title == 'no'", False), ("data.unix > `5`", True), ("data.none == null", True)],
)
def test_condition(source: str, answer: bool) -> None:
    assert Condition(source).holds(DOCUMENT, "when") is answer


@pytest.mark.parametrize("source", ["data.title", "data.none", "data.missing", "data.list", "`1`"])
def test_a_condition_that_is_neither_is_an_error(source: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Condition(source, ROOTS).holds(DOCUMENT, "when")
    assert caught.value.code == "condition_not_boolean"


def test_mapped_trees() -> None:
    tree = Mapped(
        {"a": "data.title", "b": [1, True, None, Decimal("0.5"), "data.list[0]"], "c": {"d": "'x'"}}, ROOTS
    )
    assert tree.evaluate(DOCUMENT, "p") == {
        "a": "A <b>bold</b> claim",
        "b": [1, True, None, 0.5, 1],
        "c": {"d": "x"},
    }
    assert Mapped("data.list").evaluate(DOCUMENT, "p") == [1, 2, 3]


def test_mapped_errors_name_the_member() -> None:
    with pytest.raises(ValueError, match=r"^a\.b\[1\]: not a JMESPath"):
        Mapped({"a": {"b": ["data", "data["]}}, ROOTS)
    with pytest.raises(Misconfigured) as caught:
        Mapped({"a": ["length(data.none)"]}, ROOTS).evaluate(DOCUMENT, "task.payload")
    assert caught.value.facts["path"] == "task.payload.a[0]"
    deep: object = "data"
    for _ in range(12):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 8"):
        Mapped(deep, ROOTS)
    with pytest.raises(ValueError, match="cannot be a bytes"):
        Mapped({"a": b"x"}, ROOTS)


def text(source: str, context: dict[str, Any], html: bool = False) -> str:
    return Template(source, html=html, roots=frozenset({"task", "result"})).render(
        context, "outbound.verified[0].note"
    )


def test_prose_is_escaped_only_for_html() -> None:
    context = {"task": {"id": "<1>"}}
    assert text("Task {{ task.id }}", context) == "Task <1>"
    assert text("<b>{{ task.id }}</b>", context, html=True) == "<b>&lt;1&gt;</b>"


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("{{ task.", "not a minijinja template"),
        ("{{ tsk.id }}", "(did you mean `task`?)"),
        ("x" * 8_001, "8001 characters"),
    ],
)
def test_prose_refused_at_load(source: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        text(source, {})
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ task.missing }}",
        "{{ task.missing.deeper }}",
        "{{ result }}",
        "{{ task.id|nofilter }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ 'a' * 10**9 }}",
        "{{ task.__class__.__mro__ }}",
    ],
)
def test_prose_that_fails_says_where(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(Misconfigured) as caught:
        text(source, {"task": {"id": 1}})
    assert caught.value.facts["path"] == "outbound.verified[0].note"
    assert time.monotonic() - started < 2


def test_prose_may_loop() -> None:
    assert (
        text("{% for i in range(3) %}{{ loop.index }}{{ task.id }}{% endfor %}", {"task": {"id": "x"}})
        == "1x2x3x"
    )
