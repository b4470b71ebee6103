"""Notes, comments and the other steps in Intercom's conversations and tickets: the TicketWriter port. Intercom has no
idempotency key, so what we said is found again by the marker in its text and by its author. Driven by the hub's reply
job."""

from __future__ import annotations

from typing import Any

from connectors.connector import Tools
from connectors.form import seconds
from connectors.intercom import steps
from connectors.intercom.calling import Work
from connectors.intercom.client import SYSTEM, IntercomClient, client
from connectors.intercom.settings import IntercomSettings
from connectors.intercom.shapes import NUMBER, Target, member, number_of, objects, parts_of, target_of
from connectors.intercom.steps import Assignee
from core import clock
from core.errors import Rejected, Uncertain
from core.replies.ticketing import Action, Call, Write

SPOKEN = ("note", "comment")


class IntercomWriter:
    """Implements core/replies/ticketing.TicketWriter for one connector file; writes as `admin`."""

    def __init__(self, api: IntercomClient, admin: str):
        self._api = api
        self._admin = admin
        self._tags: dict[str, str] = {}

    async def write(self, write: Write) -> str:
        """The id of the part for `note` and `comment`, else the step's name. A 2xx without our part counts as
        uncertain: `find` settles it."""
        target, action = target_of(write.ticket_id), only(write)
        if action.kind == "collect_agent_input":
            await self._api.answer_procedure(target.number, procedure_body(target, action))
        elif action.kind in SPOKEN:
            answer = await self._api.ask(self._spoken(target, write, action), writes=True)
            return part_id_in(answer, write.marker)
        elif action.kind == "untag":
            await self._untag(target, await self._tag_id(str(action.body)))
        else:
            await self._api.ask(await self._work(target, action), writes=True)
        return action.kind

    async def find(self, write: Write) -> str | None:
        """The oldest part of ours with our marker: whoever quotes it does so later, and under another name. Of the
        other steps only an assignment is looked for, because doing it again starts the team's rules again."""
        target, action = target_of(write.ticket_id), only(write)
        if action.kind not in (*SPOKEN, "assign"):
            return None
        thing = await self._api.thing(target.number, ticket=target.is_ticket)
        if action.kind == "assign":
            assignee = steps.named_assignee(str(member(action.body, "to")))
            wanted = assignee or steps.previous_assignee(parts_of(thing), self._admin)
            return action.kind if steps.is_assigned(thing, wanted) else None
        return self._ours(thing, write.marker)

    def preview(self, write: Write) -> list[Call]:
        """What `write` would send. Ids that it would look up first are shown as what is looked up."""
        target, action = target_of(write.ticket_id), only(write)
        if action.kind == "collect_agent_input":
            return [self._api.preview_procedure(target.number, procedure_body(target, action))]
        if action.kind in SPOKEN:
            return [self._api.preview(self._spoken(target, write, action))]
        if action.kind in ("tag", "untag"):
            name = str(action.body)
            build = steps.tagging if action.kind == "tag" else steps.untagging
            known = name if NUMBER.match(name) else self._tags.get(name)
            look = [] if known else [self._api.preview(lambda api, _: api.tags.list())]
            return [*look, self._api.preview(build(target, self._admin, known or f"id-of-tag-{name}"))]
        if action.kind == "ticket_state":
            state = str(action.body)
            known = state if NUMBER.match(state) else f"id-of-state-{state}"
            return [self._api.preview(self._stating(target, known))]
        if action.kind == "assign":
            assignee = steps.named_assignee(str(member(action.body, "to")))
            shown = assignee or Assignee(kind="admin", id="id-of-previous")
            return [self._api.preview(steps.assigning(target, self._admin, shown))]
        return [self._api.preview(self._simple(target, action))]

    async def _work(self, target: Target, action: Action) -> Work:
        match action.kind:
            case "tag":
                return steps.tagging(target, self._admin, await self._tag_id(str(action.body)))
            case "ticket_state":
                return self._stating(target, await self._state_id(str(action.body)))
            case "assign":
                return steps.assigning(target, self._admin, await self._assignee(target, action))
            case _:
                return self._simple(target, action)

    def _simple(self, target: Target, action: Action) -> Work:
        """The steps that need no look-up."""
        match action.kind:
            case "set_attributes" | "set_values":
                return steps.attributes(target, self._admin, action.body)
            case "close":
                return steps.closing(target, self._admin)
            case "open":
                return steps.opening(target, self._admin)
            case "snooze":
                until = clock.unix() + seconds(str(member(action.body, "lasting")))
                return steps.snoozing(target, self._admin, until)
            case _:
                raise Rejected("unknown_step", f"{SYSTEM} has no step `{action.kind}`.")

    def _spoken(self, target: Target, write: Write, action: Action) -> Work:
        text = str(action.body if action.kind == "note" else member(action.body, "body"))
        return steps.reply(target, action.kind, self._admin, marked(text, write.marker))

    def _stating(self, target: Target, state_id: str) -> Work:
        if not target.is_ticket:
            raise Rejected("not_a_ticket", "The step `ticket_state` is for tickets; this is a conversation.")
        return steps.stating(target, self._admin, state_id)

    async def _assignee(self, target: Target, action: Action) -> Assignee:
        named = steps.named_assignee(str(member(action.body, "to")))
        if named is not None:
            return named
        thing = await self._api.thing(target.number, ticket=target.is_ticket)
        return steps.previous_assignee(parts_of(thing), self._admin)

    async def _untag(self, target: Target, tag_id: str) -> None:
        try:
            await self._api.ask(steps.untagging(target, self._admin, tag_id), writes=True)
        except Rejected as error:
            if error.facts.get("status") != 404:  # 404: it does not carry the tag, which is what was wanted
                raise

    async def _tag_id(self, name: str) -> str:
        if NUMBER.match(name):
            return name
        if name not in self._tags:
            found = objects(member(await self._api.ask(lambda api, _: api.tags.list()), "data"))
            self._tags = {str(tag.get("name")): str(tag.get("id")) for tag in found}
        if name not in self._tags:
            raise Rejected(
                "no_such_tag", f"{SYSTEM} has no tag `{name}`; create it under Settings > Data > Tags."
            )
        return self._tags[name]

    async def _state_id(self, label: str) -> str:
        if NUMBER.match(label):
            return label
        listed = await self._api.ask(lambda api, _: api.ticket_states.list_ticket_states())
        for state in objects(member(listed, "data")):
            if str(state.get("internal_label")).casefold() == label.casefold():
                return str(state.get("id"))
        raise Rejected(
            "no_such_state",
            f"{SYSTEM} has no ticket state `{label}`; see Settings > Helpdesk > Tickets > Ticket states.",
        )

    def _ours(self, thing: object, marker: str) -> str | None:
        for part in parts_of(thing):
            body, part_id = part.get("body"), number_of(part.get("id"))
            own = str(member(part, "author", "id")) == self._admin
            if own and isinstance(body, str) and marker in body and part_id:
                return part_id
        return None


def only(write: Write) -> Action:
    """Each step is a write of its own here."""
    [action] = write.actions
    return action


def marked(text: str, marker: str) -> str:
    """The text with the marker in the open at its end. Raises Rejected for an empty text, which Intercom refuses."""
    if not text.strip():
        raise Rejected("empty_text", "The text of the note or comment (`body`) is empty; nothing was sent.")
    return text if marker in text else f"{text}\n<p>{marker}</p>"


def procedure_body(target: Target, action: Action) -> dict[str, Any]:
    if not target.step:
        raise Rejected(
            "not_a_procedure",
            "The step `collect_agent_input` answers a procedure.hitl_notification; this task came from another topic.",
        )
    return steps.agent_input(target.step, action.body)


def part_id_in(answer: object, marker: str) -> str:
    """A conversation's reply gives the whole conversation, a ticket's the new part. Raises Uncertain."""
    for part in reversed(parts_of(answer)):
        part_id = number_of(part.get("id"))
        if part_id and marker in str(part.get("body")):
            return part_id
    part_id = number_of(member(answer, "id"))
    if part_id and marker in str(member(answer, "body")):
        return part_id
    raise Uncertain("no_part_id", f"{SYSTEM} took the text but named no part for it.")


def writer(settings: IntercomSettings, tools: Tools) -> IntercomWriter:
    """A writer for one connector file."""
    return IntercomWriter(client(settings, tools), settings.act_as_admin)
