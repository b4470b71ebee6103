"""A simulated Intercom workspace: conversations, tickets, teammates, tags and waiting procedures, and what people do
with them. Every change is told to `listeners` as the notification of that topic. `intercom_api.py` serves it over HTTP."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any

from core import clock

Thing = dict[str, Any]
Listener = Callable[[str, Thing], None]  # (topic, the notification)

REPLIED = {
    "user": "conversation.user.replied",
    "lead": "conversation.user.replied",
    "bot": "conversation.operator.replied",
}
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
        self.body = {"type": "error.list", "request_id": str(uuid.UUID(int=len(message))), "errors": [error]}


class Workspace:
    """`token` is the app's access token, `now` the workspace's clock in unix seconds."""

    def __init__(self, token: str = "token", app_id: str = "abc123def", region: str = "US"):
        self.token, self.app_id, self.region = token, app_id, region
        self.now: Callable[[], int] = clock.unix
        self.listeners: list[Listener] = []
        self.requests: list[tuple[str, str, int]] = []
        self.admins: dict[str, Thing] = {}
        self.teams: dict[str, Thing] = {}
        self.contacts: dict[str, Thing] = {}
        self.tags: dict[str, str] = {}
        self.attributes: list[str] = []
        self.conversations: dict[str, Thing] = {}
        self.tickets: dict[str, Thing] = {}
        self.procedures: dict[str, Thing] = {}
        self._ids = count(215472621202693)
        self._parts = count(37358121213)

    # --- who and what there is

    def add_admin(self, admin_id: str, name: str, *, seat: bool = True) -> Thing:
        self.admins[admin_id] = {
            **{"type": "admin", "id": admin_id, "name": name, "email": f"{name.lower()}@demo.example"},
            **{
                "away_mode_enabled": False,
                "away_mode_reassign": False,
                "has_inbox_seat": seat,
                "team_ids": [],
            },
        }
        return self.admins[admin_id]

    def add_team(self, team_id: str, name: str) -> None:
        self.teams[team_id] = {"type": "team", "id": team_id, "name": name, "admin_ids": []}

    def add_contact(self, name: str) -> Thing:
        contact_id = f"{len(self.contacts) + 1:024x}"
        email = f"{name.lower()}@customer.example"
        self.contacts[contact_id] = {
            **{"type": "contact", "id": contact_id, "external_id": f"u-{contact_id[-4:]}", "role": "user"},
            **{"name": name, "email": email, "workspace_id": self.app_id, "custom_attributes": {}},
        }
        return self.contacts[contact_id]

    # --- conversations

    def begin(self, body: str, contact: Thing, **members: Any) -> Thing:
        """A customer writes: `conversation.user.created`."""
        number, at = str(next(self._ids)), self.now()
        author = self._author(contact)
        self.conversations[number] = {
            **{"type": "conversation", "id": number, "created_at": at, "updated_at": at, "title": None},
            **{"waiting_since": at, "snoozed_until": None, "open": True, "state": "open", "read": False},
            **{"priority": "not_priority", "admin_assignee_id": None, "team_assignee_id": None},
            "source": {
                **{
                    "type": "conversation",
                    "id": str(next(self._parts)),
                    "delivered_as": "customer_initiated",
                },
                **{
                    "subject": "",
                    "body": body,
                    "author": author,
                    "attachments": [],
                    "url": None,
                    "redacted": False,
                },
            },
            "contacts": {"type": "contact.list", "contacts": [self._reference(contact)]},
            "tags": {"type": "tag.list", "tags": []},
            "custom_attributes": {},
            "conversation_parts": _parts("conversation_part", []),
            **members,
        }
        self._tell("conversation.user.created", self._conversation_with([], number))
        return self.conversations[number]

    def say(self, number: str, part_type: str, author: Thing, body: str) -> Thing:
        """A `comment` or a `note`."""
        part = self._add(number, part_type, author, body)
        topic = (
            "conversation.admin.noted"
            if part_type == "note"
            else REPLIED.get(author["type"], "conversation.admin.replied")
        )
        self._tell(topic, self._conversation_with([part], number))
        return part

    def assign(self, number: str, author: Thing, kind: str, assignee: str, body: str | None = None) -> Thing:
        """To an admin or a team; `0` is nobody. A body sent along comes on this part and no other."""
        conversation = self.conversation(number)
        if assignee != "0" and assignee not in (self.admins if kind == "admin" else self.teams):
            raise Refusal(404, "assignee_not_found", "Assignee not found", "assignee_id")
        conversation[f"{kind}_assignee_id"] = (
            None if assignee == "0" else int(assignee) if kind == "admin" else assignee
        )
        given = None if assignee == "0" else {"type": kind, "id": assignee}
        part = self._add(number, "assignment", author, body, assigned_to=given)
        self._tell("conversation.admin.assigned", self._conversation_with([part], number))
        return part

    def manage(
        self, number: str, kind: str, author: Thing, body: str | None = None, until: int | None = None
    ) -> Thing:
        """`close`, `open` or `snoozed`."""
        conversation = self.conversation(number)
        state = {"close": "closed", "open": "open", "snoozed": "snoozed"}[kind]
        conversation.update(state=state, open=state != "closed", snoozed_until=until)
        part = self._add(number, kind, author, body)
        self._tell(
            f"conversation.admin.{ {'close': 'closed', 'open': 'opened', 'snoozed': 'snoozed'}[kind] }",
            self._conversation_with([part], number),
        )
        return part

    def tag(self, thing: Thing, tag_id: str, *, add: bool) -> Thing:
        if tag_id not in self.tags:
            raise Refusal(404, "not_found", "Resource Not Found")
        tag = {"type": "tag", "id": tag_id, "name": self.tags[tag_id]}
        listed = thing.setdefault("tags", {"type": "tag.list", "tags": []})["tags"]
        if not add:
            if tag not in listed:
                raise Refusal(404, "not_found", "Resource Not Found")
            listed.remove(tag)
        elif tag not in listed:
            listed.append(tag)
            if thing["type"] == "conversation":
                told = {
                    **self._conversation_with(
                        thing["conversation_parts"]["conversation_parts"][-1:], thing["id"]
                    )
                }
                self._tell(
                    "conversation_part.tag.created",
                    {**told, "tags_added": {"type": "tag.list", "tags": [tag]}},
                )
        return tag

    def set_attributes(self, number: str, values: Thing) -> None:
        for name in values:
            if self.attributes.count(name) != 1:
                raise Refusal(
                    400,
                    "parameter_invalid",
                    f"Custom attribute '{name}' does not exist or is ambiguous",
                    name,
                )
        conversation = self.conversation(number)
        conversation["custom_attributes"].update(values)
        conversation["updated_at"] = self.now()

    def conversation(self, number: str) -> Thing:
        if number not in self.conversations:
            raise Refusal(404, "not_found", "Resource Not Found")
        return self.conversations[number]

    # --- tickets

    def open_ticket(self, title: str, description: str, contact: Thing) -> Thing:
        """`ticket.created` and `ticket.state.updated`, in the same second."""
        number, at = str(next(self._ids)), self.now()
        self.tickets[number] = {
            **{
                "type": "ticket",
                "id": number,
                "ticket_id": number[-8:],
                "category": "Customer",
                "is_shared": True,
            },
            "ticket_attributes": {"_default_title_": title, "_default_description_": description},
            "ticket_state": self._state("4517893"),
            "ticket_type": {
                "type": "ticket_type",
                "id": "2979330",
                "name": "Tickets",
                "category": "Customer",
            },
            "contacts": {"type": "contact.list", "contacts": [self._reference(contact)]},
            **{
                "admin_assignee_id": "0",
                "team_assignee_id": "0",
                "created_at": at,
                "updated_at": at,
                "open": True,
            },
            **{"snoozed_until": None, "company_id": None, "ticket_parts": _parts("ticket_part", [])},
        }
        self._tell("ticket.created", self._ticket_with([], number))
        return self.tickets[number]

    def say_on_ticket(self, number: str, part_type: str, author: Thing, body: str) -> Thing:
        part = self._add_to_ticket(number, part_type, author, body=body)
        if part_type == "note":
            item = {
                "type": "ticket_ticket_part",
                "ticket": self._ticket_with([], number),
                "ticket_part": part,
            }
            self._tell("ticket.note.created", item)
        else:
            customer = author["type"] in ("user", "lead")
            self._tell(
                f"ticket.{'contact' if customer else 'admin'}.replied", self._ticket_with([part], number)
            )
        return part

    def change_ticket(self, number: str, author: Thing, changes: Thing) -> Thing:
        """`PUT /tickets/{id}`: state, attributes, assignee, open, snoozed_until."""
        ticket = self.ticket(number)
        if "ticket_state_id" in changes:
            before = ticket["ticket_state"]["category"]
            ticket["ticket_state"] = self._state(changes["ticket_state_id"])
            after = ticket["ticket_state"]["category"]
            part = self._add_to_ticket(
                number,
                "ticket_state_updated_by_admin",
                author,
                ticket_state=after,
                previous_ticket_state=before,
            )
            self._tell("ticket.state.updated", self._ticket_with([part], number))
        if "ticket_attributes" in changes:
            ticket["ticket_attributes"].update(changes["ticket_attributes"])
            part = self._add_to_ticket(number, "ticket_attribute_updated_by_admin", author)
            self._tell("ticket.attribute.updated", self._ticket_with([part], number))
        if "assignee_id" in changes:
            kind = "team" if changes["assignee_id"] in self.teams else "admin"
            ticket[f"{kind}_assignee_id"] = changes["assignee_id"]
            part = self._add_to_ticket(
                number, "assignment", author, assigned_to={"type": kind, "id": changes["assignee_id"]}
            )
            self._tell(f"ticket.{kind}.assigned", self._ticket_with([part], number))
        if changes.get("open") is False and ticket["open"]:
            part = self._add_to_ticket(number, "close", author)
            self._tell(
                "ticket.closed", {"type": "ticket_conversation", "ticket": self._ticket_with([part], number)}
            )
        ticket.update(
            {name: changes[name] for name in ("open", "snoozed_until") if name in changes},
            updated_at=self.now(),
        )
        return ticket

    def ticket(self, number: str) -> Thing:
        if number not in self.tickets:
            raise Refusal(404, "ticket_not_found", "Ticket not found")
        return self.tickets[number]

    # --- procedures

    def ask_a_human(
        self, number: str, question: str, attributes: list[Thing], *, expires_at: int | None = None
    ) -> Thing:
        """A Fin procedure reaches a step that waits for a person: `procedure.hitl_notification.created`."""
        step = str(uuid.uuid4())
        self.procedures[step] = {
            "conversation": number,
            "attributes": attributes,
            "expires_at": expires_at,
            "answer": None,
        }
        item = {
            **{
                "type": "procedure.hitl_notification",
                "app_id": self.app_id,
                "conversation_id": number,
                "step_id": step,
            },
            **{
                "procedure_name": "Refund Request",
                "hitl_question": question,
                "attributes_to_collect": attributes,
            },
            "callback_url": f"https://api.intercom.io/procedures/{number}/collect_agent_input",
            **{
                "expires_at": expires_at,
                "priority": "not_priority",
                "assign_to": None,
                "conversation_url": None,
            },
            "recent_messages": [],
        }
        self._tell("procedure.hitl_notification.created", item)
        return item

    def answer_procedure(self, number: str, step: str, values: list[Thing]) -> None:
        waiting = self.procedures.get(step)
        expired = waiting is None or (
            waiting["expires_at"] is not None and waiting["expires_at"] <= self.now()
        )
        if waiting is None or expired or waiting["conversation"] != number:
            raise Refusal(404, "not_found", "This HITL request has expired")
        if waiting["answer"] is not None:
            raise Refusal(409, "conflict", "This HITL request has already been fulfilled")
        given = {one.get("identifier"): one.get("value") for one in values}
        for attribute in waiting["attributes"]:
            value = given.get(attribute["identifier"])
            options = [option["id"] for option in attribute.get("options") or []]
            if value is None or (options and value not in options):
                raise Refusal(
                    422,
                    "parameter_invalid",
                    f"Value of {attribute['label']} is missing or no option",
                    attribute["identifier"],
                )
        waiting["answer"] = given

    # --- inside

    def _add(self, number: str, part_type: str, author: Thing, body: str | None, **members: Any) -> Thing:
        conversation, at = self.conversation(number), self.now()
        part: Thing = {
            **{
                "type": "conversation_part",
                "id": str(next(self._parts)),
                "part_type": part_type,
                "body": body,
            },
            **{
                "created_at": at,
                "updated_at": at,
                "notified_at": at,
                "assigned_to": None,
                "author": self._author(author),
            },
            **{
                "attachments": [],
                "external_id": None,
                "redacted": False,
                "state": conversation["state"],
                "tags": [],
            },
            **members,
        }
        conversation["conversation_parts"]["conversation_parts"].append(part)
        conversation["conversation_parts"]["total_count"] += 1
        conversation["updated_at"] = at
        return part

    def _add_to_ticket(self, number: str, part_type: str, author: Thing, **members: Any) -> Thing:
        ticket, at = self.ticket(number), self.now()
        part: Thing = {
            **{"type": "ticket_part", "id": str(next(self._parts)), "part_type": part_type, "created_at": at},
            **{"updated_at": at, "author": self._author(author), "attachments": [], "redacted": False},
            **members,
        }
        ticket["ticket_parts"]["ticket_parts"].append(part)
        ticket["ticket_parts"]["total_count"] += 1
        ticket["updated_at"] = at
        return part

    def _state(self, state_id: str) -> Thing:
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

    def _author(self, author: Thing) -> Thing:
        kind = author.get("role", author["type"])
        return {"type": kind, "id": author["id"], "name": author["name"], "email": author["email"]}

    def _reference(self, contact: Thing) -> Thing:
        return {"type": "contact", "id": contact["id"], "external_id": contact["external_id"]}

    def _conversation_with(self, parts: list[Thing], number: str) -> Thing:
        return {**self.conversations[number], "conversation_parts": _parts("conversation_part", parts)}

    def _ticket_with(self, parts: list[Thing], number: str) -> Thing:
        return {**self.tickets[number], "ticket_parts": _parts("ticket_part", parts)}

    def _tell(self, topic: str, item: Thing) -> None:
        at = self.now()
        notification = {
            **{
                "type": "notification_event",
                "app_id": self.app_id,
                "id": f"notif_{uuid.uuid4()}",
                "topic": topic,
            },
            "data": {"type": "notification_event_data", "item": copy.deepcopy(item)},
            **{"links": {}, "delivery_status": "pending", "delivery_attempts": 1, "delivered_at": 0},
            **{"first_sent_at": at, "created_at": at, "self": None},
        }
        for listener in self.listeners:
            listener(topic, notification)


def _parts(kind: str, parts: list[Thing]) -> Thing:
    return {"type": f"{kind}.list", f"{kind}s": list(parts), "total_count": len(parts)}
