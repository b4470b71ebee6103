"""The fields that a reply's actions come to: one PATCH, or one PUT to our endpoint. Called by `reply.py`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from connectors.servicenow.records import JOURNALS
from connectors.servicenow.settings import SYS_ID
from connectors.servicenow.text import harmless
from core.errors import Rejected
from core.replies.ticketing import Write


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """`texts` are for the journals (work_notes, comments) and carry the marker; `fields` are values that may be
    written twice without harm."""

    texts: dict[str, str]
    fields: dict[str, str]

    @property
    def everything(self) -> dict[str, str]:
        return {**self.fields, **self.texts}


def values_of(write: Write) -> Values:
    """All actions of a reply together; of two that set the same field the later one counts. Raises Rejected for what
    ServiceNow could only take wrongly: it names the step and the fix."""
    notes: dict[str, list[str]] = {name: [] for name in JOURNALS}
    fields: dict[str, str] = {}
    for action in write.actions:
        match action.kind:
            case "note":
                notes["work_notes"].append(str(action.body))
            case "comment":
                notes["comments"].append(str(action.body))
            case "fields":
                fields.update(_members(action.body, "fields"))
            case "resolve":
                fields.update(_resolve(_members(action.body, "resolve")))
            case "assign":
                fields.update(_assign(_members(action.body, "assign")))
            case other:
                raise Rejected("unknown_step", f"ServiceNow has no step `{other[:40]}`.")
    texts = {name: _marked("\n\n".join(parts), write.marker) for name, parts in notes.items() if parts}
    if not texts and not fields:
        raise Rejected("nothing_to_write", "The reply has no text and no field.")
    return Values(texts=texts, fields={name: harmless(value) for name, value in fields.items()})


def dropped(sent: Mapping[str, str], echo: Mapping[str, Any]) -> list[str]:
    """Names of the sent fields whose value is not in the record that came back: a write ACL drops a value silently,
    an unknown field is ignored, a business rule or a length limit changes one. A 200 says nothing of it."""
    return sorted(name for name, value in sent.items() if not _same(value, echo.get(name)))


def _same(sent: str, got: object) -> bool:
    if isinstance(got, dict):
        got = cast("dict[str, Any]", got).get("value")
    return isinstance(got, str) and _plain(sent) == _plain(got)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _marked(text: str, marker: str) -> str:
    text = harmless(text)
    return text if marker in text else f"{text}\n\n{marker}"


def _members(body: object, step: str) -> dict[str, str]:
    if not isinstance(body, dict):
        raise Rejected("bad_step", f"The step `{step}` must name fields and their values.")
    return {str(name): str(value) for name, value in cast("dict[object, object]", body).items()}


def _resolve(members: dict[str, str]) -> dict[str, str]:
    """Many instances refuse a resolution without a code and notes, others keep it silently open."""
    for name, value in members.items():
        if not value:
            raise Rejected("empty_field", f"`resolve.{name}` came out empty; give it a value in outbound.")
    return members


def _assign(members: dict[str, str]) -> dict[str, str]:
    for name, value in members.items():
        if value and not SYS_ID.match(value):  # an empty one takes the assignment away
            raise Rejected(
                "bad_reference",
                f"`assign.{name}` is {value[:40]!r}; it must be a sys_id (32 characters 0-9a-f), not a name.",
            )
    return members
