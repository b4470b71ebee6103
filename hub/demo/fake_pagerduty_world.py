"""A simulated PagerDuty account: incidents, notes, fields, users, and the events they cause. Served by
`hub/demo/fake_pagerduty.py`; its webhooks leave through `hub/demo/fake_pagerduty_webhooks.py`."""

from __future__ import annotations

import secrets

import msgspec

from hub.demo.fake_pagerduty_fields import Fields
from hub.demo.fake_pagerduty_log import ENTRY_OF, entry_for
from hub.demo.fake_pagerduty_things import (
    Refusal,
    Thing,
    instant,
    named,
    new_id,
    one_of,
    reference,
    resource,
    second,
)
from hub.demo.fake_pagerduty_webhooks import Subscription

MAX_NOTES = 2_000  # "max 2000 notes per incident" (REST API reference, create a note on an incident)


class PagerDuty:
    """One account. Methods named after what responders do change the state and put an event on every subscription;
    they raise Refusal. Nothing here does I/O. `requests` is the log of REST calls: (method, path, status)."""

    def __init__(self, token: str = "demo-token", account: str = "demo"):  # noqa: S107 -- a made-up account's made-up key
        self.token = token
        self.account = account
        self.abilities = ["teams", "coordinated_responding", "custom_fields"]
        self.users: dict[str, Thing] = {}
        self.incidents: dict[str, Thing] = {}
        self.notes: dict[str, list[Thing]] = {}
        self.alerts: dict[str, list[Thing]] = {}
        self.fields = Fields()
        for name in ("human_check", "human_verdict", "human_task"):
            self.fields.define(name)
        self.status_updates: dict[str, list[Thing]] = {}
        self.responders: dict[str, list[Thing]] = {}
        self.log: list[Thing] = []
        self.merged: dict[str, str] = {}
        self.subscriptions: list[Subscription] = []
        self.requests: list[tuple[str, str, int]] = []

    # --- people

    def add_user(self, name: str, email: str, user_id: str | None = None) -> Thing:
        user = resource(self.account, "users", "user", user_id or new_id(), name)
        user |= {"name": name, "email": email}
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
        incident_id, number = new_id("Q", 13), len(self.incidents) + 1
        incident = resource(self.account, "incidents", "incident", incident_id, f"[#{number}] {title}")
        incident |= {
            "number": number,
            "status": "triggered",
            "incident_key": secrets.token_hex(16),
            "created_at": second(),
            "title": title,
            "service": named(self.account, "services", "service_reference", service),
            "assignees": [reference(user) for user in list(self.users.values())[:1]],
            "escalation_policy": named(
                self.account, "escalation_policies", "escalation_policy_reference", "Default"
            ),
            "teams": [],
            "priority": self._priority(priority),
            "urgency": urgency,
            "conference_bridge": None,
            "resolve_reason": None,
        }
        self.incidents[incident_id] = incident
        for kept in (self.notes, self.status_updates, self.responders):
            kept[incident_id] = []
        alert = resource(self.account, "alerts", "alert", new_id("Q", 13), title)
        self.alerts[incident_id] = [alert | {"status": "triggered", "severity": "critical"}]
        self._emit("incident.triggered", incident, incident, agent)
        incident["first_trigger_log_entry"] = {
            "id": self.log[-1]["id"],
            "type": "trigger_log_entry_reference",
            "summary": self.log[-1]["summary"],
            "self": self.log[-1]["self"],
            "html_url": None,
        }
        return incident

    def acknowledge(self, incident_id: str, agent: Thing | None = None) -> Thing:
        """On a resolved incident it opens that again (REST API reference, update an incident)."""
        incident = self.incident(incident_id)
        if incident["status"] == "acknowledged":
            raise Refusal(400, 1002, "Incident Already Acknowledged")
        if incident["status"] == "resolved":
            self._emit("incident.reopened", incident, incident, agent)
        incident["status"] = "acknowledged"
        self._emit("incident.acknowledged", incident, incident, agent)
        return incident

    def resolve(
        self, incident_id: str, agent: Thing | None = None, reason: Thing | None = None, said: str = ""
    ) -> Thing:
        incident = self.incident(incident_id)
        if incident["status"] == "resolved":
            raise Refusal(400, 1001, "Incident Already Resolved")
        incident |= {"status": "resolved", "resolve_reason": reason}
        self._emit("incident.resolved", incident, incident, agent)
        self.log[-1]["channel"]["summary"] = said or None
        return incident

    def escalate(self, incident_id: str, agent: Thing | None = None) -> Thing:
        incident = self.incident(incident_id)
        if incident["status"] == "resolved":
            raise Refusal(400, 1006, "Cannot Escalate")
        incident["status"] = "triggered"
        self._emit("incident.escalated", incident, incident, agent)
        return incident

    def set_priority(self, incident_id: str, priority: str | None, agent: Thing | None = None) -> Thing:
        incident = self.incident(incident_id)
        incident["priority"] = self._priority(priority)
        self._emit("incident.priority_updated", incident, incident, agent)
        return incident

    def merge(self, incident_id: str, into: str) -> None:
        """The source is resolved and takes no more notes."""
        target = self.incident(into)
        self.merged[incident_id] = into
        self.resolve(incident_id, reason={"type": "merge_resolve_reason", "incident": reference(target)})

    # --- notes

    def add_note(self, incident_id: str, content: object, user: Thing) -> Thing:
        incident = self._unmerged(incident_id)
        if not isinstance(content, str) or not content.strip():
            raise Refusal(400, 2001, "Invalid Input Provided", "Content cannot be empty.")
        if len(self.notes[incident_id]) >= MAX_NOTES:
            raise Refusal(400, 2019, "Product Limit Reached", f"An incident holds {MAX_NOTES} notes.")
        now = second()
        note: Thing = {
            "id": new_id(),
            "user": reference(user),
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": content,
            "created_at": now,
            "updated_at": now,
        }
        self.notes[incident_id].append(note)
        about = {"id": note["id"], "content": content, "trimmed": False, "type": "incident_note"}
        self._emit("incident.annotated", incident, self._of(incident) | about, user)
        return note

    def edit_note(self, incident_id: str, note_id: str, content: str) -> Thing:
        note = self.note(incident_id, note_id)
        note |= {"content": content, "updated_at": second()}
        return note

    def delete_note(self, incident_id: str, note_id: str) -> None:
        self.notes[incident_id].remove(self.note(incident_id, note_id))

    def note(self, incident_id: str, note_id: str) -> Thing:
        self.incident(incident_id)
        return one_of(self.notes[incident_id], note_id)

    # --- fields, stakeholders, responders

    def set_fields(self, incident_id: str, wanted: list[Thing], agent: Thing | None = None) -> list[Thing]:
        incident = self._unmerged(incident_id)
        changed = self.fields.write(incident_id, wanted)
        values = self.fields.values(incident_id)
        about = {"custom_fields": values, "changed_custom_fields": changed, "type": "incident_field_values"}
        self._emit(
            "incident.custom_field_values.updated",
            incident,
            {"incident": reference(incident) | {"summary": None}} | about,
            agent,
        )
        return values

    def publish(self, incident_id: str, message: object, subject: object, user: Thing) -> Thing:
        """A status update, mailed to the stakeholders."""
        incident = self._unmerged(incident_id)
        if not isinstance(message, str) or not message.strip():
            raise Refusal(400, 2001, "Invalid Input Provided", "Message cannot be empty.")
        update = {"id": new_id(), "message": message, "created_at": second(), "sender": reference(user)}
        self.status_updates[incident_id].append(update | {"subject": subject})
        about = {"id": update["id"], "message": message, "trimmed": False, "type": "incident_status_update"}
        self._emit("incident.status_update_published", incident, self._of(incident) | about, user)
        return update

    def request_responders(
        self, incident_id: str, requester_id: str, message: str, targets: list[Thing]
    ) -> Thing:
        incident = self._unmerged(incident_id)
        if "coordinated_responding" not in self.abilities:
            raise Refusal(402, 2014, "Account does not have the ability", "coordinated_responding")
        if requester_id not in self.users or not targets:
            raise Refusal(400, 2001, "Invalid Input Provided", "Requester or targets are missing.")
        requester = self.users[requester_id]
        request = {
            "requester": reference(requester),
            "requested_at": second(),
            "message": message,
            "responder_request_targets": targets,
        }
        self.responders[incident_id].append(request)
        about = {"message": message, "state": "pending", "type": "incident_responder"}
        self._emit("incident.responder.added", incident, self._of(incident) | about, requester)
        return request

    # --- webhooks

    def subscribe(self, subscription: Subscription) -> Subscription:
        self.subscriptions.append(subscription)
        return subscription

    def ping(self, only: Subscription | None = None) -> None:
        """The test delivery that `POST /webhook_subscriptions/{id}/ping` causes."""
        data = {"message": "Hello from your friend Pagey!", "type": "ping"}
        for subscription in [only] if only else self.subscriptions:
            subscription.enqueue("", "pagey.ping", _event("pagey.ping", "pagey", None, data))

    def _emit(self, event_type: str, incident: Thing, data: Thing, agent: Thing | None) -> None:
        if event_type in ENTRY_OF:
            self.log.append(entry_for(event_type, incident, agent, data))
        body = _event(event_type, "incident", agent, data)
        for subscription in self.subscriptions:
            if subscription.covers(incident):
                subscription.enqueue(incident["id"], event_type, body)

    def _unmerged(self, incident_id: str) -> Thing:
        incident = self.incident(incident_id)
        if incident_id in self.merged:
            raise Refusal(
                400, 1019, "Incident Already Merged", f"It was merged into {self.merged[incident_id]}."
            )
        return incident

    def _of(self, incident: Thing) -> Thing:
        return {"incident": reference(incident) | {"summary": incident["title"]}}

    def _priority(self, name: str | None) -> Thing | None:
        return named(self.account, "priorities", "priority_reference", name) if name else None


def _event(event_type: str, resource_type: str, agent: Thing | None, data: Thing) -> bytes:
    event = {
        "id": new_id("01", 24),
        "event_type": event_type,
        "resource_type": resource_type,
        "occurred_at": instant(),
        "agent": reference(agent) if agent else None,
        "client": None,
        "data": data,
    }
    return msgspec.json.encode({"event": event})
