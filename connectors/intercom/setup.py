"""What the operator has to click at Intercom, with the values of this file filled in: `hub connectors setup`. Intercom
has no API for webhooks, so nothing is done there."""

from __future__ import annotations

from connectors.connector import Tools
from connectors.intercom.settings import HITL_TOPIC, IntercomSettings

HUB = "https://app.intercom.com/a/apps/_/developer-hub"


async def setup(settings: IntercomSettings, tools: Tools, public_url: str) -> list[str]:
    """One line for each thing to do, in order."""
    names = sorted(
        {name for s in settings.steps() for name in {**(s.set_attributes or {}), **(s.set_values or {})}}
    )
    tags = sorted({tag for s in settings.steps() for tag in (s.tag, s.untag) if tag})
    lines = [
        "Intercom has no API for webhooks; please click:",
        f"{HUB} > your app > Webhooks > Endpoint URL: {public_url.rstrip('/')}/hooks/in/{settings.id}",
        f"Webhooks > Select a topic, each of: {', '.join(sorted(set(settings.inbound.topics) - {'ping'}))}",
        f"Settings > Workspace > Teammates: {settings.act_as_admin} has an Inbox seat and belongs to the hub alone",
    ]
    if names:
        lines.append(f"Settings > Data > Conversations: the attributes {', '.join(names)}")
    if tags:
        lines.append(f"Settings > Data > Tags: {', '.join(tags)}")
    if HITL_TOPIC in settings.inbound.topics:
        lines.append(
            f"{HITL_TOPIC} needs an app of API version Preview, and Human in the loop by API enabled by Intercom"
        )
    return [*lines, f"Then: hub connectors doctor {settings.id} --ticket CONVERSATION"]
