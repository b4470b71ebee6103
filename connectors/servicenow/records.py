"""The forms in which ServiceNow gives a record's fields, made one: `fields` (values) and `display` (labels). Used by
`normalize.py`, `enrich.py`, `reconcile.py` and `doctor.py`. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, cast

JOURNALS = ("work_notes", "comments")
MAX_FIELDS = 500  # a record has some 90

# `2026-11-23 10:00:00 - Beth Anglin (Work notes)`: what stands above each entry of a journal, newest first. The date
# is in the reader's own zone and form, so it is kept as text.
_ENTRY = re.compile(
    r"^(?P<at>\d[^\n]{5,30}?) - (?P<author>[^\n]{1,200}?) \((?P<kind>[^()\n]{1,80})\)$", re.MULTILINE
)


def flatten(record: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields, display) of a record in any of the three forms: a plain text, `{value, display_value}`, or a reference
    `{link, value}`. Scalars become text, as the Table API has them (`"true"`, `"8"`, null as `""`): some other APIs
    give typed ones. Dates are thus always the UTC `value`, never the reader's zone."""
    fields: dict[str, Any] = {}
    display: dict[str, Any] = {}
    for name, member in list(members(record).items())[:MAX_FIELDS]:
        value, shown = member, member
        if isinstance(member, dict):
            inner = members(cast("object", member))
            if "value" in inner or "display_value" in inner:
                value = inner.get("value", inner.get("display_value"))
                shown = inner.get("display_value", value)
        fields[name], display[name] = _text(value), _text(shown)
    return fields, display


def members(value: object) -> dict[str, Any]:
    """A JSON object as it is, nothing of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def newest_entry(journal: str) -> str:
    """The first entry of a journal as display values give it; the whole text when it has no headings."""
    heads = list(_ENTRY.finditer(journal))
    return journal[: heads[1].start()] if len(heads) > 1 else journal


def entries(journal: str) -> list[dict[str, str]]:
    """{written, author, kind, text} of each entry, newest first; `written` is in the reader's zone and form."""
    heads = list(_ENTRY.finditer(journal))
    ends = [*(head.start() for head in heads[1:]), len(journal)]
    return [
        {
            "written": head["at"],
            "author": head["author"],
            "kind": head["kind"],
            "text": journal[head.end() : end].strip(),
        }
        for head, end in zip(heads, ends, strict=False)
    ]


def count_of(value: object) -> int | None:
    """A whole number from 0 as ServiceNow writes it (`"8"`), None when it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 2**53 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    return None


def moment(value: object) -> datetime | None:
    """A `YYYY-MM-DD hh:mm:ss` value, which is UTC, as an aware moment; None when it is none."""
    try:
        return (
            datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            if isinstance(value, str)
            else None
        )
    except ValueError:
        return None


def glide_time(at: datetime) -> str:
    """The moment as encoded queries take it. Plain text in a query is UTC; only `javascript:gs.dateGenerate()` means
    the user's zone (ServiceNow community, "SOAP Web Service and Time Zones", by an employee)."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _text(value: object) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 2**1024 else "out of range"  # str() refuses more than 4300 digits
    if isinstance(value, str):
        return value.replace("\x00", "")  # PostgreSQL keeps no NUL
    return str(value) if isinstance(value, float) else value
