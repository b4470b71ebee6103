"""One point of a task's timeline, as the operator's page and the terminal show it. Made by `trail_entries.py` and
`trail_verification.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

_GOOD = frozenset({"accepted", "delivered", "settled", "counted", "passed", "verified", "done", "pass"})
_BAD = frozenset(
    {"failed", "dead", "refused", "expired", "cancelled", "unknown", "uncertain", "reversed", "fail"}
)

Facts = tuple[tuple[str, str], ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One point of the timeline. `facts` are label and value for a person; `body` is JSON or text to unfold."""

    at: datetime
    kind: str
    subject: str
    title: str
    state: str = ""
    facts: Facts = ()
    body: Any = None

    @property
    def mood(self) -> str:
        """good, bad or plain: how the page colours `state` (which is always written out too)."""
        return "good" if self.state in _GOOD else "bad" if self.state in _BAD else "plain"


def facts(**facts: object) -> Facts:
    """What is known of them, in this order; an underscore in a label is a blank."""
    return tuple(
        (label.replace("_", " "), str(value)) for label, value in facts.items() if value not in (None, "")
    )
