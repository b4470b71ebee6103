"""What PagerDuty gave up sending is found in its log, page by page, and means the same as the lost webhook: same route,
same ticket, same key. A subscription that PagerDuty disabled is switched on first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.pagerduty.api import api
from connectors.pagerduty.enrich import enricher
from connectors.pagerduty.normalize import normalize
from connectors.pagerduty.reconcile import PagerDutyReconciler, reconciler
from connectors.pagerduty.reply import writer
from core import clock
from core.errors import Misconfigured, Retryable
from core.intake.envelope import (
    RECONCILED,
    Addition,
    Cancellation,
    Escalation,
    Ignored,
    InboundDelivery,
    Reading,
    Wanted,
)
from tests.fakes.pagerduty import Fault
from tests.fakes.pagerduty_lab import BOT_ID, HOOK, Lab, lab, settings_for, write

Meaning = tuple[str, str, str, str]  # kind, route, ticket, key or item


@pytest.fixture
async def here() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


async def changes(here: Lab, since_ms: int = 0, most: int | None = None) -> list[InboundDelivery]:
    found = reconciler(here.settings, here.tools)
    assert found is not None
    if most is not None:
        found = PagerDutyReconciler(here.settings, api(here.settings, here.tools), most)
    return [one async for one in found.changes(since_ms)]


async def reading(here: Lab, delivery: InboundDelivery) -> Reading:
    """As the hub reads it, with what the route wants to see."""
    routes = here.settings.inbound.routes
    found = normalize(here.settings, delivery, routes, None)
    if isinstance(found, Wanted):
        context = await enricher(here.settings, here.tools).fetch(found)
        found = normalize(here.settings, delivery, routes, context)
    return found


async def meanings(here: Lab, deliveries: list[InboundDelivery]) -> list[Meaning]:
    found: list[Meaning] = []
    for delivery in deliveries:
        match await reading(here, delivery):
            case Escalation() as one:
                found.append(("task", one.route, one.ticket.id, one.key))
            case Cancellation() as one:
                found.append(("cancel", one.route, one.ticket.id, one.key))
            case Addition() as one:
                found.append(("add", one.route, one.ticket.id, one.origin.item_ids[0]))
            case _:
                pass
    return found


async def test_the_log_means_what_the_webhooks_meant(here: Lab) -> None:
    hooks = here.listen()
    urgent = here.begin("Urgent", "P1")
    here.world.escalate(urgent, here.ann)
    asked, noted, over = here.begin("Asked"), here.begin("Noted"), here.begin("Over", "P2")
    here.ask(asked)
    here.world.add_note(noted, "/ask is it safe to roll back?", here.ann)
    here.world.add_note(noted, "/ask and to wait?", here.ann)
    here.world.add_note(noted, "restarting the workers", here.ann)
    here.world.resolve(over, here.ann)
    webhooks = await meanings(here, here.sent(hooks))
    deliveries = await changes(here)
    log = await meanings(here, deliveries)
    # Of an incident that is over, the log tells the end alone.
    assert [one for one in webhooks if one[:3] != ("task", "urgent-incident", over)] == log
    assert {one[:2] for one in log} == {
        ("task", "urgent-incident"),
        ("task", "human-check-requested"),
        ("task", "note-command"),
        ("add", "said-on-incident"),
        ("cancel", "incident-over"),
    }
    assert {one.verified_by for one in deliveries} == {RECONCILED}
    ids = [one.delivery_id for one in deliveries]
    assert len(set(ids)) == len(ids)
    assert all(one.split(":")[0] == "recon" and one.split(":")[1] in here.world.incidents for one in ids)


async def test_the_same_payload_comes_out(here: Lab) -> None:
    hooks = here.listen()
    here.begin("Urgent", "P1")
    [webhook], [found] = here.sent(hooks), await changes(here)
    by_webhook, by_log = await reading(here, webhook), await reading(here, found)
    assert isinstance(by_webhook, Escalation)
    assert by_webhook == by_log


async def test_a_second_between_webhook_and_log_makes_no_second_task(here: Lab) -> None:
    """Two clocks told the two times: the entry's is rounded, the event's has milliseconds."""
    asked = here.begin("Asked")
    hooks = here.listen()
    here.ask(asked)
    here.world.log[-1]["created_at"] = "2026-01-01T00:00:00Z"
    [webhook] = here.sent(hooks)
    found = (await changes(here))[0]
    assert found.event_type == "incident.custom_field_values.updated"
    assert await meanings(here, [webhook]) == await meanings(here, [found])


async def test_asking_again_by_field_after_an_answer_is_a_new_task(here: Lab) -> None:
    asked, hooks = here.begin("Asked"), here.listen()
    here.ask(asked)
    [first] = await meanings(here, here.sent(hooks))
    answer = {"human_check": "answered", "human_task": "tsk_1"}
    await writer(here.settings, here.tools).write(write(asked, "custom_fields", answer))
    assert await meanings(here, here.sent(hooks)) == []
    assert await meanings(here, await changes(here)) == [], "an answered request is not asked again"
    here.ask(asked)
    [second] = await meanings(here, here.sent(hooks))
    assert (first[3], second[3]) == ("human_check:first:0", "human_check:tsk_1:0")
    # Today's values are in both entries of the log: one task all the same.
    assert set(await meanings(here, await changes(here))) == {second}


async def test_asking_again_after_the_incident_came_back_is_a_new_task(here: Lab) -> None:
    asked, hooks = here.begin("Asked"), here.listen()
    here.ask(asked)
    here.world.resolve(asked, here.ann)
    here.sent(hooks)
    assert await meanings(here, await changes(here)) == [("cancel", "incident-over", asked, asked)]
    here.world.acknowledge(asked, here.ann)
    here.ask(asked, "again")
    here.ask(asked)
    found = await meanings(here, here.sent(hooks))
    assert found == [("task", "human-check-requested", asked, "human_check:first:1")]
    assert set(await meanings(here, await changes(here))) == set(found)


async def test_what_the_hub_did_itself_asks_nobody(here: Lab) -> None:
    incident_id = here.begin("Quiet")
    port = writer(here.settings, here.tools)
    for number, (kind, body) in enumerate(
        [("note", "/ask myself"), ("custom_fields", {"human_check": "requested"}), ("resolve", {})], 1
    ):
        await port.write(write(incident_id, kind, body, number))
    found = await changes(here)
    assert {one.event_type for one in found} == {"incident.annotated", "incident.resolved"}
    for one in found:
        outcome = await reading(here, one)
        assert isinstance(outcome, Ignored)
        assert BOT_ID in outcome.reason


async def test_every_page_is_read_oldest_first(here: Lab) -> None:
    incidents = [here.begin(f"Incident {number}", "P1") for number in range(230)]
    found = await changes(here)
    assert [one.delivery_id.split(":")[1] for one in found] == incidents
    pages = [path for _, path, _ in here.world.requests if path == "/log_entries"]
    assert len(pages) == 3


async def test_more_than_the_api_pages_through_is_asked_for_by_time(here: Lab) -> None:
    """offset + limit may not pass 10,000; here the limit is 200, and each second has a few entries."""
    incidents = [here.begin(f"Incident {number}", "P1") for number in range(530)]
    for number, entry in enumerate(here.world.log):
        entry["created_at"] = f"2026-01-01T00:{number // 3 // 60:02d}:{number // 3 % 60:02d}Z"
    found = await changes(here, most=200)
    assert [one.delivery_id.split(":")[1] for one in found] == incidents


async def test_what_is_older_than_the_last_look_is_left(here: Lab) -> None:
    old, new = here.begin("Old", "P1"), here.begin("New", "P1")
    here.world.log[0]["created_at"] = "2026-01-01T00:00:00Z"
    since = clock.to_ms(clock.now()) - 3_600_000
    assert [one.delivery_id.split(":")[1] for one in await changes(here, since)] == [new]
    assert {one.delivery_id.split(":")[1] for one in await changes(here)} == {old, new}


async def test_an_entry_without_its_incident_is_looked_up(here: Lab) -> None:
    """`include[]=incidents` is a wish; some entries carry the reference alone."""
    incident_id = here.begin("Urgent", "P1")
    whole = here.world.log[0]["incident"]
    here.world.log[0]["incident"] = {name: whole[name] for name in ("id", "type", "self", "html_url", "summary")} | {
        "number": 1, "created_at": None, "assignees": [],
    }  # fmt: skip
    assert await meanings(here, await changes(here)) == [
        ("task", "urgent-incident", incident_id, incident_id)
    ]


async def test_an_incident_that_is_gone_holds_nobody_up(here: Lab) -> None:
    gone, there = here.begin("Gone"), here.begin("There")
    for incident_id in (gone, there):
        here.world.add_note(incident_id, "/ask who is there?", here.ann)
    del here.world.incidents[gone]
    assert {one[2] for one in await meanings(here, await changes(here))} == {there}


async def test_a_disabled_subscription_is_switched_on_first(here: Lab) -> None:
    hooks = here.listen()
    hooks.disabled = True
    other = here.world.subscribe(type(hooks)("https://elsewhere.example/hooks/in/another", ["s"]))
    other.disabled = True
    here.begin("Urgent", "P1")
    assert len(await changes(here)) == 1
    assert (hooks.disabled, other.disabled) == (False, True)
    assert hooks.url == HOOK
    posts = [(method, path) for method, path, _ in here.world.requests if method == "POST"]
    assert posts == [("POST", f"/webhook_subscriptions/{hooks.id}/enable")]
    await changes(here)
    assert len([one for one in here.world.requests if one[0] == "POST"]) == 1


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.NOT_FOUND])
async def test_a_key_that_may_not_see_subscriptions_still_reads_the_log(here: Lab, fault: Fault) -> None:
    here.begin("Urgent", "P1")
    here.vendor.next(fault)
    assert len(await changes(here)) == 1


async def test_refusals(here: Lab) -> None:
    here.begin("Urgent", "P1")
    for faults, error in (
        ([Fault.UNAUTHORIZED], Misconfigured),
        ([Fault.NONE, Fault.FORBIDDEN], Misconfigured),
        ([Fault.NONE, Fault.SERVER_ERROR_BEFORE], Retryable),
        ([Fault.NONE, Fault.RATE_LIMITED], Retryable),
        ([Fault.NONE, Fault.NOT_JSON], Retryable),
    ):
        here.vendor.next(*faults)
        with pytest.raises(error):
            await changes(here)
        assert not here.vendor.script


async def test_without_a_token_nobody_is_asked(here: Lab) -> None:
    assert reconciler(settings_for(here.vendor.url, token=""), here.tools) is None


async def test_only_routed_kinds_are_told(here: Lab) -> None:
    here.begin("Urgent", "P1")
    inbound = msgspec.structs.replace(here.settings.inbound, topics=["incident.resolved"])
    here.settings = msgspec.structs.replace(here.settings, inbound=inbound)
    assert await changes(here) == []
