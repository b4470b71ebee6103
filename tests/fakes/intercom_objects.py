"""The objects of Intercom's API 2.14, whole: what the simulated workspace keeps, shows and sends. Pure."""

from __future__ import annotations

import copy
import uuid
from typing import Any

Thing = dict[str, Any]

STATES = {
    "4517893": ("submitted", "Submitted"),
    "4517894": ("in_progress", "In progress"),
    "4517896": ("resolved", "Resolved"),
}


class Refusal(Exception):
    """An error answer: {"type": "error.list", "request_id", "errors": [{code, message, field?}]}."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None):
        super().__init__(message)
        self.status = status
        error = {"code": code, "message": message, **({"field": field} if field else {})}
        request_id = str(uuid.UUID(int=len(message)))
        self.body = {"type": "error.list", "request_id": request_id, "errors": [error]}


def admin(admin_id: str, name: str, *, seat: bool) -> Thing:
    return {
        "type": "admin",
        "id": admin_id,
        "name": name,
        "email": f"{name.lower()}@demo.example",
        "away_mode_enabled": False,
        "away_mode_reassign": False,
        "has_inbox_seat": seat,
        "team_ids": [],
    }


def contact(contact_id: str, name: str, app_id: str) -> Thing:
    return {
        "type": "contact",
        "id": contact_id,
        "external_id": f"u-{contact_id[-4:]}",
        "role": "user",
        "name": name,
        "email": f"{name.lower()}@customer.example",
        "workspace_id": app_id,
        "custom_attributes": {},
    }


def author_of(person: Thing) -> Thing:
    kind = person.get("role", person["type"])
    return {"type": kind, "id": person["id"], "name": person["name"], "email": person["email"]}


def contacts_of(person: Thing) -> Thing:
    reference = {"type": "contact", "id": person["id"], "external_id": person["external_id"]}
    return {"type": "contact.list", "contacts": [reference]}


def parts_list(kind: str, parts: list[Thing]) -> Thing:
    """`kind` is `conversation_part` or `ticket_part`."""
    return {"type": f"{kind}.list", f"{kind}s": list(parts), "total_count": len(parts)}


def conversation(number: str, source_id: str, at: int, body: str, person: Thing) -> Thing:
    return {
        "type": "conversation",
        "id": number,
        "created_at": at,
        "updated_at": at,
        "title": None,
        "waiting_since": at,
        "snoozed_until": None,
        "open": True,
        "state": "open",
        "read": False,
        "priority": "not_priority",
        "admin_assignee_id": None,
        "team_assignee_id": None,
        "source": {
            "type": "conversation",
            "id": source_id,
            "delivered_as": "customer_initiated",
            "subject": "",
            "body": body,
            "author": author_of(person),
            "attachments": [],
            "url": None,
            "redacted": False,
        },
        "contacts": contacts_of(person),
        "tags": {"type": "tag.list", "tags": []},
        "custom_attributes": {},
        "conversation_parts": parts_list("conversation_part", []),
    }


def part(part_id: str, part_type: str, at: int, author: Thing, state: str, body: str | None) -> Thing:
    return {
        "type": "conversation_part",
        "id": part_id,
        "part_type": part_type,
        "body": body,
        "created_at": at,
        "updated_at": at,
        "notified_at": at,
        "assigned_to": None,
        "author": author_of(author),
        "attachments": [],
        "external_id": None,
        "redacted": False,
        "state": state,
        "tags": [],
    }


def ticket_state(state_id: str) -> Thing:
    if state_id not in STATES:
        raise Refusal(400, "ticket_state_id_invalid", "Ticket state id is invalid", "ticket_state_id")
    category, label = STATES[state_id]
    return {
        "type": "ticket_state",
        "id": state_id,
        "category": category,
        "internal_label": label,
        "external_label": label,
    }


def ticket(number: str, at: int, title: str, description: str, person: Thing) -> Thing:
    return {
        "type": "ticket",
        "id": number,
        "ticket_id": number[-8:],
        "category": "Customer",
        "is_shared": True,
        "ticket_attributes": {"_default_title_": title, "_default_description_": description},
        "ticket_state": ticket_state("4517893"),
        "ticket_type": {"type": "ticket_type", "id": "2979330", "name": "Tickets", "category": "Customer"},
        "contacts": contacts_of(person),
        "admin_assignee_id": "0",
        "team_assignee_id": "0",
        "created_at": at,
        "updated_at": at,
        "open": True,
        "snoozed_until": None,
        "company_id": None,
        "ticket_parts": parts_list("ticket_part", []),
    }


def ticket_part(part_id: str, part_type: str, at: int, author: Thing, members: Thing) -> Thing:
    return {
        "type": "ticket_part",
        "id": part_id,
        "part_type": part_type,
        "created_at": at,
        "updated_at": at,
        "author": author_of(author),
        "attachments": [],
        "redacted": False,
        **members,
    }


def waiting_step(
    app_id: str, number: str, question: str, attributes: list[Thing], expires_at: int | None
) -> Thing:
    """The item of `procedure.hitl_notification.created`."""
    return {
        "type": "procedure.hitl_notification",
        "app_id": app_id,
        "conversation_id": number,
        "step_id": str(uuid.uuid4()),
        "procedure_name": "Refund Request",
        "hitl_question": question,
        "attributes_to_collect": attributes,
        "callback_url": f"https://api.intercom.io/procedures/{number}/collect_agent_input",
        "expires_at": expires_at,
        "priority": "not_priority",
        "assign_to": None,
        "conversation_url": None,
        "recent_messages": [],
    }


def notification(app_id: str, topic: str, at: int, item: Thing) -> Thing:
    return {
        "type": "notification_event",
        "app_id": app_id,
        "id": f"notif_{uuid.uuid4()}",
        "topic": topic,
        "data": {"type": "notification_event_data", "item": copy.deepcopy(item)},
        "links": {},
        "delivery_status": "pending",
        "delivery_attempts": 1,
        "delivered_at": 0,
        "first_sent_at": at,
        "created_at": at,
        "self": None,
    }
