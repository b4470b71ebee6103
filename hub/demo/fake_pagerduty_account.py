"""The part of the simulated PagerDuty's REST API that is about the account: users, abilities, custom fields, the log and
the webhook subscriptions. The incidents' part is `fake_pagerduty.py`."""

from __future__ import annotations

import secrets
from typing import cast

from aiohttp import web

from connectors.pagerduty.settings import TOPICS
from hub.demo.fake_pagerduty_answers import answer, page, wrapped
from hub.demo.fake_pagerduty_log import shown_entry, shown_subscription
from hub.demo.fake_pagerduty_things import Refusal, Thing, one_of
from hub.demo.fake_pagerduty_webhooks import Subscription
from hub.demo.fake_pagerduty_world import PagerDuty

FILTERS = ("account_reference", "service_reference", "team_reference")


class AccountApi:
    """The routes."""

    def __init__(self, world: PagerDuty):
        self.world = world

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/users", self.users)
        router.add_get("/abilities", self.abilities)
        router.add_get("/incidents/custom_fields", self.custom_fields)
        router.add_get("/log_entries", self.log_entries)
        router.add_get("/log_entries/{entry}", self.log_entry)
        router.add_get("/webhook_subscriptions", self.subscriptions)
        router.add_post("/webhook_subscriptions", self.subscribe)
        router.add_post("/webhook_subscriptions/{id}/enable", self.enable)
        router.add_post("/webhook_subscriptions/{id}/ping", self.ping)

    async def users(self, request: web.Request) -> web.Response:
        query = request.query.get("query", "").lower()
        found = [
            u for u in self.world.users.values() if query in u["name"].lower() or query in u["email"].lower()
        ]
        return page("users", found, request)

    async def abilities(self, request: web.Request) -> web.Response:
        return answer({"abilities": self.world.abilities})

    async def custom_fields(self, request: web.Request) -> web.Response:
        return answer({"fields": self.world.fields.defined})

    async def log_entries(self, request: web.Request) -> web.Response:
        """Newest first, of the whole account; `since` and `until` are inclusive."""
        return page("log_entries", entries(self.world.log, request), request)

    async def log_entry(self, request: web.Request) -> web.Response:
        found = one_of(self.world.log, request.match_info["entry"])
        return answer({"log_entry": shown_entry(found, request.query.getall("include[]", []))})

    async def subscriptions(self, request: web.Request) -> web.Response:
        return page(
            "webhook_subscriptions", [shown_subscription(s) for s in self.world.subscriptions], request
        )

    async def subscribe(self, request: web.Request) -> web.Response:
        body = await wrapped(request, "webhook_subscription")
        method, scope = cast("Thing", body.get("delivery_method")), cast("Thing", body.get("filter"))
        events = cast("list[str]", body.get("events") or [])
        unknown = [event for event in events if event not in TOPICS or event == "pagey.ping"]
        if not isinstance(method.get("url"), str) or not events or unknown:
            raise Refusal(400, 2001, "Invalid Input Provided", f"Events: {', '.join(unknown) or 'empty'}")
        if scope.get("type") not in FILTERS or (scope["type"] == FILTERS[0]) != (not scope.get("id")):
            raise Refusal(400, 2001, "Invalid Input Provided", "The filter is not valid.")
        made = Subscription(method["url"], [secrets.token_urlsafe(32)], frozenset(events))
        made.filter, made.description = scope, str(body.get("description") or "")
        self.world.subscribe(made)
        return answer({"webhook_subscription": shown_subscription(made, with_secret=True)}, 201)

    async def enable(self, request: web.Request) -> web.Response:
        found = self._subscription(request)
        found.enable()
        return answer({"webhook_subscription": shown_subscription(found)})

    async def ping(self, request: web.Request) -> web.Response:
        self.world.ping(self._subscription(request))
        return web.Response(status=202)

    def _subscription(self, request: web.Request) -> Subscription:
        for found in self.world.subscriptions:
            if found.id == request.match_info["id"]:
                return found
        raise Refusal(404, 2100, "Not Found")


def entries(log: list[Thing], request: web.Request) -> list[Thing]:
    """Those of the asked time, newest first, as the API shows them."""
    since, until = request.query.get("since", "")[:19], request.query.get("until", "9")[:19]
    include = request.query.getall("include[]", [])
    return [
        shown_entry(entry, include) for entry in reversed(log) if since <= entry["created_at"][:19] <= until
    ]
