"""The simulated PagerDuty's REST API v2, as an aiohttp application over one `PagerDuty` account. The demo's simulator
process serves it on a loopback port of its own, tests on theirs (`tests/fakes/pagerduty.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hub.demo.fake_pagerduty_account import AccountApi, entries
from hub.demo.fake_pagerduty_answers import answer, body_of, page, wrapped
from hub.demo.fake_pagerduty_log import shown_incident
from hub.demo.fake_pagerduty_things import Refusal, Thing
from hub.demo.fake_pagerduty_webhooks import Subscription, deliver, deliver_for_ever
from hub.demo.fake_pagerduty_world import PagerDuty

__all__ = ["PagerDuty", "Subscription", "app", "deliver", "deliver_for_ever"]


def app(world: PagerDuty, middlewares: Sequence[Middleware] = ()) -> web.Application:
    """PagerDuty's REST API v2 over `world`; `middlewares` (the tests' faults) sit outermost."""
    application = web.Application(middlewares=[*middlewares, _vendor_manners(world)])
    AccountApi(world).add_to(application.router)
    Api(world).add_to(application.router)
    return application


def _vendor_manners(world: PagerDuty) -> Middleware:
    @web.middleware
    async def manners(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Token, request log, and PagerDuty's error bodies."""
        try:
            if request.headers.get("Authorization") not in (
                f"Token token={world.token}",
                f"Bearer {world.token}",
            ):
                raise Refusal(401, 2006, "Authentication failed")
            response = await handler(request)
        except Refusal as refusal:
            response = answer(refusal.body, refusal.status)
        except web.HTTPException as error:
            response = answer({"error": {"message": error.reason, "code": 2100}}, error.status)
        world.requests.append((request.method, request.path, response.status))
        return response

    return manners


class Api:
    """The incidents' routes. Every body is wrapped in the name of its resource, as nearly everywhere in the API."""

    def __init__(self, world: PagerDuty):
        self.world = world

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/incidents", self.incidents)
        router.add_post("/incidents", self.create)
        router.add_get("/incidents/{id}", self.show)
        router.add_put("/incidents/{id}", self.update)
        router.add_get("/incidents/{id}/alerts", self.alerts)
        router.add_get("/incidents/{id}/log_entries", self.log)
        router.add_get("/incidents/{id}/notes", self.notes)
        router.add_post("/incidents/{id}/notes", self.add_note)
        router.add_put("/incidents/{id}/notes/{note}", self.edit_note)
        router.add_delete("/incidents/{id}/notes/{note}", self.delete_note)
        router.add_get("/incidents/{id}/custom_fields/values", self.values)
        router.add_put("/incidents/{id}/custom_fields/values", self.set_values)
        router.add_post("/incidents/{id}/status_updates", self.publish)
        router.add_post("/incidents/{id}/responder_requests", self.request_responders)

    async def incidents(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("statuses[]", ["triggered", "acknowledged", "resolved"])
        found = [shown_incident(i) for i in self.world.incidents.values() if i["status"] in wanted]
        return page("incidents", found, request)

    async def create(self, request: web.Request) -> web.Response:
        agent, body = self._requester(request), await wrapped(request, "incident")
        if not isinstance(body.get("title"), str) or not body["title"]:
            raise Refusal(400, 2001, "Invalid Input Provided", "Title cannot be empty.")
        service, priority = (
            cast("Thing", body.get("service") or {}),
            cast("Thing", body.get("priority") or {}),
        )
        incident = self.world.trigger(
            body["title"],
            service=service.get("summary") or service.get("id") or "Default Service",
            priority=priority.get("summary") or priority.get("id"),
            urgency=body.get("urgency", "high"),
            agent=agent,
        )
        return answer({"incident": shown_incident(incident)}, 201)

    async def show(self, request: web.Request) -> web.Response:
        return answer({"incident": shown_incident(self._incident(request))})

    async def update(self, request: web.Request) -> web.Response:
        agent, body = self._requester(request), await wrapped(request, "incident")
        incident = self._incident(request)
        if "escalation_level" in body:
            self.world.escalate(incident["id"], agent)
        match body.get("status"):
            case None:
                pass
            case "acknowledged":
                self.world.acknowledge(incident["id"], agent)
            case "resolved":
                self.world.resolve(incident["id"], agent, said=str(body.get("resolution") or ""))
            case _:
                raise Refusal(400, 1003, "Invalid Status Provided")
        return answer({"incident": shown_incident(incident)})

    async def alerts(self, request: web.Request) -> web.Response:
        return page("alerts", self.world.alerts[self._incident(request)["id"]], request)

    async def log(self, request: web.Request) -> web.Response:
        incident = self._incident(request)
        mine = [entry for entry in self.world.log if entry["incident"]["id"] == incident["id"]]
        return page("log_entries", entries(mine, request), request)

    async def notes(self, request: web.Request) -> web.Response:
        incident_id = self._incident(request)["id"]
        return answer({"notes": list(reversed(self.world.notes[incident_id]))})  # newest first

    async def add_note(self, request: web.Request) -> web.Response:
        user, body = self._requester(request), await wrapped(request, "note")
        return answer({"note": self.world.add_note(request.match_info["id"], body.get("content"), user)})

    async def edit_note(self, request: web.Request) -> web.Response:
        self._requester(request)
        body = await wrapped(request, "note")
        where = request.match_info
        return answer({"note": self.world.edit_note(where["id"], where["note"], str(body.get("content")))})

    async def delete_note(self, request: web.Request) -> web.Response:
        self._requester(request)
        self.world.delete_note(request.match_info["id"], request.match_info["note"])
        return web.Response(status=204)

    async def values(self, request: web.Request) -> web.Response:
        return answer({"custom_fields": self.world.fields.values(self._incident(request)["id"])})

    async def set_values(self, request: web.Request) -> web.Response:
        """`From` is not required here; whom it names is the agent of the event."""
        wanted = (await body_of(request)).get("custom_fields")
        if not isinstance(wanted, list):
            raise Refusal(400, 2001, "Invalid Input Provided", "The body must hold `custom_fields`.")
        sender = request.headers.get("From")
        agent = self.world.user_of(sender) if sender else None
        fields = cast("list[Thing]", wanted)
        return answer({"custom_fields": self.world.set_fields(request.match_info["id"], fields, agent)}, 201)

    async def publish(self, request: web.Request) -> web.Response:
        user, body = self._requester(request), await body_of(request)
        made = self.world.publish(request.match_info["id"], body.get("message"), body.get("subject"), user)
        return answer({"status_update": made})

    async def request_responders(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        targets = cast("list[Thing]", body.get("responder_request_targets") or [])
        made = self.world.request_responders(
            request.match_info["id"], str(body.get("requester_id")), str(body.get("message")), targets
        )
        return answer({"responder_request": made})

    def _incident(self, request: web.Request) -> Thing:
        return self.world.incident(request.match_info["id"])

    def _requester(self, request: web.Request) -> Thing:
        return self.world.user_of(request.headers.get("From", ""))
