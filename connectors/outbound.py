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
