"""What goes into the ticket when a task ends: the steps of the file, rendered. Used by the hub's reply job and by
in-file tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from connectors.expressions import Expression, Mapped, Template
from connectors.form import ConnectorFile, Step
from core.replies.ticketing import Action

# The names a step may use: `task` {id, type, ...}, `result` {output, workers, ...}, `ticket` {id, url}.
NOTE_ROOTS = frozenset({"task", "result", "ticket"})

Outcome = Literal["verified", "failed", "expired"]


# The right answer one line for each of its fields; both say the same, one of them in HTML.
_CORRECTION = {
    False: Template(
        "Correction: the answer given here was looked at again. {{ correction.reason }}"
        "{% if correction.lines %}\n\nThe right answer:{% for line in correction.lines %}\n{{ line }}{% endfor %}{% endif %}",
        html=False,
        roots=frozenset({"correction"}),
    ),
    True: Template(
        "<p>Correction: the answer given here was looked at again. {{ correction.reason }}</p>"
        "{% if correction.lines %}<p>The right answer:{% for line in correction.lines %}<br>{{ line }}{% endfor %}</p>{% endif %}",
        html=True,
        roots=frozenset({"correction"}),
    ),
}


def correction(
    settings: ConnectorFile, route: str | None, context: Mapping[str, Any], *, html: bool
) -> list[Action]:
    """The note for a ticket whose answer was found wrong after it was given out: why, and the right answer where it is known.
    Nothing where the file writes nothing for a verified task: the ticket has no answer that could be wrong."""
    own = settings.outbound.routes.get(route or "")
    outcomes = own if own is not None else settings.outbound
    if not outcomes.verified:
        return []
    told: dict[str, Any] = context["correction"]
    shown = {"reason": told["reason"], "lines": _lines(told["output"]) if "output" in told else []}
    body = _CORRECTION[html].render({"correction": shown}, "correction").strip()
    return [Action(kind="note", body=body)]


def _lines(output: Any) -> list[str]:
    """`field: value` for each field of an object; a text as it is, anything else as JSON."""
    if isinstance(output, dict):
        return [f"{name}: {_word(value)}" for name, value in cast("dict[str, Any]", output).items()]
    return [_word(output)]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def actions(
    settings: ConnectorFile, outcome: Outcome, route: str | None, context: Mapping[str, Any]
) -> list[Action]:
    """What to do, in order; empty when the file wants nothing for this outcome. Steps of the task's `route` replace
    the general ones.

    `context` maps some of NOTE_ROOTS to JSON-shaped values. Raises Misconfigured for an undefined value or an
    `only_if` that is neither true nor false."""
    own = settings.outbound.routes.get(route or "")
    steps: list[Step] = getattr(own if own is not None else settings.outbound, outcome)
    place = f"outbound.routes.{route}.{outcome}" if own is not None else f"outbound.{outcome}"
    found: list[Action] = []
    for index, step in enumerate(steps):
        where = f"{place}[{index}]"
        if step.only_if is None or step.only_if.holds(context, f"{where}.only_if"):
            kind = next(
                name
                for name in step.__struct_fields__
                if name != "only_if" and getattr(step, name) is not None
            )
            body = _rendered(getattr(step, kind), context, f"{where}.{kind}")
            if body != "":  # a template that says nothing writes nothing
                found.append(Action(kind=kind, body=body))
    return found


def _rendered(value: object, context: Mapping[str, Any], where: str) -> Any:
    if isinstance(value, Template):
        return value.render(context, where).strip()
    if isinstance(value, Mapped):
        return value.evaluate(context, where)
    if isinstance(value, Expression):
        return value.search(context, where)
    if isinstance(value, msgspec.Struct):
        members = {name: getattr(value, name) for name in value.__struct_fields__}
        return {
            name: _rendered(member, context, f"{where}.{name}")
            for name, member in members.items()
            if member is not None
        }
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return {name: _rendered(member, context, f"{where}.{name}") for name, member in entries.items()}
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_rendered(member, context, f"{where}[{index}]") for index, member in enumerate(items)]
    return value
