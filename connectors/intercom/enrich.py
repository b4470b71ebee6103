"""What a route may want to see besides the notification: the whole conversation in plain text, the ticket, the
customer. Called by the hub's `inbound.received` job, outside any transaction."""

from __future__ import annotations

from typing import Any

from connectors.connector import Tools
from connectors.intercom.client import IntercomClient, client
from connectors.intercom.settings import IntercomSettings
from connectors.intercom.shapes import CONTACT, Target, member, objects, target_of
from core.intake.envelope import Wanted

CONTEXTS = frozenset({"conversation", "ticket", "contact"})


class IntercomEnricher:
    """Implements connectors/connector.Enricher."""

    def __init__(self, api: IntercomClient):
        self._api = api

    async def fetch(self, wanted: Wanted) -> dict[str, Any]:
        """`conversation` and `ticket` as the API gives them; `contact` is the first one of them, or null when there is
        none. A ticket's number is also that of its conversation."""
        target = target_of(wanted.ticket.id)
        found: dict[str, Any] = {}
        if "ticket" in wanted.names:
            found["ticket"] = await self._api.thing(target.number, ticket=True)
        if "conversation" in wanted.names:
            found["conversation"] = await self._api.thing(target.number, ticket=False, plain_text=True)
        if "contact" in wanted.names:
            found["contact"] = await self._contact(target, found)
        return found

    async def _contact(self, target: Target, found: dict[str, Any]) -> Any:
        thing = found.get("conversation") or found.get("ticket")
        if thing is None:
            thing = await self._api.thing(target.number, ticket=target.is_ticket)
        contacts = objects(member(thing, "contacts", "contacts"))
        contact_id = str(contacts[0].get("id")) if contacts else ""
        if not CONTACT.match(contact_id):
            return None
        return await self._api.ask(lambda api, _: api.contacts.find(contact_id))


def enricher(settings: IntercomSettings, tools: Tools) -> IntercomEnricher:
    """An enricher for one connector file."""
    return IntercomEnricher(client(settings, tools))
