"""Every failure of the API has the contract's shape and a request id, whatever is thrown at it; nothing is a 500 but a
fault of ours, and that one tells nothing of itself."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from litestar import Litestar

from core.access import keys
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.rates.model import Rate
from hub.app import create_app
from hub.services import Services
from tests.integration.api.conftest import Tenant, WebSettings, client_for, refund, serving

JSON = {"content-type": "application/json"}


def check_error(
    answer: httpx.Response,
    status: int,
    kind: str,
    message: str,
    code: str,
    details: Mapping[str, str] | None = None,
) -> None:
    error: dict[str, Any] = {"type": kind, "message": message, "code": code}
    if details:
        error["details"] = details
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["x-request-id"])
    assert answer.json() == {"error": error, "requestId": answer.headers["x-request-id"]}
    assert answer.headers["x-content-type-options"] == "nosniff"


MALFORMED: dict[str, tuple[bytes, str, str, dict[str, str]]] = {
    "empty": (b"", "body_missing", "A JSON object is expected as the request body", {}),
    "blank": (b" \n", "body_missing", "A JSON object is expected as the request body", {}),
    "a list": (b"[]", "not_an_object", "A JSON object is expected as the request body", {}),
    "null": (b"null", "not_an_object", "A JSON object is expected as the request body", {}),
    "not UTF-8": (b'{"payload": "\xff"}', "json_malformed", "The body is not UTF-8", {}),
    "deep": (
        b'{"payload":' + b"[" * 65 + b"]" * 65 + b"}",
        "json_too_deep",
        "The JSON is nested deeper than 64 levels",
        {},
    ),
    "very deep": (
        b'{"payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "json_too_deep",
        "The JSON is nested deeper than 64 levels",
        {},
    ),
    "NUL": (
        b'{"payload": {"a": ["x\\u0000"]}}',
        "nul_character",
        "Invalid request body",
        {"payload.a[0]": "Must not hold the character U+0000"},
    ),
    "NUL in a name": (
        b'{"payload": {"a\\u0000": 1}}',
        "nul_character",
        "Invalid request body",
        {"payload": "Must not have a name that holds the character U+0000"},
    ),
    "huge integer": (
        b'{"payload": {"n": 123456789012345678901234567890}}',
        "number_out_of_range",
        "Invalid request body",
        {"payload.n": "Must be a number of at most 64 bits"},
    ),
}


async def test_malformed_bodies(client: httpx.AsyncClient) -> None:
    for body, code, message, details in MALFORMED.values():
        answer = await client.post("/v1/tasks", content=body, headers=JSON)

        check_error(answer, 400, "validation_error", message, code, details)


BROKEN = {
    "open end": b'{"payload": {',
    "trailing comma": b'{"payload": {},}',
    "NaN": b'{"payload": NaN}',
    "Infinity": b'{"payout": {"maxAmount": Infinity}}',
    "lone surrogate": b'{"payload": {"a": "\\ud800"}}',
    "raw NUL": b'{"payload": "\x00"}',
    "two documents": b"{}{}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "single quotes": b"{'a': 1}",
    "5000 digits": b'{"payload": {"n": ' + b"9" * 5000 + b"}}",
    "1e400": b'{"idempotencyKey":"k","taskType":"question","payload": {"n": 1e400, "m": 1234567890123456789}}',
}


async def test_broken_json(client: httpx.AsyncClient) -> None:
    for name, body in BROKEN.items():
        answer = await client.post("/v1/tasks", content=body, headers=JSON)

        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (400, "validation_error"), name
        assert error["code"] == (
            "number_out_of_range" if name in ("1e400", "5000 digits") else "json_malformed"
        ), name
        assert answer.json()["requestId"] == answer.headers["x-request-id"]


async def test_a_number_out_of_range_is_a_field_error(client: httpx.AsyncClient) -> None:
    body = b'{"idempotencyKey":"k","taskType":"question","payload":{"n":1e400}}'

    answer = await client.post("/v1/tasks", content=body, headers=JSON)

    assert answer.status_code == 400
    assert "out of range" in answer.json()["error"]["details"]["payload"]


async def test_other_media_types(client: httpx.AsyncClient) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "nonsense"):
        answer = await client.post("/v1/tasks", content=b"{}", headers={"content-type": media})
        check_error(
            answer, 415, "validation_error", "Send the body as application/json", "unsupported_media_type"
        )


async def test_json_media_types(client: httpx.AsyncClient) -> None:
    for media in ("application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"):
        answer = await client.post("/v1/tasks", content=b"{}", headers={"content-type": media})
        assert answer.status_code == 400


async def test_a_body_over_the_limit(client: httpx.AsyncClient) -> None:
    body = b'{"payload": "' + b"x" * 1024 * 1024 + b'"}'

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    for content in (body, in_pieces()):
        answer = await client.post("/v1/tasks", content=content, headers=JSON)
        check_error(answer, 413, "validation_error", "The request body is too large", "body_too_large")


async def test_wrong_methods(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/tasks", json={})
    message = "This address does not take this method"
    check_error(answer, 405, "validation_error", message, "method_not_allowed")
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "OPTIONS", "POST"]


async def test_unknown_addresses(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    for one in (client, stranger):
        for path in ("/v1", "/v1/", "/v1/nothing", "/v1/tasks/a/b/c"):
            answer = await one.get(path)
            check_error(answer, 404, "not_found", "The requested resource does not exist", "not_found")


NO_IDS = ("x", "%00", "..%2f", "019F0000-0000-7000-8000-000000000000", "%ff", "a" * 5000)


async def test_ids_that_are_none(client: httpx.AsyncClient) -> None:
    for task_id in NO_IDS:
        for answer in (
            await client.get(f"/v1/tasks/{task_id}"),
            await client.post(f"/v1/tasks/{task_id}/cancel"),
        ):
            assert answer.status_code == 404, task_id
            assert answer.json()["error"]["type"] == "not_found"


async def test_an_unknown_task(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/tasks/019f0000-0000-7000-8000-000000000000")
    check_error(answer, 404, "not_found", "Task not found", "task_not_found")


NONE = "An API key is required: Authorization: Bearer ek_live_..."
NO_KEYS: list[tuple[str | None, str]] = [
    (None, NONE),
    ("", NONE),
    ("Bearer", NONE),
    ("Bearer nonsense", "Invalid API key"),
    ("Bearer ek_live_" + "a" * 43, "Invalid API key"),
    ("Basic ek_live_" + "a" * 43, "Invalid API key"),
    ("Bearer \xe9\xff", "Invalid API key"),
]


async def test_without_a_key(stranger: httpx.AsyncClient) -> None:
    for header, message in NO_KEYS:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        for method, path in (("GET", "/v1/tasks"), ("POST", "/v1/tasks"), ("GET", "/v1/usage")):
            answer = await stranger.request(method, path, headers=headers)
            check_error(answer, 401, "authentication_error", message, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_of_either_prefix_works_until_revoked(
    app: Litestar, services: Services, tenant: Tenant
) -> None:
    async with services.work.begin("test") as tx:
        from core.tasks.model import Environment

        minted = await keys.mint(
            tx, tenant.organisation_id, Environment.TEST, name="sdk", actor="test", prefix="hr"
        )
    async with client_for(app, minted.secret.reveal()) as client:
        assert minted.secret.reveal().startswith("hr_test_")
        assert (await client.get("/v1/tasks")).status_code == 200

    async with services.work.begin("test") as tx:
        await keys.revoke(tx, minted.row.id, actor="test")
    async with client_for(create_app(services), minted.secret.reveal()) as client:
        assert (await client.get("/v1/tasks")).status_code == 401


async def test_request_ids_of_callers(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    mine = str(uuid.uuid4())
    for path in (
        "/v1/tasks",
        "/livez",
        "/v1/nothing",
        "/nothing",
        "/docs/swagger-ui.css",
        "/static/nothing.css",
    ):
        for one in (client, stranger):
            answer = await one.get(path, headers={"X-Request-Id": mine})
            assert answer.headers["x-request-id"] == mine, path
            fresh = await one.get(path, headers={"X-Request-Id": "<script>"})
            assert uuid.UUID(fresh.headers["x-request-id"]), path


class BrokenRates:
    """Exchange rates with a fault of ours in them."""

    spread_percent = Decimal(0)

    def current(self) -> Rate:
        raise RuntimeError("the rate of user:secret@db.internal is gone")

    to_reserve = current

    async def look(self) -> None: ...

    @contextlib.asynccontextmanager
    async def running(self, *, keeper: bool) -> AsyncGenerator[None]:
        yield


@pytest.fixture
async def broken(services: Services, tenant: Tenant) -> AsyncGenerator[httpx.AsyncClient]:
    hub = dataclasses.replace(services, rates=BrokenRates())
    async with serving(hub) as app, client_for(app, tenant.test) as one:
        yield one


async def test_a_fault_of_ours_is_logged_and_told_without_its_reason(
    broken: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await broken.post("/v1/tasks", json=refund())

    message = "An unexpected error occurred. Please try again."
    check_error(answer, 500, "internal_error", message, "internal_error")
    record = next(r for r in caplog.records if r.name == "hub.problems")
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.getMessage() == "unhandled fault in POST /v1/tasks"


async def test_without_the_database_everything_is_a_503_to_be_retried(
    services: Services, tenant: Tenant, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/v1/tasks")).status_code == 200
    dead = UnitOfWork(Database("postgresql://nobody@127.0.0.1:1/nothing"))
    gone = dataclasses.replace(services, work=dead, database=dead.database)
    async with serving(gone) as app, client_for(app, tenant.test) as lost:
        for method, path in (("GET", "/v1/tasks"), ("POST", "/v1/tasks"), ("GET", "/v1/usage")):
            answer = await lost.request(method, path)
            message = "A part of the hub is away. Nothing was done; please try again."
            check_error(answer, 503, "internal_error", message, "database_unavailable")
            assert answer.headers["retry-after"] == "1"
        ready = await lost.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "unavailable")
        assert (await lost.get("/livez")).status_code == 200


async def test_the_rate_limit(services: Services, tenant: Tenant) -> None:
    limited = dataclasses.replace(services, settings=WebSettings(rate_limit_per_minute=3))
    async with serving(limited) as app, client_for(app, tenant.test) as client:
        for left in (2, 1, 0):
            answer = await client.get("/v1/tasks")
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60'
            assert answer.headers["ratelimit"].startswith(f'"default";r={left};t=')
        answer = await client.get("/v1/usage")
        seconds = answer.headers["retry-after"]
        assert 1 <= int(seconds) <= 60
        message = f"Rate limit exceeded. Retry after {seconds} seconds."
        check_error(answer, 429, "rate_limit_exceeded", message, "rate_limit_exceeded")
        # the other environment of the same organisation shares it, health does not
        live = await client.get("/v1/tasks", headers={"Authorization": f"Bearer {tenant.live}"})
        assert live.status_code == 429
        assert (await client.get("/v1/healthz")).status_code == 200
        assert (await client.post("/hooks/in/demo-oncall", content=b"{}")).status_code == 401


async def test_outside_of_v1_failures_are_problem_documents_or_pages(stranger: httpx.AsyncClient) -> None:
    machine = await stranger.get("/nothing")
    assert machine.headers["content-type"] == "application/problem+json"
    assert machine.json() == {
        "type": "urn:hub:problem:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "The requested resource does not exist",
        "request_id": machine.headers["x-request-id"],
    }

    person = await stranger.get("/<b>nothing", headers={"Accept": "text/html,*/*"})
    assert person.status_code == 404
    assert person.headers["content-type"].startswith("text/html")
    assert "<h1>Not Found</h1>" in person.text
    assert "<b>" not in person.text
    assert "script-src 'self'" in person.headers["content-security-policy"]
    assert "unsafe" not in person.headers["content-security-policy"]
