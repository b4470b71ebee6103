"""A simulated PagerDuty account: incidents, notes, users, and the events they cause. Served by
`hub/demo/fake_pagerduty.py`; its webhooks leave through `hub/demo/fake_pagerduty_webhooks.py`."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from core import clock
from hub.demo.fake_pagerduty_webhooks import Subscription

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_NOTES = 2_000  # "max 2000 notes per incident" (REST API reference, create a note on an incident)
Thing = dict[str, Any]


class Refusal(Exception):
    """An error in PagerDuty's words (PagerDuty/developer-docs docs/REST-API/14-Errors.md)."""

    def __init__(self, status: int, code: int, message: str, *details: str):
        super().__init__(message)
        self.status = status
        self.body: Thing = {"error": {"message": message, "code": code, "errors": list(details)}}


def new_id(prefix: str = "P", length: int = 6) -> str:
    """`P` and six characters as older ids are; incidents of today are `Q` and thirteen. Random, so that the
    incidents of two runs never look like the same one to a hub that remembers."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def reference(thing: Thing) -> Thing:
    """The short form in which one resource names another."""
    names = ("id", "self", "html_url", "summary")
    kind = str(thing["type"]).removesuffix("_reference")
    return {"type": f"{kind}_reference", **{name: thing.get(name) for name in names}}


class PagerDuty:
    """One account. Methods named after what responders do change the state and put an event on every subscription;
    they raise Refusal. Nothing here does I/O. `requests` is the log of REST calls: (method, path, status)."""

    def __init__(self, token: str = "demo-token", account: str = "demo"):  # noqa: S107 -- a made-up account's made-up key
        self.token = token
        self.account = account
        self.users: dict[str, Thing] = {}
        self.incidents: dict[str, Thing] = {}
        self.notes: dict[str, list[Thing]] = {}
        self.merged: dict[str, str] = {}
        self.subscriptions: list[Subscription] = []
        self.requests: list[tuple[str, str, int]] = []

    # --- people and services

    def add_user(self, name: str, email: str, user_id: str | None = None) -> Thing:
        user = self._resource("users", "user", user_id or new_id(), name) | {"name": name, "email": email}
        self.users[user["id"]] = user
        return user

    def user_of(self, email: str) -> Thing:
        """The user who makes a request, by the `From` header."""
        for user in self.users.values():
            if user["email"] == email:
                return user
        raise Refusal(400, 1008, "Requester User Not Found")

    # --- incidents

    def incident(self, incident_id: str) -> Thing:
        if incident_id not in self.incidents:
            raise Refusal(404, 2100, "Not Found")
        return self.incidents[incident_id]

    def trigger(
        self,
        title: str,
        *,
        service: str = "Checkout API",
        priority: str | None = "P1",
        urgency: str = "high",
        agent: Thing | None = None,
    ) -> Thing:
        incident_id = new_id("Q", 13)
        incident = self._resource(
            "incidents", "incident", incident_id, f"[#{len(self.incidents) + 1}] {title}"
        )
        incident |= {
            "number": len(self.incidents) + 1,
            "status": "triggered",
            "incident_key": secrets.token_hex(16),
            "created_at": _now(),
            "title": title,
            "service": self._named("services", "service_reference", service),
            "assignees": [reference(user) for user in list(self.users.values())[:1]],
            "escalation_policy": self._named("escalation_policies", "escalation_policy_reference", "Default"),
            "teams": [],
            "priority": self._named("priorities", "priority_reference", priority) if priority else None,
            "urgency": urgency,
            "conference_bridge": None,
            "resolve_reason": None,
        }
        self.incidents[incident_id] = incident
        self.notes[incident_id] = []
        self._emit("incident.triggered", incident, agent)
        return incident

    def acknowledge(self, incident_id: str, agent: Thing | None = None) -> Thing:
        return self._move(incident_id, "acknowledged", "incident.acknowledged", agent)

    def resolve(self, incident_id: str, agent: Thing | None = None) -> Thing:
        return self._move(incident_id, "resolved", "incident.resolved", agent)

    def escalate(self, incident_id: str, agent: Thing | None = None) -> Thing:
        incident = self.incident(incident_id)
        if incident["status"] == "resolved":
            raise Refusal(400, 1006, "Cannot Escalate")
        incident["status"] = "triggered"
        self._emit("incident.escalated", incident, agent)
        return incident

    def merge(self, incident_id: str, into: str) -> None:
        """The source is resolved and takes no more notes."""
        self.incident(into)
        self.merged[incident_id] = into
        self.resolve(incident_id)

    # --- notes

    def add_note(self, incident_id: str, content: object, user: Thing) -> Thing:
        incident = self.incident(incident_id)
        if incident_id in self.merged:
            raise Refusal(
                400, 1019, "Incident Already Merged", f"It was merged into {self.merged[incident_id]}."
            )
        if not isinstance(content, str) or not content.strip():
            raise Refusal(400, 2001, "Invalid Input Provided", "Content cannot be empty.")
        if len(self.notes[incident_id]) >= MAX_NOTES:
            raise Refusal(400, 2019, "Product Limit Reached", f"An incident holds {MAX_NOTES} notes.")
        note: Thing = {
            "id": new_id(),
            "user": reference(user),
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": content,
            "created_at": _now(),
            "updated_at": _now(),
        }
        self.notes[incident_id].append(note)
        about = {"id": note["id"], "content": content, "trimmed": False, "type": "incident_note"}
        self._emit("incident.annotated", {"incident": reference(incident)} | about, user)
        return note

    def edit_note(self, incident_id: str, note_id: str, content: str) -> Thing:
        note = self.note(incident_id, note_id)
        note |= {"content": content, "updated_at": _now()}
        return note

    def delete_note(self, incident_id: str, note_id: str) -> None:
        self.notes[incident_id].remove(self.note(incident_id, note_id))

    def note(self, incident_id: str, note_id: str) -> Thing:
        self.incident(incident_id)
        for note in self.notes[incident_id]:
            if note["id"] == note_id:
                return note
        raise Refusal(404, 2100, "Not Found")

    # --- webhooks

    def subscribe(self, subscription: Subscription) -> Subscription:
        self.subscriptions.append(subscription)
        return subscription

    def ping(self) -> None:
        """The test delivery that `POST /webhook_subscriptions/{id}/ping` causes."""
        self._emit("pagey.ping", {"message": "Hello from your friend Pagey!", "type": "ping"}, None, "pagey")

    def _move(self, incident_id: str, status: str, event_type: str, agent: Thing | None) -> Thing:
        incident = self.incident(incident_id)
        if incident["status"] == "resolved":
            raise Refusal(400, 1001, "Incident Already Resolved")
        incident["status"] = status
        self._emit(event_type, incident, agent)
        return incident

    def _emit(
        self, event_type: str, data: Thing, agent: Thing | None, resource_type: str = "incident"
    ) -> None:
        event = {
            "id": new_id("01", 24),
            "event_type": event_type,
            "resource_type": resource_type,
            "occurred_at": _now(),
            "agent": reference(agent) if agent else None,
            "client": None,
            "data": data,
        }
        resource_id = str(data.get("incident", data).get("id", ""))
        for subscription in self.subscriptions:
            subscription.enqueue(resource_id, event_type, msgspec.json.encode({"event": event}))

    def _resource(self, kind: str, type_name: str, resource_id: str, summary: str) -> Thing:
        return {
            "id": resource_id,
            "type": type_name,
            "summary": summary,
            "self": f"https://api.pagerduty.com/{kind}/{resource_id}",
            "html_url": f"https://{self.account}.pagerduty.com/{kind}/{resource_id}",
        }

    def _named(self, kind: str, type_name: str, name: str) -> Thing:
        # The same name gives the same id: services and priorities are not objects of their own here.
        return self._resource(kind, type_name, "P" + name.upper().encode().hex()[:6].upper(), name)


def _now() -> str:
    return clock.iso(clock.now())
