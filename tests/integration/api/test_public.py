"""What needs no key: health, the description and its page, the sandbox's Lightning addresses; and proof that nothing
else does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import yaml
from litestar import Litestar
from litestar.routes import HTTPRoute

from connectors.rails.bolt11 import decode
from core.db.migrate import downgrade, upgrade
from core.tasks.view import TaskView
from hub import api
from hub.api import schema
from hub.services import Services
from tests.integration.api.conftest import BASE, client_for, serving

VENDOR = Path(api.__file__).parents[1] / "static" / "vendor"


def routes(app: Litestar) -> list[tuple[str, str, Any]]:
    return [
        (method, route.path_format, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in sorted(handler.http_methods)
        if method != "OPTIONS"  # the framework's own; it tells the methods and nothing else
    ]


async def test_every_route_has_a_guard_or_says_why_not(app: Litestar) -> None:
    found = routes(app)
    bare = [
        f"{method} {path}"
        for method, path, handler in found
        if not handler.resolve_guards() and not handler.opt.get("public")
    ]
    assert len(found) > 15
    assert bare == []


async def test_everything_under_v1_wants_a_key(app: Litestar, stranger: httpx.AsyncClient) -> None:
    for method, path, _ in routes(app):
        if path.startswith("/v1/") and path not in ("/v1/healthz", "/v1/health"):
            answer = await stranger.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, path


async def test_health(stranger: httpx.AsyncClient, services: Services) -> None:
    for path in ("/livez", "/healthz", "/v1/healthz", "/v1/health"):
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    ready = await stranger.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "migrations": "ok", "queue": "ok"}, "warnings": []},
    )


async def test_a_missing_queue_is_a_warning(services: Services) -> None:
    async def no() -> bool:
        return False

    async with serving(dataclasses.replace(services, queue_answers=no)) as app, client_for(app) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["checks"]["queue"] == "unavailable"
    assert len(answer.json()["warnings"]) == 1


async def test_an_old_schema_is_not_ready(services: Services) -> None:
    await downgrade(services.database, "base")
    async with serving(services) as app, client_for(app) as client:
        old = await client.get("/readyz")
        await upgrade(services.database)
        new = await client.get("/readyz")

    assert (old.status_code, old.json()["checks"]["migrations"]) == (503, "not at head; run `hub migrate`")
    assert new.status_code == 200


async def test_the_description_covers_every_route_and_no_other(
    app: Litestar, stranger: httpx.AsyncClient
) -> None:
    described = (await stranger.get("/schema/openapi.json")).json()
    same = yaml.safe_load((await stranger.get("/schema/openapi.yaml")).text)

    assert same == described
    assert described["openapi"] == "3.1.0"
    assert described["servers"] == [{"url": f"{BASE}/v1"}]
    told = {(method.upper(), "/v1" + path) for path, item in described["paths"].items() for method in item}
    served = {
        (
            method,
            path.replace("{task_id}", "{taskId}")
            .replace("{endpoint_id}", "{endpointId}")
            .replace("{top_up_id}", "{topUpId}"),
        )
        for method, path, _ in routes(app)
        if path.startswith("/v1/")
    }
    assert served - told == {
        ("GET", "/v1/org/usage"),
        ("GET", "/v1/health"),
    }  # second names of described routes
    assert told - served == set()
    ids = [operation["operationId"] for item in described["paths"].values() for operation in item.values()]
    assert {"createTask", "listTasks", "getTask", "cancelTask", "testWebhook", "getUsage"} <= set(ids)
    assert len(ids) == len(set(ids))
    for item in described["paths"].values():
        for operation in item.values():
            assert "401" in operation["responses"] or operation.get("security") == []


def test_the_contract_is_served_with_nothing_taken_away() -> None:
    published = yaml.safe_load(
        (Path(schema.__file__).parent / "openapi/escalation-engine-v1.yaml").read_text()
    )
    served = schema.document(BASE)
    for path, item in published["paths"].items():
        for method, operation in item.items():
            ours = served["paths"][path][method]
            assert set(operation["responses"]) <= set(ours["responses"])
            assert ours["operationId"] == operation["operationId"]
    for name, described in published["components"]["schemas"].items():
        ours = served["components"]["schemas"][name]
        assert set(described.get("properties", {})) <= set(ours.get("properties", {}))
        assert set(ours.get("required", [])) <= set(described.get("required", [])) or name not in published
    jsonschema.Draft202012Validator.check_schema(served["components"]["schemas"]["Task"])
    sent = {one.encode_name for one in msgspec.structs.fields(TaskView)}
    assert (
        set(served["components"]["schemas"]["Task"]["properties"]) == sent
    )  # a key written twice hides the first


async def test_the_documentation_page_loads_nothing_from_elsewhere(stranger: httpx.AsyncClient) -> None:
    page = await stranger.get("/docs")

    assert "http" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert f"/docs/{name}" in page.text
        assert (await stranger.get(f"/docs/{name}")).status_code == 200
    assert (await stranger.get("/docs/vendor.json")).status_code == 404


def test_vendored_files_are_what_their_list_says() -> None:
    listed: dict[str, str] = {}
    for package in json.loads((VENDOR / "vendor.json").read_text()):
        assert package["version"]
        assert package["licence"]
        listed |= package["files"]
    present = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert present == listed


async def test_lightning_addresses_of_the_sandbox(stranger: httpx.AsyncClient, services: Services) -> None:
    asked = (await stranger.get("/.well-known/lnurlp/ann")).json()
    assert asked["tag"] == "payRequest"
    assert asked["callback"] == f"{BASE}/.well-known/lnurlp/ann/callback"

    given = (await stranger.get(asked["callback"], params={"amount": "5000", "comment": "thanks"})).json()
    assert decode(given["pr"]).amount_msat == 5000
    for amount in ("", "x", "-1", "1", "9" * 30):
        refused = (await stranger.get(asked["callback"], params={"amount": amount})).json()
        assert refused["status"] == "ERROR"
    assert (await stranger.get(asked["callback"])).json()["status"] == "ERROR"

    async with serving(dataclasses.replace(services, wallets=None)) as app, client_for(app) as client:
        assert (await client.get("/.well-known/lnurlp/ann")).status_code == 404
