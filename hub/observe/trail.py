"""The trail of a task: `collect` reads it, `render_text` prints it for a terminal (`hub task show ID`), `as_json` gives
plain JSON values for `--json` and the operator's raw view."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from sqlalchemy import inspect

from core import clock
from core.db.base import Base
from core.outbox.tables import OutboxRow
from hub.observe.trail_entries import sats, timeline
from hub.observe.trail_entry import Entry
from hub.observe.trail_rows import Trail, collect

__all__ = ["Trail", "as_json", "collect", "render_text"]

# Headers of a delivery that carry credentials; the raw view shows that they were there, not what they said.
_SECRET_HEADERS = ("authorization", "cookie", "signature", "token", "secret", "key")


def render_text(trail: Trail) -> str:
    """The whole trail, one line an entry, its facts beneath."""
    task = trail.task
    funds = "" if task.funded else "; WAITS FOR FUNDS"
    pays = f"{format(task.payout_amount, 'f')} {task.payout_currency}"
    lines = [
        f"Task {task.id}  {task.status.upper()}",
        f"  {task.task_type}, {task.environment}, for {trail.organisation}",
        f"  pays {pays}; reserved {sats(task.reserved_msat)}{funds}",
        f"  created {clock.iso(task.created_at)}, due {clock.iso(task.expires_at)}, stops {clock.iso(task.hard_stop_at)}",
        "",
    ]
    for entry in timeline(trail):
        lines.extend(_entry_lines(entry))
    lines.append("")
    lines.append("Jobs")
    lines.extend(_job_line(job) for job in trail.jobs)
    return "\n".join(lines) + "\n"


def _entry_lines(entry: Entry) -> list[str]:
    state = f"  [{entry.state}]" if entry.state else ""
    lines = [f"{clock.iso(entry.at)}  {entry.kind:<12} {printable(entry.title)}{state}"]
    lines.extend(f"{'':26}{label}: {printable(value)}" for label, value in entry.facts)
    if entry.body is not None:
        body = (
            entry.body
            if isinstance(entry.body, str)
            else json.dumps(entry.body, ensure_ascii=False, indent=1)
        )
        lines.extend(f"{'':26}| {printable(line)}" for line in body[:4000].splitlines())
    return lines


def _job_line(job: OutboxRow) -> str:
    error = f"  {printable(job.last_error)}" if job.last_error else ""
    return f"  {job.state:<8} {job.topic:<22} {job.id}  attempts {job.attempts}{error}"


def printable(text: str) -> str:
    """Without control characters: a ticket's text must not be able to drive the operator's terminal."""
    return "".join(char if char.isprintable() or char == " " else "·" for char in text)


def as_json(trail: Trail) -> dict[str, Any]:
    """Every row as plain JSON values (times in ISO form, amounts as text), secrets of inbound headers masked."""
    fields = {name: getattr(trail, name) for name in trail.__struct_fields__}
    raw = {name: _plain(value) for name, value in fields.items()}
    for row in raw["inbound"]:
        row["headers"] = {
            name: "(hidden)" if any(word in name.lower() for word in _SECRET_HEADERS) else value
            for name, value in row["headers"].items()
        }
    return raw


def _plain(value: Any) -> Any:
    if isinstance(value, Base):
        return {
            attribute.key: _plain(getattr(value, attribute.key))
            for attribute in inspect(type(value)).column_attrs
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - rows or JSON
    if isinstance(value, bytes):
        return value[:65_536].decode("utf-8", "replace")
    return msgspec.to_builtins(value)
