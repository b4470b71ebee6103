"""The state of a simulated ServiceNow instance: records, journals, choices, access rules, deliveries of our scoped app and
its outbox. `servicenow_api.py` speaks HTTP over it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core import clock

Record = dict[str, str]
JOURNALS = ("work_notes", "comments")
HEADINGS = {"work_notes": "Work notes", "comments": "Additional comments"}
GROUP = "8a4dde73c6112278017a6a4baf547aa7"
INCIDENT: Record = {
    "number": "", "short_description": "", "description": "", "priority": "4", "state": "1", "active": "true",
    "assignment_group": "", "assigned_to": "", "caller_id": "", "close_code": "", "close_notes": "", "category": "",
    "correlation_id": "", "opened_at": "", "u_hitl_requested": "false", "u_answer": "", "work_notes": "", "comments": "",
    "sys_id": "", "sys_created_on": "", "sys_created_by": "", "sys_updated_on": "", "sys_updated_by": "",
    "sys_mod_count": "0",
}  # fmt: skip
REFERENCES = {"assignment_group": "sys_user_group", "assigned_to": "sys_user", "caller_id": "sys_user"}
DATES = ("opened_at", "sys_created_on", "sys_updated_on")
CHOICES = {
    "state": {
        "1": "New",
        "2": "In Progress",
        "3": "On Hold",
        "6": "Resolved",
        "7": "Closed",
        "8": "Canceled",
    },
    "close_code": {"Solution provided": "Solution provided", "Known error": "Known error"},
    "priority": {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low"},
}
CLOSED = ("6", "7", "8")
_CONDITION = re.compile(r"([a-z0-9_.]+)(>=|<=|!=|>|<|=|IN|LIKE|STARTSWITH)(.*)\Z")


@dataclass
class Entry:
    """One line of a journal."""

    record: str
    journal: str
    author: str
    at: datetime
    text: str


@dataclass
class Delivery:
    """A row of x_hitl_hub_delivery."""

    state: str
    outcome: dict[str, Any] = field(default_factory=dict)


class Refusal(Exception):
    """A documented refusal: status, message, detail."""

    def __init__(self, status: int, message: str, detail: str):
        super().__init__(message)
        self.status, self.message, self.detail = status, message, detail

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "detail": self.detail}, "status": "failure"}


NO_RECORD = ("No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class Instance:
    """`unwritable` fields are dropped behind a 200, `unreadable` ones are left out of answers, `hidden` records are
    removed after the limit was counted; `journal_reads` False gives empty journals with 200, as a missing ACL does."""

    def __init__(self, name: str = "acme"):
        self.name = name
        self.client_id, self.client_secret, self.user = "contract", "token", "svc.hitl"
        self.records: dict[str, dict[str, Record]] = {"incident": {}}
        self.entries: list[Entry] = []
        self.choices = {name: dict(values) for name, values in CHOICES.items()}
        self.unwritable: set[str] = set()
        self.unreadable: set[str] = set()
        self.hidden: set[str] = set()
        self.journal_reads = True
        self.needs_close_fields = False
        self.app_installed = True
        self.skips_own = True  # the rule's own loop guard; a hand-made sender may have none
        self.deliveries: dict[str, Delivery] = {}
        self.outbox: list[dict[str, Any]] = []
        self.zone = timedelta(0)
        self.group = GROUP
        self._shift = timedelta(0)

    # --- time

    def later(self, by: timedelta) -> None:
        """The instance's clock goes ahead."""
        self._shift += by

    @property
    def now(self) -> datetime:
        return clock.now() + self._shift

    # --- records

    def insert(self, values: Record, by: str = "fred.luddy", table: str = "incident") -> Record:
        rows = self.records.setdefault(table, {})
        record = {**INCIDENT, "sys_id": uuid.uuid4().hex, "sys_created_by": by}
        record["number"] = f"INC{len(rows) + 10001:07d}"
        record["sys_created_on"] = record["opened_at"] = stamp(self.now)
        rows[record["sys_id"]] = record
        self._apply(record, values, by)
        record["sys_updated_on"], record["sys_updated_by"] = stamp(self.now), by
        self._rule(record, {}, by)
        return record

    def update(self, record_id: str, values: dict[str, Any], by: str, table: str = "incident") -> Record:
        """One update; nothing is counted when nothing changes. Raises Refusal."""
        record = self.record(record_id, table)
        if self.needs_close_fields and values.get("state") in ("6", "7"):
            missing = [
                name for name in ("close_code", "close_notes") if not (values.get(name) or record[name])
            ]
            if missing:
                detail = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
                raise Refusal(403, "Operation Failed", detail)
        before = dict(record)
        allowed = {
            name: str(value)
            for name, value in values.items()
            if name in record and (by != self.user or name not in self.unwritable)
        }
        if self._apply(record, allowed, by):
            record["sys_mod_count"] = str(int(before["sys_mod_count"]) + 1)
            self._rule(record, before, by, tuple(name for name in JOURNALS if allowed.get(name)))
        return record

    def record(self, record_id: str, table: str = "incident") -> Record:
        if table not in self.records:
            raise Refusal(400, f"Invalid table {table}", "")
        found = self.records[table].get(record_id)
        if found is None or record_id in self.hidden:
            raise Refusal(404, *NO_RECORD)
        return found

    def _apply(self, record: Record, values: Record, by: str) -> bool:
        changed = False
        for name, value in values.items():
            if name.startswith("sys_") or name not in record:
                continue
            if name in JOURNALS:
                if value:
                    self.entries.append(Entry(record["sys_id"], name, by, self.now, value))
                    changed = True
            elif record[name] != value:
                record[name] = value
                changed = True
        if changed:
            record["sys_updated_on"], record["sys_updated_by"] = stamp(self.now), by
            record["active"] = "false" if record["state"] in ("7", "8") else "true"
        return changed

    def notes(self, record_id: str, journal: str = "work_notes") -> list[str]:
        """Texts, oldest first."""
        return [
            entry.text for entry in self.entries if entry.record == record_id and entry.journal == journal
        ]

    def journal(self, record_id: str, journal: str) -> str:
        """As display values give it: newest first, each with its heading in the reader's zone."""
        if not self.journal_reads or journal in self.unreadable:
            return ""
        found = [entry for entry in self.entries if entry.record == record_id and entry.journal == journal]
        return "".join(
            f"{stamp(entry.at + self.zone)} - {entry.author} ({HEADINGS[journal]})\n{entry.text}\n\n"
            for entry in reversed(found)
        )

    def query(self, table: str, encoded: str) -> list[Record]:
        """Records in order; only the operators that encoded queries share with their plainest use."""
        if table == "sys_choice":
            rows = [
                {"name": "incident", "element": element, "value": value, "label": label, "inactive": "false"}
                for element, values in self.choices.items()
                for value, label in values.items()
            ]
        elif table == "sys_journal_field":
            rows = []  # 200 and an empty list without its own ACL (rapid7/insightconnect-plugins PR #4061)
        elif table in self.records:
            rows = list(self.records[table].values())
        else:
            raise Refusal(400, f"Invalid table {table}", "")
        orders: list[tuple[str, bool]] = []
        for term in filter(None, encoded.split("^")):
            if term.startswith("ORDERBY"):
                down = term.startswith("ORDERBYDESC")
                orders.append((term.removeprefix("ORDERBYDESC" if down else "ORDERBY"), down))
            else:
                rows = [row for row in rows if _holds(term, row)]
        for name, down in reversed(orders):
            rows.sort(key=lambda row: row.get(name, ""), reverse=down)
        return rows

    # --- the scoped app

    def _rule(self, record: Record, before: Record, by: str, said: tuple[str, ...] = ()) -> None:
        """The app's business rule: an outbox row for a transition that asks, never for the integration user."""
        if by == self.user and self.skips_own:
            return
        reason = ""
        if record["state"] in CLOSED and before.get("state") not in CLOSED:
            reason = "closed"
        elif record["assignment_group"] == self.group and before.get("assignment_group") != self.group:
            reason = "assigned_to_hitl"
        elif record["u_hitl_requested"] == "true" and before.get("u_hitl_requested") != "true":
            reason = "hitl_requested"
        elif said and record["assignment_group"] == self.group:
            reason = "commented"
        if reason:
            self.outbox.append(
                self.event(record, reason, by, "record.updated" if before else "record.created")
            )

    def event(self, record: Record, reason: str, by: str, kind: str) -> dict[str, Any]:
        fields: dict[str, Any] = {
            name: {"value": value, "display_value": self.shown(name, value)}
            for name, value in record.items()
            if name not in JOURNALS
        }
        if reason == "commented":
            last = next(entry for entry in reversed(self.entries) if entry.record == record["sys_id"])
            fields[last.journal] = last.text
        return {
            "schema": "hitl.escalation.v1",
            "event_id": uuid.uuid4().hex,
            "type": kind,
            "sent_at": clock.iso(clock.now()),
            "source": {
                "system": "servicenow",
                "instance": self.name,
                "table": "incident",
                "id": record["sys_id"],
                "number": record["number"],
                "revision": record["sys_mod_count"],
            },
            "actor": {"id": by, "name": by},
            "reason": reason,
            "fields": fields,
            "attachments": [],
        }

    def deliver(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """PUT /api/x_hitl_hub/results/{key}, as package/src/server/results.js does it."""
        known = self.deliveries.get(key)
        if known is not None and known.state != "refused":
            return (200, known.outcome) if known.state == "done" else (409, {"state": "pending"})
        record = self.record(str(body["incident"]), str(body["table"]))
        closed = record["state"] in body["closed_states"] or record["active"] == "false"
        fields = dict(body["fields"])
        skipped = sorted(fields) if closed and body["on_conflict"] == "comment_only" else []
        texts = {name: body[name] for name in JOURNALS if body.get(name)}
        wanted = {**({} if skipped else fields), **texts}
        refused = [name for name in wanted if name in self.unwritable or name not in record]
        delivery = self.deliveries[key] = Delivery("pending")
        self.update(record["sys_id"], wanted, self.user, str(body["table"]))
        # Where the text itself was refused, the key is free again: somebody gives the right and delivers anew.
        delivery.state = "refused" if set(texts) & set(refused) or len(refused) == len(wanted) > 0 else "done"
        delivery.outcome = {
            "state": delivery.state,
            "incident": record["sys_id"],
            "written": [name for name in wanted if name not in refused],
            "refused": refused,
            "skipped": skipped,
            "revision": record["sys_mod_count"],
        }
        return 200, delivery.outcome

    # --- forms

    def shown(self, name: str, value: str) -> str:
        """The display value."""
        if name in DATES and value:
            return stamp(datetime.strptime(value, "%Y-%m-%d %H:%M:%S") + self.zone)
        return self.choices.get(name, {}).get(value, value)


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _holds(term: str, row: Record) -> bool:
    match = _CONDITION.match(term)
    if match is None:
        raise Refusal(400, "Invalid query", term)
    name, operator, wanted = match.groups()
    value = row.get(name, "")
    return {
        "=": value == wanted,
        "!=": value != wanted,
        ">": value > wanted,
        "<": value < wanted,
        ">=": value >= wanted,
        "<=": value <= wanted,
        "IN": value in wanted.split(","),
        "LIKE": wanted in value,
        "STARTSWITH": value.startswith(wanted),
    }[operator]
