"""A simulated ServiceNow's HTTP: the Table API, `/oauth_token.do` and our scoped app's endpoints over one `Instance`, with
ServiceNow's error bodies and headers. Served by `servicenow.py`."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from core import clock
from tests.fakes.servicenow_world import JOURNALS, REFERENCES, Instance, Record, Refusal

JSON = {"Content-Type": "application/json;charset=UTF-8"}


def app(world: Instance, middlewares: Sequence[Middleware] = ()) -> web.Application:
    """The instance; `middlewares` (the tests' faults) sit outermost."""
    api = Api(world)
    application = web.Application(middlewares=[*middlewares, api.manners], client_max_size=16 * 1024 * 1024)
    router = application.router
    router.add_post("/oauth_token.do", api.token)
    router.add_get("/api/now/table/{table}", api.list)
    router.add_post("/api/now/table/{table}", api.create)
    router.add_get("/api/now/table/{table}/{id}", api.get)
    router.add_patch("/api/now/table/{table}/{id}", api.patch)
    router.add_put("/api/x_hitl_hub/results/{key}", api.result)
    router.add_get("/api/x_hitl_hub/check", api.check)
    application[API] = api
    return application


class Api:
    """`tokens` maps each token to the monotonic second of its end; `requests` is (method, path, status)."""

    def __init__(self, world: Instance):
        self.world = world
        self.tokens: dict[str, float] = {}
        self.basic: dict[str, str] = {}
        self.lifetime = 1799
        self.requests: list[tuple[str, str, int]] = []
        self.seen_headers: list[dict[str, str]] = []
        self.quota: int | None = None
        self.running = self.most_at_once = 0

    @web.middleware
    async def manners(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Authentication, rate limit, request log, error bodies, and a session cookie that must not come back."""
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        self.seen_headers.append({name.lower(): value for name, value in request.headers.items()})
        try:
            if not request.path.endswith("/oauth_token.do"):
                self._authenticate(request)
            response = self._limited() or await handler(request)
        except Refusal as refusal:
            response = web.Response(status=refusal.status, body=_bytes(refusal.body), headers=JSON)
        except web.HTTPNotFound:
            body = {"error": {"message": "Requested URI does not represent any resource", "detail": None}}
            response = web.Response(status=400, body=_bytes({**body, "status": "failure"}), headers=JSON)
        finally:
            self.running -= 1
        if isinstance(response, web.Response):
            response.set_cookie("JSESSIONID", secrets.token_hex(8))
        self.requests.append((request.method, request.path, response.status))
        return response

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and self.tokens.get(value, 0.0) > clock.monotonic():
            return
        if scheme == "Basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            if self.basic.get(user) == password:
                return
        raise Refusal(401, "User is not authenticated", "Required to provide Auth information")

    def _limited(self) -> web.Response | None:
        if self.quota is None:
            return None
        self.quota -= 1
        if self.quota >= 0:
            return None
        reset = clock.unix() + 120
        headers = {
            **JSON,
            "X-RateLimit-Limit": "100",
            "X-RateLimit-Reset": str(reset),
            "X-RateLimit-Rule": "Table API",
            "Retry-After": "120",
        }
        detail = "Rate limit of 100 requests per hour for Table API exceeded"
        refusal = Refusal(429, "Rate limit exceeded", detail)
        return web.Response(status=429, body=_bytes(refusal.body), headers=headers)

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _json(
                {"error": "unsupported_grant_type", "error_description": "grant type not supported"}, 400
            )
        if (form.get("client_id"), form.get("client_secret")) != (
            self.world.client_id,
            self.world.client_secret,
        ):
            return _json({"error": "access_denied", "error_description": "access_denied"}, 401)
        token = secrets.token_urlsafe(40)
        self.tokens[token] = clock.monotonic() + self.lifetime
        return _json(
            {
                "access_token": token,
                "scope": "useraccount",
                "token_type": "Bearer",
                "expires_in": self.lifetime,
            }
        )

    # --- Table API (ServiceNowDocs c_TableAPI.md)

    async def list(self, request: web.Request) -> web.Response:
        query = request.query
        rows = self.world.query(request.match_info["table"], query.get("sysparm_query", ""))
        limit, offset = int(query.get("sysparm_limit", "10000")), int(query.get("sysparm_offset", "0"))
        page = [row for row in rows[offset : offset + limit] if row.get("sys_id") not in self.world.hidden]
        headers = {**JSON, "X-Total-Count": str(len(rows))}
        if offset + limit < len(rows) and query.get("sysparm_suppress_pagination_header") != "true":
            following = request.url.update_query({"sysparm_offset": str(offset + limit)})
            headers["Link"] = f'<{following}>;rel="next"'
        return web.Response(
            body=_bytes({"result": [self._shape(row, request) for row in page]}), headers=headers
        )

    async def get(self, request: web.Request) -> web.Response:
        record = self.world.record(request.match_info["id"], request.match_info["table"])
        return _json({"result": self._shape(record, request)})

    async def create(self, request: web.Request) -> web.Response:
        record = self.world.insert(await _object(request), self.world.user, request.match_info["table"])
        return _json({"result": self._shape(record, request)}, 201)

    async def patch(self, request: web.Request) -> web.Response:
        info = request.match_info
        record = self.world.update(info["id"], await _object(request), self.world.user, info["table"])
        return _json({"result": self._shape(record, request)})

    def _shape(self, record: Record, request: web.Request) -> dict[str, Any]:
        """The record in the form that sysparm_display_value asks for."""
        query = request.query
        names = [name for name in query.get("sysparm_fields", "").split(",") if name] or list(record)
        form, bare = (
            query.get("sysparm_display_value", "false"),
            query.get("sysparm_exclude_reference_link") == "true",
        )
        return {
            name: self._member(record, name, form, bare)
            for name in names
            if name in record and name not in self.world.unreadable
        }

    def _member(self, record: Record, name: str, form: str, bare: bool) -> Any:
        value = record[name]
        shown = self.world.shown(name, value)
        if name in JOURNALS:
            shown = self.world.journal(record["sys_id"], name)
        link = f"https://{self.world.name}.service-now.com/api/now/table/{REFERENCES.get(name)}/{value}"
        linked = name in REFERENCES and bool(value) and not bare
        if form == "all":
            return {"display_value": shown, "value": value, **({"link": link} if linked else {})}
        if form == "true":
            return {"display_value": shown, "link": link} if linked else shown
        return {"link": link, "value": value} if linked else value

    # --- the scoped app

    async def result(self, request: web.Request) -> web.Response:
        self._installed()
        status, outcome = self.world.deliver(request.match_info["key"], await _object(request))
        return _json({"result": outcome}, status)

    async def check(self, request: web.Request) -> web.Response:
        self._installed()
        names = [name for name in request.query.get("fields", "").split(",") if name]
        known = next(iter(self.world.records["incident"].values()), {})
        return _json(
            {
                "result": {
                    "version": "1.0.0",
                    "secret": True,
                    "unreadable": [n for n in names if n in self.world.unreadable or n not in known],
                    "unwritable": [n for n in names if n in self.world.unwritable or n not in known],
                }
            }
        )

    def _installed(self) -> None:
        if not self.world.app_installed:
            raise web.HTTPNotFound


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body: object = msgspec.json.decode(await request.read())
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "Exception while reading request", "The payload is not valid JSON.")
    return cast("dict[str, Any]", body)


def _bytes(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body)


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=_bytes(body), headers=JSON)


API: web.AppKey[Api] = web.AppKey("api", Api)
