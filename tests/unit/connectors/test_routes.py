"""Which route a document takes, and what it makes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.expressions import Condition, Expression, Mapped
from connectors.form import PayoutTerms, Route, TaskMapping
from connectors.routes import MAX_KEY, MAX_MESSAGE, decide
from core.errors import Misconfigured
from core.intake.envelope import Addition, Cancellation, Escalation, Ignored, Origin, Ticket, Wanted

ROOTS = frozenset({"kind", "text", "who", "value", "ctx"})
TICKET = Ticket(id="T1")
ORIGIN = Origin(item_ids=("p1",), revision=3)


def task(**mapped: object) -> TaskMapping:
    parts: dict[str, Any] = {
        name: value if isinstance(value, PayoutTerms) else Mapped(value, ROOTS)
        for name, value in mapped.items()
    }
    return TaskMapping(**{"type": "question", "payload": Mapped({"q": "text"}, ROOTS), **parts})


def route(name: str = "ask", when: str = "kind == 'ask'", **parts: Any) -> Route:
    for member, kind in (("key", Expression), ("message", Mapped)):
        if member in parts:
            parts[member] = kind(parts[member], ROOTS)
    if parts.get("action", "task") == "task":
        parts.setdefault("task", task())
    return Route(name=name, when=Condition(when, ROOTS), **parts)


def read(*routes: Route, context: dict[str, Any] | None = None, **document: Any) -> Any:
    return decide(routes, {"kind": "ask", "text": "Why?", **document}, TICKET, context, ORIGIN)


def test_the_first_route_that_holds_decides() -> None:
    found = read(route("never", "kind == 'x'"), route("first"), route("second"))

    assert found == Escalation(
        route="first",
        ticket=TICKET,
        key="T1",
        task={"task_type": "question", "payload": {"q": "Why?"}},
        origin=ORIGIN,
    )


def test_no_route() -> None:
    assert read(route(), kind="other") == Ignored(reason="no route matches")


def test_what_is_wanted_is_asked_for_before_anything_is_mapped() -> None:
    deep = route(enrich=["notes", "ticket"], task=task(payload={"q": "ctx.notes[0]"}), key="ctx.ticket.id")

    assert read(deep) == Wanted(route="ask", ticket=TICKET, names=("notes", "ticket"))
    found = read(deep, context={"notes": ["n1"], "ticket": {"id": "K"}})
    assert (found.key, found.task["payload"]) == ("K", {"q": "n1"})
    assert read(route("cheap", "kind == 'other'", enrich=["notes"]), route()).route == "ask"


def test_every_field_of_a_task() -> None:
    full = task(
        title="text",
        risk_tier="'high'",
        sla_seconds=60,
        payout=PayoutTerms(currency="USD", max_amount=Decimal("0.50")),
        metadata={"who": "who"},
        output_schema="value",
    )

    assert read(route(task=full), who="ann", value={"type": "object"}).task == {
        "task_type": "question",
        "payload": {"q": "Why?"},
        "title": "Why?",
        "risk_tier": "high",
        "sla_seconds": 60,
        "payout": {"currency": "USD", "maxAmount": Decimal("0.50")},
        "metadata": {"who": "ann"},
        "output_schema": {"type": "object"},
    }


def test_a_title_that_is_not_there_is_left_out() -> None:
    assert "title" not in read(route(task=task(title="who"))).task
    assert "title" not in read(route(task=task(title="who")), who="").task


@pytest.mark.parametrize(
    ("mapped", "value", "place"),
    [
        ({"payload": "value"}, "text", "payload must give an object, it gave str 'text'"),
        ({"title": "value"}, 7, "title must give text, it gave int '7'"),
        ({"risk_tier": "value"}, "huge", "risk_tier must give one of low, medium, high, critical"),
        ({"sla_seconds": "value"}, True, "sla_seconds must give whole seconds, it gave bool"),
        ({"sla_seconds": "value"}, 1.5, "sla_seconds must give whole seconds, it gave float"),
        ({"metadata": "value"}, [], "metadata must give an object, it gave list"),
        ({"output_schema": "value"}, None, "output_schema must give an object, it gave NoneType"),
    ],
)
def test_what_gives_the_wrong_kind_names_its_place(mapped: dict[str, Any], value: object, place: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(route(task=task(**mapped)), value=value)

    assert refused.value.message.startswith(f"inbound.routes[0] (ask).task.{place}")


@pytest.mark.parametrize("key", [None, "", 7, "k" * (MAX_KEY + 1)])
def test_a_key_is_text(key: object) -> None:
    with pytest.raises(Misconfigured, match=r"inbound\.routes\[0\] \(ask\)\.key must give text of 1 to 200"):
        read(route(key="value"), value=key)


def test_a_when_that_is_neither_true_nor_false_loses_no_escalation() -> None:
    with pytest.raises(Misconfigured, match=r"inbound\.routes\[0\] \(ask\)\.when"):
        read(route(when="who"))


def test_cancel() -> None:
    found = read(route("over", action="cancel", key="who"), who="K")

    assert found == Cancellation(route="over", ticket=TICKET, key="K", origin=ORIGIN)


def test_redaction_is_one_for_the_whole_task() -> None:
    found = read(
        route(redact=["emails"], task=task(title="who", metadata={"m": "value"})),
        text="a@b.co and c@d.co",
        who="c@d.co",
        value="a@b.co",
    )

    assert found.task["payload"] == {"q": "[email 1] and [email 2]"}
    assert (found.task["title"], found.task["metadata"]) == ("[email 2]", {"m": "[email 1]"})
    assert found.redacted == {"[email 1]": "a@b.co", "[email 2]": "c@d.co"}


def test_nothing_is_redacted_that_was_not_asked_for() -> None:
    found = read(route(), text="a@b.co")

    assert (found.task["payload"], found.redacted) == ({"q": "a@b.co"}, {})


def test_messages() -> None:
    said = route(
        "said", action="append_context", message={"text": "text", "author": "who"}, redact=["emails"]
    )

    assert read(said, text="I am a@b.co", who="a@b.co") == Addition(
        route="said", ticket=TICKET, text="I am [email]", author="[email]", origin=ORIGIN
    )
    assert read(said, who=None).author is None
    assert len(read(said, text="x" * (MAX_MESSAGE + 1)).text) == MAX_MESSAGE
    assert read(said, text="") == Ignored(reason="route said: the message is empty")
    assert read(said, text=None) == Ignored(reason="route said: the message is empty")
    assert read(route("said", action="append_context", message="text")).text == "Why?"


@pytest.mark.parametrize(("document", "place"), [({"text": 7}, "message"), ({"who": 7}, r"message\.author")])
def test_a_message_is_text(document: dict[str, Any], place: str) -> None:
    said = route("said", action="append_context", message={"text": "text", "author": "who"})

    with pytest.raises(Misconfigured, match=rf"\(said\)\.{place} must give text"):
        read(said, **document)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"action": "cancel", "task": task()}, "takes no `task:`"),
        ({"action": "append_context"}, "`message:` is what"),
        ({"message": "text"}, "`message:` is what"),
        ({"task": None}, "needs a `task:`"),
    ],
)
def test_parts_that_do_not_belong_together(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        route(**parts)
