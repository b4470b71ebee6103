"""The text that goes into the ticket when a task ends. Used by the hub's reply job and by in-file tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from connectors.form import ConnectorFile

# The names a note's template may use: `task` {id, type, ...}, `result` {output, workers, ...}, `ticket` {id, url}.
NOTE_ROOTS = frozenset({"task", "result", "ticket"})

Outcome = Literal["verified", "failed", "expired"]


def notes(settings: ConnectorFile, outcome: Outcome, context: Mapping[str, Any]) -> list[str]:
    """The notes to write, in order; empty when the file wants none for this outcome.

    `context` maps some of NOTE_ROOTS to JSON-shaped values. Raises Misconfigured for an undefined value."""
    steps = {
        "verified": settings.outbound.verified,
        "failed": settings.outbound.failed,
        "expired": settings.outbound.expired,
    }[outcome]
    return [
        step.note.render(context, f"outbound.{outcome}[{index}].note").strip()
        for index, step in enumerate(steps)
    ]
