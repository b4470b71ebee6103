"""Every connector by name. A new one is a sibling folder and one line here; it is imported when first asked for."""

from __future__ import annotations

from importlib import import_module

from connectors.connector import Connector
from connectors.expressions import nearest
from core.errors import Misconfigured

CONNECTORS: dict[str, str] = {
    "intercom": "connectors.intercom:CONNECTOR",
    "pagerduty": "connectors.pagerduty:CONNECTOR",
    "salesforce": "connectors.salesforce:CONNECTOR",
    "servicenow": "connectors.servicenow:CONNECTOR",
}


def connector(name: str) -> Connector:
    """The connector of that name. Raises Misconfigured for an unknown one."""
    if name not in CONNECTORS:
        raise Misconfigured(
            "unknown_connector",
            f"There is no connector `{name}`{nearest(name, CONNECTORS)}; known: {', '.join(sorted(CONNECTORS))}",
        )
    module, _, attribute = CONNECTORS[name].partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, Connector):
        raise TypeError(f"{CONNECTORS[name]} is not a Connector")
    return found
