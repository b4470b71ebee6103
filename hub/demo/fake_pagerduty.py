"""The simulated PagerDuty's REST API v2, as an aiohttp application over one `PagerDuty` account. The demo's simulator
process serves it on a loopback port of its own, tests on theirs (`tests/fakes/pagerduty.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hub.demo.fake_pagerduty_webhooks import Subscription, deliver, deliver_for_ever
from hub.demo.fake_pagerduty_world import PagerDuty, Refusal, Thing

__all__ = ["PagerDuty", "Subscription", "app", "deliver", "deliver_for_ever"]


def app(world: PagerDuty, middlewares: Sequence[Middleware] = ()) -> web.Application:
    """PagerDuty's REST API v2 over `world`; `middlewares` (the tests' faults) sit outermost."""
    application = web.Application(middlewares=[*middlewares, _vendor_manners(world)])
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
            response = _json(refusal.body, refusal.status)
        except web.HTTPException as error:
            response = _json({"error": {"message": error.reason, "code": 2100}}, error.status)
        world.requests.append((request.method, request.path, response.status))
        return response

    return manners


class Api:
    """The routes. Every body is wrapped in the name of its resource, as everywhere in the REST API v2."""

    def __init__(self, world: PagerDuty):
        self.world = world

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/users", self.users)
        router.add_get("/incidents", self.incidents)
        router.add_post("/incidents", self.create)
        router.add_get("/incidents/{id}", self.show)
        router.add_put("/incidents/{id}", self.update)
        router.add_get("/incidents/{id}/notes", self.notes)
        router.add_post("/incidents/{id}/notes", self.add_note)
        router.add_put("/incidents/{id}/notes/{note}", self.edit_note)
        router.add_delete("/incidents/{id}/notes/{note}", self.delete_note)

    async def users(self, request: web.Request) -> web.Response:
        query = request.query.get("query", "").lower()
        found = [
            u for u in self.world.users.values() if query in u["name"].lower() or query in u["email"].lower()
        ]
        return _page("users", found, request)

    async def incidents(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("statuses[]", ["triggered", "acknowledged", "resolved"])
        return _page(
            "incidents", [i for i in self.world.incidents.values() if i["status"] in wanted], request
        )

    async def create(self, request: web.Request) -> web.Response:
        agent, body = self._requester(request), await _wrapped(request, "incident")
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
        return _json({"incident": incident}, 201)

    async def show(self, request: web.Request) -> web.Response:
        return _json({"incident": self.world.incident(request.match_info["id"])})

    async def update(self, request: web.Request) -> web.Response:
        agent, body = self._requester(request), await _wrapped(request, "incident")
        incident_id = request.match_info["id"]
        incident = self.world.incident(incident_id)
        if "escalation_level" in body:
            self.world.escalate(incident_id, agent)
        match body.get("status"):
            case None:
                pass
            case "acknowledged":
                self.world.acknowledge(incident_id, agent)
            case "resolved":
                self.world.resolve(incident_id, agent)
            case _:
                raise Refusal(400, 1003, "Invalid Status Provided")
        return _json({"incident": incident})

    async def notes(self, request: web.Request) -> web.Response:
        self.world.incident(request.match_info["id"])
        return _json({"notes": list(reversed(self.world.notes[request.match_info["id"]]))})  # newest first

    async def add_note(self, request: web.Request) -> web.Response:
        user, body = self._requester(request), await _wrapped(request, "note")
        return _json({"note": self.world.add_note(request.match_info["id"], body.get("content"), user)})

    async def edit_note(self, request: web.Request) -> web.Response:
        self._requester(request)
        body = await _wrapped(request, "note")
        where = request.match_info
        return _json({"note": self.world.edit_note(where["id"], where["note"], str(body.get("content")))})

    async def delete_note(self, request: web.Request) -> web.Response:
        self._requester(request)
        self.world.delete_note(request.match_info["id"], request.match_info["note"])
        return web.Response(status=204)

    def _requester(self, request: web.Request) -> Thing:
        return self.world.user_of(request.headers.get("From", ""))


def _json(body: object, status: int = 200) -> web.Response:
    limits = {"ratelimit-limit": "960", "ratelimit-remaining": "959", "ratelimit-reset": "60"}
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", headers=limits
    )


async def _wrapped(request: web.Request, name: str) -> Thing:
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Thing])[name]
    except (msgspec.DecodeError, KeyError) as error:
        raise Refusal(400, 2001, "Invalid Input Provided", f"The body must hold `{name}`.") from error


def _page(name: str, found: list[Thing], request: web.Request) -> web.Response:
    """Classic pagination: limit (25, at most 100) and offset."""
    limit, offset = min(int(request.query.get("limit", "25")), 100), int(request.query.get("offset", "0"))
    page = found[offset : offset + limit]
    return _json(
        {name: page, "limit": limit, "offset": offset, "more": offset + limit < len(found), "total": None}
    )
