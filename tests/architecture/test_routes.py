"""Every route says who may call it: a guard that knows the caller, or the reason why it is public."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from hub import auth
from hub.app import create_app
from hub.pages.guards import no_nul
from tests.architecture.source import ROOT

# Guards that look at the request, not at who sends it.
NOBODY_IN_PARTICULAR = {no_nul, auth.anyone}

# Only the table of routes is looked at; nothing is called.
SERVICES = SimpleNamespace(
    settings=SimpleNamespace(
        public_url="http://hub.test", rate_limit_per_minute=0, client_ip_header="", asks_per_minute=5
    ),
    work=None,
)


def handlers() -> dict[str, HTTPRouteHandler]:
    """`GET /v1/tasks` -> its handler."""
    app = create_app(cast("Any", SERVICES))
    found: dict[str, HTTPRouteHandler] = {}
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                found[f"{method} {route.path}"] = handler
    return found


HANDLERS = handlers()


def knows_its_caller(handler: HTTPRouteHandler) -> bool:
    return any(guard not in NOBODY_IN_PARTICULAR for guard in handler.resolve_guards())


@pytest.mark.parametrize("route", sorted(HANDLERS))
def test_a_route_knows_its_caller_or_says_why_not(route: str) -> None:
    handler = HANDLERS[route]
    reason = handler.opt.get("public")
    if reason is None:
        assert knows_its_caller(handler), f'{route} needs a guard, or opt={{"public": "why"}}'
    else:
        assert isinstance(reason, str)
        assert len(reason) >= len("the way in"), f"{route}: say in words why it is public"


def test_the_workers_api_is_written_down_route_by_route() -> None:
    text = (ROOT / "hub/api/WORKER.md").read_text()
    told = set(re.findall(r"^\| `([A-Z]+ /worker/api/[^`]+)` \|", text, re.MULTILINE))
    there = {re.sub(r":str}", "}", route) for route in HANDLERS if " /worker/api/" in route}
    assert told == there


def test_the_public_contract_is_there() -> None:
    assert {
        "POST /v1/tasks",
        "GET /v1/tasks",
        "POST /v1/tasks/batch",
        "GET /v1/usage",
        "POST /v1/webhooks",
        "GET /v1/webhooks",
        "GET /livez",
        "GET /readyz",
    } <= set(HANDLERS)


def test_an_api_route_is_never_public() -> None:
    public = [route for route, handler in HANDLERS.items() if handler.opt.get("public")]
    assert [
        route for route in public if " /v1/tasks" in route or " /v1/usage" in route or " /operator" in route
    ] == ["POST /operator/api/sign-in"]  # the way in: it trades a one-time link for a token
