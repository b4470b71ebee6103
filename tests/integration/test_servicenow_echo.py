"""What a simulated ServiceNow sends back about our own writes makes no task, whoever it names as the author."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.servicenow.normalize import normalize
from connectors.servicenow.reply import writer
from connectors.servicenow.settings import ServiceNowSettings
from core.intake.envelope import Cancellation, Ignored, InboundDelivery
from core.replies.ticketing import Action
from tests.fakes.servicenow import serve
from tests.integration.servicenow_kit import HubTools, settings_for, write_for

STEPS = (
    Action(kind="note", body="Verified by 2 people."),
    Action(kind="comment", body="For the caller."),
    Action(kind="resolve", body={"state": "6", "close_code": "Solution provided", "close_notes": "done"}),
)


@pytest.mark.parametrize("via", ["table_api", "scripted_rest"])
async def test_every_echo_of_our_writes_is_known_by_author_and_by_text(via: str) -> None:
    """A sender without a loop guard, and then one that names somebody else as the author."""
    hub = HubTools()
    async with serve() as vendor:
        world, settings = vendor.world, settings_for(vendor.url, via)
        world.skips_own = False
        record_id = world.insert({"assignment_group": world.group})["sys_id"]
        world.outbox.clear()
        ids = [
            await writer(settings, hub.tools).write(write_for(record_id, step, number=number))
            for number, step in enumerate(STEPS)
        ]
    await hub.close()
    assert [event["reason"] for event in world.outbox] == ["commented", "commented", "closed"]
    for event, vendor_id in zip(world.outbox, ids, strict=True):
        assert isinstance(understood(settings, event), Ignored)
        event["actor"] = {"id": "x", "name": "x"}
        event["fields"]["sys_updated_by"] = "x"
        meaning = understood(settings, event)
        if event["reason"] == "commented":
            assert meaning == Ignored(reason="carries our own marker")
        else:  # no text to mark: the core knows it by the id that `write` gave back
            assert isinstance(meaning, Cancellation)
            assert meaning.origin.item_ids == (vendor_id,)


def understood(settings: ServiceNowSettings, event: dict[str, Any]) -> object:
    body = msgspec.json.encode(event)
    delivery = InboundDelivery(delivery_id="e", event_type="t", body=body, headers={}, verified_by=0)
    return normalize(settings, delivery, settings.inbound.routes)
