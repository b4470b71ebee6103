"""Which of an incident's notes is ours, and what has to be put right with the others. Pure; asked by `reply.py` when a
write was doubtful."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from connectors.expression_functions import epoch
from connectors.pagerduty.api import entry

MAX_NOTE = 25_000  # characters; PagerDuty documents no limit, a person reads no more
CUT = "…"


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """`keep` is the id of our note, None when there is none; `put` whether its text must be sent again; `delete` are
    the ids of copies of it."""

    keep: str | None = None
    put: bool = False
    delete: tuple[str, ...] = ()


def settle(notes: Sequence[dict[str, Any]], marker: str, content: str, own: Collection[str]) -> Repair:
    """The oldest note with our marker is ours: whoever quotes it does so later. Others with the marker are our copies
    when the same user wrote the same words; a person's quotation is left alone, and so is a note that somebody edited
    since (`updated_at`). `own` are the ids of the hub's users, empty when they are not known."""
    marked = sorted(
        (
            note
            for note in notes
            if isinstance(note.get("id"), str)
            and isinstance(note.get("content"), str)
            and marker in note["content"]
        ),
        key=lambda note: (epoch(note.get("created_at")) or 0, _author(note) not in own, note["id"]),
    )
    if not marked:
        return Repair()
    first = marked[0]
    author = _author(first)
    copies = tuple(
        note["id"]
        for note in marked[1:]
        if author and _author(note) == author and _words(note["content"]) == _words(first["content"])
    )
    edited = str(first.get("updated_at") or first.get("created_at")) != str(first.get("created_at"))
    wrong = author in own and not edited and _words(first["content"]) != _words(content)
    return Repair(keep=first["id"], put=wrong, delete=copies)


def fitted(text: str, limit: int, tail: str = "") -> str:
    """The text within `limit` characters, cut between words with a sign, with `tail` behind it when it lacks that."""
    if len(text) <= limit and tail in text:
        return text
    behind = f"\n\n{tail}" if tail else ""
    room = limit - len(behind)
    if len(text) > room:
        text = text[: room - len(CUT)]
        border = max(text.rfind(" "), text.rfind("\n"))
        # A text without a blank near its end (a link, a language without blanks) is cut where it is.
        text = (text[:border] if border > len(text) * 3 // 4 else text).rstrip() + CUT
    return text + behind


def _author(note: dict[str, Any]) -> str:
    author = entry(note, "user").get("id")
    return author if isinstance(author, str) else ""


def _words(text: str) -> list[str]:
    return text.split()
