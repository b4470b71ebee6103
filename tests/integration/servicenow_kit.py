"""What the ServiceNow integration tests share: settings for a simulated instance, and the hub's tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec

from connectors.config import load
from connectors.connector import Tools
from connectors.pauses import Pauses
from connectors.servicenow.settings import ServiceNowSettings, Writeback
from connectors.threads import Threads
from core.replies.ticketing import Action, Write

CONTRACT = Path(__file__).parents[1] / "contract" / "connectors" / "servicenow" / "config.yaml"
SECRETS = {
    "CONTRACT_TOKEN": "token",
    "CONTRACT_SECRET_A": "secret-a",
    "CONTRACT_SECRET_B": "secret-b",
    "CONTRACT_SECRET_OLD": "secret-old",
}


def settings_for(url: str, via: str = "table_api", **changes: Any) -> ServiceNowSettings:
    """The contract suite's file, pointed at `url`."""
    settings = load(CONTRACT.read_text(), "servicenow/config.yaml", SECRETS).settings
    assert isinstance(settings, ServiceNowSettings)
    writeback = msgspec.convert({"via": via, "settle": "1s"}, Writeback)
    return msgspec.structs.replace(settings, **{"test_base_url": url, "writeback": writeback, **changes})


class HubTools:
    """Tools whose HTTP client gives up after `timeout` seconds."""

    def __init__(self, timeout: float = 0.5):
        self.client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)
        self.threads = Threads(1, "test-servicenow")
        self.pauses = Pauses()
        self.tools = Tools(threads=self.threads, http=lambda: self.client, pauses=self.pauses)

    async def close(self) -> None:
        await self.client.aclose()
        self.threads.close()


def write_for(ticket_id: str, *actions: Action, number: int = 1) -> Write:
    name = f"rep_{number:032x}"
    done = actions or (Action(kind="note", body="Verified by 2 people."),)
    return Write(ticket_id=ticket_id, actions=done, marker=f"[hub:{name}]", key=name, task_id="t1")
