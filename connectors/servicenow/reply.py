"""Answers on ServiceNow records: the TicketWriter port. Found through `connectors/registry.py`, driven by the hub's
reply job; `scripted.py` and `table_api.py` are the two ways."""

from __future__ import annotations

from connectors.connector import Tools
from connectors.servicenow.client import ServiceNowClient
from connectors.servicenow.scripted import ScriptedWriter
from connectors.servicenow.settings import ServiceNowSettings
from connectors.servicenow.table_api import TableWriter
from core.replies.ticketing import TicketWriter


def writer(settings: ServiceNowSettings, tools: Tools) -> TicketWriter:
    """A writer for one connector file; `writeback.via` says which."""
    client = ServiceNowClient(settings, tools)
    return ScriptedWriter(client) if settings.writeback.via == "scripted_rest" else TableWriter(client)
