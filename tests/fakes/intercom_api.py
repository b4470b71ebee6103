"""The simulated workspace's REST API, version 2.14 and the one path of Preview, as an aiohttp application: paths, bodies,
headers, paging and errors as in intercom/Intercom-OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from connectors.expression_functions import html_to_text
from core import clock
from tests.fakes.intercom_objects import STATES, Refusal, Thing
from tests.fakes.intercom_workspace import Workspace

MOST_PARTS = 500  # GET /conversations/{id} gives no more, and the newest
WINDOW = 10  # seconds


class Limits:
    """The X-RateLimit headers: `left` calls in this window, and when it ends (unix time)."""

    def __init__(self) -> None:
        self.limit, self.left = 167, 167
        self.reset: Callable[[], int] = lambda: clock.unix() // WINDOW * WINDOW + WINDOW

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.left),
            "X-RateLimit-Reset": str(self.reset()),
        }


def app(world: Workspace, limits: Limits, middlewares: Sequence[Middleware] = ()) -> web.Application:
    """`middlewares` (the faults) sit outermost."""
    application = web.Application(middlewares=[*middlewares, _manners(world, limits)])
    Api(world).add_to(application.router)
    return application


def _manners(world: Workspace, limits: Limits) -> Middleware:
    @web.middleware
    async def manners(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Token, version, request log, rate-limit headers and Intercom's error bodies."""
        try:
            if request.headers.get("Authorization") != f"Bearer {world.token}":
                raise Refusal(401, "unauthorized", "Access Token Invalid")
            wanted = "Preview" if request.path.startswith("/procedures/") else "2."
            if not request.headers.get("Intercom-Version", "").startswith(wanted):
                raise Refusal(400, "intercom_version_invalid", "The requested version could not be found")
            response = await handler(request)
        except Refusal as refusal:
            response = _json(refusal.body, refusal.status)
        except web.HTTPException as error:
            response = _json(Refusal(error.status, "not_found", error.reason).body, error.status)
        response.headers.update(limits.headers())
        world.requests.append((request.method, request.path, response.status))
        return response

    return manners


class Api:
    """The routes."""

    def __init__(self, world: Workspace):
        self.world = world

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/me", self.me)
        router.add_get(
            "/admins", self._list("admin.list", "admins", lambda: list(self.world.admins.values()))
        )
        router.add_get("/teams", self._list("team.list", "teams", lambda: list(self.world.teams.values())))
        router.add_get("/tags", self._list("list", "data", self._tags))
        router.add_get("/data_attributes", self._list("list", "data", self._attributes))
        router.add_get("/ticket_states", self._list("list", "data", self._states))
        router.add_get("/contacts/{id}", self.contact)
        router.add_post("/conversations/search", self.search_conversations)
        router.add_get("/conversations/{id}", self.conversation)
        router.add_put("/conversations/{id}", self.update_conversation)
        router.add_post("/conversations/{id}/reply", self.reply)
        router.add_post("/conversations/{id}/parts", self.manage)
        router.add_post("/tickets/search", self.search_tickets)
        router.add_get("/tickets/{id}", self.ticket)
        router.add_put("/tickets/{id}", self.update_ticket)
        router.add_post("/tickets/{id}/reply", self.reply_to_ticket)
        for kind in ("conversations", "tickets"):
            router.add_post(f"/{{kind:{kind}}}/{{id}}/tags", self.tag)
            router.add_delete(f"/{{kind:{kind}}}/{{id}}/tags/{{tag}}", self.untag)
        router.add_post("/procedures/{id}/collect_agent_input", self.collect)

    async def me(self, _: web.Request) -> web.Response:
        admin = next(iter(self.world.admins.values()))
        app = {
            "type": "app",
            "id_code": self.world.app_id,
            "name": "Demo",
            "region": self.world.region,
            "timezone": "UTC",
        }
        return _json(
            {**admin, "email_verified": True, "app": {**app, "created_at": 1, "identity_verification": False}}
        )

    async def contact(self, request: web.Request) -> web.Response:
        contact = self.world.contacts.get(request.match_info["id"])
        if contact is None:
            raise Refusal(404, "not_found", "User Not Found")
        return _json(contact)

    async def conversation(self, request: web.Request) -> web.Response:
        found = self.world.conversation(request.match_info["id"])
        plain = request.query.get("display_as") == "plaintext"
        parts = [
            _shown(part, plain) for part in found["conversation_parts"]["conversation_parts"][-MOST_PARTS:]
        ]
        listed = {**found["conversation_parts"], "conversation_parts": parts}
        return _json({**found, "source": _shown(found["source"], plain), "conversation_parts": listed})

    async def update_conversation(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self.world.set_attributes(request.match_info["id"], body.get("custom_attributes") or {})
        return await self.conversation(request)

    async def reply(self, request: web.Request) -> web.Response:
        body, admin = await self._admin_body(request)
        self.world.say(request.match_info["id"], _message_type(body), admin, _text(body))
        return await self.conversation(request)

    async def manage(self, request: web.Request) -> web.Response:
        body, admin = await self._admin_body(request)
        number, kind = request.match_info["id"], body.get("message_type")
        if kind == "assignment":
            if body.get("type") not in ("admin", "team") or not isinstance(body.get("assignee_id"), str):
                raise Refusal(422, "parameter_invalid", "type and assignee_id are required", "assignee_id")
            self.world.assign(number, admin, body["type"], body["assignee_id"], body.get("body"))
        elif kind in ("close", "open", "snoozed"):
            if kind == "snoozed" and not isinstance(body.get("snoozed_until"), int):
                raise Refusal(422, "parameter_invalid", "snoozed_until is required", "snoozed_until")
            self.world.manage(number, kind, admin, body.get("body"), body.get("snoozed_until"))
        else:
            raise Refusal(422, "parameter_invalid", "message_type is invalid", "message_type")
        return await self.conversation(request)

    async def ticket(self, request: web.Request) -> web.Response:
        return _json(self.world.ticket(request.match_info["id"]))

    async def update_ticket(self, request: web.Request) -> web.Response:
        body = await _body(request)
        admin = (
            self.world.admins.get(str(body.get("admin_id")))
            if isinstance(body.get("admin_id"), int)
            else None
        )
        if admin is None:
            raise Refusal(400, "parameter_invalid", "admin_id is not an admin", "admin_id")
        return _json(self.world.change_ticket(request.match_info["id"], admin, body))

    async def reply_to_ticket(self, request: web.Request) -> web.Response:
        body, admin = await self._admin_body(request)
        return _json(
            self.world.say_on_ticket(request.match_info["id"], _message_type(body), admin, _text(body))
        )

    async def tag(self, request: web.Request) -> web.Response:
        body, _ = await self._admin_body(request, typed=False)
        return _json(self.world.tag(self._thing(request), str(body.get("id")), add=True))

    async def untag(self, request: web.Request) -> web.Response:
        await self._admin_body(request, typed=False)
        return _json(self.world.tag(self._thing(request), request.match_info["tag"], add=False))

    async def collect(self, request: web.Request) -> web.Response:
        body = await _body(request)
        step, values = body.get("step_id"), body.get("attribute_values")
        if not isinstance(step, str) or not isinstance(values, list):
            raise Refusal(422, "parameter_not_found", "step_id and attribute_values are required", "step_id")
        self.world.answer_procedure(request.match_info["id"], step, values)
        return _json({})

    async def search_conversations(self, request: web.Request) -> web.Response:
        bare = [
            {name: value for name, value in one.items() if name != "conversation_parts"}
            for one in self.world.conversations.values()
        ]
        return await _search(request, "conversation", bare)

    async def search_tickets(self, request: web.Request) -> web.Response:
        return await _search(request, "ticket", list(self.world.tickets.values()))

    def _thing(self, request: web.Request) -> Thing:
        get = self.world.ticket if request.match_info["kind"] == "tickets" else self.world.conversation
        return get(request.match_info["id"])

    async def _admin_body(self, request: web.Request, *, typed: bool = True) -> tuple[Thing, Thing]:
        body = await _body(request)
        admin = self.world.admins.get(body["admin_id"]) if isinstance(body.get("admin_id"), str) else None
        if admin is None:
            raise Refusal(422, "parameter_invalid", "admin_id is not an admin", "admin_id")
        managed = body.get("message_type") in ("open", "snoozed")  # these two take no `type`
        if typed and not managed and body.get("type") not in ("admin", "team"):
            raise Refusal(422, "parameter_invalid", "type is invalid", "type")
        return body, admin

    def _list(
        self, kind: str, name: str, things: Callable[[], list[Thing]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def listed(_: web.Request) -> web.Response:
            return _json({"type": kind, name: things()})

        return listed

    def _tags(self) -> list[Thing]:
        return [{"type": "tag", "id": tag_id, "name": name} for tag_id, name in self.world.tags.items()]

    def _attributes(self) -> list[Thing]:
        named = enumerate(self.world.attributes)
        common = {"type": "data_attribute", "model": "conversation", "data_type": "string", "archived": False}
        return [{**common, "id": n, "name": name, "full_name": name, "label": name} for n, name in named]

    def _states(self) -> list[Thing]:
        return [
            {
                "type": "ticket_state",
                "id": state,
                "category": category,
                "internal_label": label,
                "external_label": label,
            }
            for state, (category, label) in STATES.items()
        ]


async def _search(request: web.Request, kind: str, things: list[Thing]) -> web.Response:
    """`updated_at` alone, newest change first; the cursor is the place after which the next page begins."""
    body = await _body(request)
    query, page = body.get("query") or {}, body.get("pagination") or {}
    filters = query.get("value") if query.get("operator") == "AND" else [query]
    if not isinstance(filters, list) or not all(
        one.get("field") == "updated_at" and one.get("operator") == ">" for one in filters
    ):
        raise Refusal(400, "parameter_invalid", "the simulated search knows updated_at > alone", "query")
    found = [one for one in things if all(one["updated_at"] > int(part["value"]) for part in filters)]
    found.sort(key=lambda one: (-one["updated_at"], one["id"]))
    size, start = min(int(page.get("per_page", 20)), 150), int(page.get("starting_after") or 0)
    shown, end = found[start : start + size], start + size
    pages: Thing = {
        "type": "pages",
        "page": start // size + 1,
        "per_page": size,
        "total_pages": -(-len(found) // size),
    }
    if end < len(found):
        pages["next"] = {"page": start // size + 2, "starting_after": str(end)}
    return _json({"type": f"{kind}.list", "pages": pages, "total_count": len(found), f"{kind}s": shown})


def _message_type(body: Thing) -> str:
    if body.get("message_type") not in ("note", "comment"):
        raise Refusal(422, "parameter_invalid", "message_type is invalid", "message_type")
    return str(body["message_type"])


def _text(body: Thing) -> str:
    if not isinstance(body.get("body"), str) or not body["body"].strip():
        raise Refusal(422, "parameter_not_found", "body is required", "body")
    return str(body["body"])


def _shown(part: Thing, plain: bool) -> Thing:
    return {**part, "body": html_to_text(part["body"])} if plain and part.get("body") else part


async def _body(request: web.Request) -> Thing:
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refusal(400, "bad_request", "The request is not JSON") from error


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
