"""A simulated Intercom workspace: conversations, tickets, teammates, tags and waiting procedures, and what people do
with them. Every change is told to `listeners` as the notification of that topic. `intercom_api.py` serves it over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from core import clock
from tests.fakes import intercom_objects as objects
from tests.fakes.intercom_objects import Refusal, Thing, parts_list

Listener = Callable[[str, Thing], None]  # (topic, the notification)

REPLIED = {
    "contact": "conversation.user.replied",
    "bot": "conversation.operator.replied",
    "admin": "conversation.admin.replied",
}
MANAGED = {"close": ("closed", "closed"), "open": ("open", "opened"), "snoozed": ("snoozed", "snoozed")}


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

    # --- who is there

    def add_admin(self, admin_id: str, name: str, *, seat: bool = True) -> Thing:
        self.admins[admin_id] = objects.admin(admin_id, name, seat=seat)
        return self.admins[admin_id]

    def add_team(self, team_id: str, name: str) -> None:
        self.teams[team_id] = {"type": "team", "id": team_id, "name": name, "admin_ids": []}

    def add_contact(self, name: str) -> Thing:
        contact_id = f"{len(self.contacts) + 1:024x}"
        self.contacts[contact_id] = objects.contact(contact_id, name, self.app_id)
        return self.contacts[contact_id]

    # --- conversations

    def begin(self, body: str, contact: Thing, **members: Any) -> Thing:
        """A customer writes: `conversation.user.created`."""
        number = str(next(self._ids))
        made = objects.conversation(number, str(next(self._parts)), self.now(), body, contact)
        self.conversations[number] = {**made, **members}
        self._tell("conversation.user.created", self._conversation_with([], number))
        return self.conversations[number]

    def say(self, number: str, part_type: str, author: Thing, body: str) -> Thing:
        """A `comment` or a `note`."""
        part = self._add(number, part_type, author, body)
        topic = "conversation.admin.noted" if part_type == "note" else REPLIED[author["type"]]
        self._tell(topic, self._conversation_with([part], number))
        return part

    def assign(self, number: str, author: Thing, kind: str, assignee: str, body: str | None = None) -> Thing:
        """To an admin or a team; `0` is nobody. A body sent along comes on this part and no other."""
        conversation, nobody = self.conversation(number), assignee == "0"
        if not nobody and assignee not in (self.admins if kind == "admin" else self.teams):
            raise Refusal(404, "assignee_not_found", "Assignee not found", "assignee_id")
        number_of_admin = int(assignee) if kind == "admin" else assignee
        conversation[f"{kind}_assignee_id"] = None if nobody else number_of_admin
        given = {"type": "nobody_admin", "id": None} if nobody else {"type": kind, "id": assignee}
        part = self._add(number, "assignment", author, body, assigned_to=given)
        self._tell("conversation.admin.assigned", self._conversation_with([part], number))
        return part

    def manage(
        self, number: str, kind: str, author: Thing, body: str | None = None, until: int | None = None
    ) -> Thing:
        """`close`, `open` or `snoozed`."""
        state, told = MANAGED[kind]
        self.conversation(number).update(state=state, open=state != "closed", snoozed_until=until)
        part = self._add(number, kind, author, body)
        self._tell(f"conversation.admin.{told}", self._conversation_with([part], number))
        return part

    def tag(self, thing: Thing, tag_id: str, *, add: bool) -> Thing:
        if tag_id not in self.tags:
            raise Refusal(404, "not_found", "Resource Not Found")
        tag = {"type": "tag", "id": tag_id, "name": self.tags[tag_id]}
        listed = thing.setdefault("tags", {"type": "tag.list", "tags": []})["tags"]
        if not add and tag not in listed:
            raise Refusal(404, "not_found", "Resource Not Found")
        if not add:
            listed.remove(tag)
        elif tag not in listed:
            listed.append(tag)
            if thing["type"] == "conversation":
                last = thing["conversation_parts"]["conversation_parts"][-1:]
                added = {"tags_added": {"type": "tag.list", "tags": [tag]}}
                self._tell(
                    "conversation_part.tag.created", {**self._conversation_with(last, thing["id"]), **added}
                )
        return tag

    def set_attributes(self, number: str, values: Thing) -> None:
        for name in values:
            if self.attributes.count(name) != 1:
                message = f"Custom attribute '{name}' does not exist or is ambiguous"
                raise Refusal(400, "parameter_invalid", message, name)
        conversation = self.conversation(number)
        conversation["custom_attributes"].update(values)
        conversation["updated_at"] = self.now()

    def conversation(self, number: str) -> Thing:
        if number not in self.conversations:
            raise Refusal(404, "not_found", "Resource Not Found")
        return self.conversations[number]

    # --- tickets

    def open_ticket(self, title: str, description: str, contact: Thing) -> Thing:
        number = str(next(self._ids))
        self.tickets[number] = objects.ticket(number, self.now(), title, description, contact)
        self._tell("ticket.created", self.tickets[number])
        return self.tickets[number]

    def say_on_ticket(self, number: str, part_type: str, author: Thing, body: str) -> Thing:
        part = self._add_to_ticket(number, part_type, author, body=body)
        who = "contact" if author["type"] == "contact" else "admin"
        topic = "ticket.note.created" if part_type == "note" else f"ticket.{who}.replied"
        self._tell(topic, self._wrapped(number, part))
        return part

    def change_ticket(self, number: str, author: Thing, changes: Thing) -> Thing:
        """`PUT /tickets/{id}`: state, attributes, assignee, open, snoozed_until."""
        ticket = self.ticket(number)
        if "ticket_state_id" in changes:
            before = ticket["ticket_state"]["category"]
            ticket["ticket_state"] = objects.ticket_state(changes["ticket_state_id"])
            states = {"ticket_state": ticket["ticket_state"]["category"], "previous_ticket_state": before}
            self._add_to_ticket(number, "ticket_state_updated_by_admin", author, **states)
            self._tell("ticket.state.updated", ticket)
        if "ticket_attributes" in changes:
            ticket["ticket_attributes"].update(changes["ticket_attributes"])
            self._changed("ticket.attribute.updated", number, "ticket_attribute_updated_by_admin", author)
        if "assignee_id" in changes:
            kind = "team" if changes["assignee_id"] in self.teams else "admin"
            ticket[f"{kind}_assignee_id"] = changes["assignee_id"]
            given = {"type": kind, "id": changes["assignee_id"]}
            self._changed(f"ticket.{kind}.assigned", number, "assignment", author, assigned_to=given)
        if changes.get("open") is False and ticket["open"]:
            ticket["open"] = False
            self._add_to_ticket(number, "close", author)
            self._tell("ticket.closed", ticket)
        ticket.update({name: changes[name] for name in ("open", "snoozed_until") if name in changes})
        ticket["updated_at"] = self.now()
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
        item = objects.waiting_step(self.app_id, number, question, attributes, expires_at)
        self.procedures[item["step_id"]] = {"item": item, "answer": None}
        self._tell("procedure.hitl_notification.created", item)
        return item

    def answer_procedure(self, number: str, step: str, values: list[Thing]) -> None:
        """First come, first served; every attribute is required; the value of a list is an option's id."""
        waiting = self.procedures.get(step)
        item: Thing = waiting["item"] if waiting else {}
        expires_at = item.get("expires_at")
        gone = waiting is None or item["conversation_id"] != number
        if waiting is None or gone or (expires_at is not None and expires_at <= self.now()):
            raise Refusal(404, "not_found", "This HITL request has expired")
        if waiting["answer"] is not None:
            raise Refusal(409, "conflict", "This HITL request has already been fulfilled")
        given = {one.get("identifier"): one.get("value") for one in values}
        for attribute in item["attributes_to_collect"]:
            value = given.get(attribute["identifier"])
            options = [option["id"] for option in attribute.get("options") or []]
            if value is None or (options and value not in options):
                message = f"Value of {attribute['label']} is missing or no option"
                raise Refusal(422, "parameter_invalid", message, attribute["identifier"])
        waiting["answer"] = given

    # --- inside

    def _add(self, number: str, part_type: str, author: Thing, body: str | None, **members: Any) -> Thing:
        conversation, at = self.conversation(number), self.now()
        made = objects.part(str(next(self._parts)), part_type, at, author, conversation["state"], body)
        part = {**made, **members}
        conversation["conversation_parts"]["conversation_parts"].append(part)
        conversation["conversation_parts"]["total_count"] += 1
        conversation["updated_at"] = at
        return part

    def _add_to_ticket(self, number: str, part_type: str, author: Thing, **members: Any) -> Thing:
        ticket, at = self.ticket(number), self.now()
        part = objects.ticket_part(str(next(self._parts)), part_type, at, author, members)
        ticket["ticket_parts"]["ticket_parts"].append(part)
        ticket["ticket_parts"]["total_count"] += 1
        ticket["updated_at"] = at
        return part

    def _changed(self, topic: str, number: str, part_type: str, author: Thing, **members: Any) -> None:
        part = self._add_to_ticket(number, part_type, author, **members)
        self._tell(topic, self._wrapped(number, part))

    def _conversation_with(self, parts: list[Thing], number: str) -> Thing:
        return {**self.conversations[number], "conversation_parts": parts_list("conversation_part", parts)}

    def _wrapped(self, number: str, part: Thing) -> Thing:
        """Only `ticket.created`, `.state.updated` and `.closed` come without this, and all with every part."""
        return {"type": "ticket_ticket_part", "ticket": self.tickets[number], "ticket_part": part}

    def _tell(self, topic: str, item: Thing) -> None:
        for listener in self.listeners:
            listener(topic, objects.notification(self.app_id, topic, self.now(), item))
