"""GET /v1/tasks and /v1/tasks/{id}: filters, pages, the long poll."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from litestar import Litestar

from core.routing.endings import cancel
from core.tasks import queries
from core.tasks.model import Environment
from hub.services import Services
from tests.integration.api.conftest import Tenant, refund
from tests.wait import wait_until


async def make(client: httpx.AsyncClient, count: int, **changes: Any) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    for number in range(count):
        key = f"{changes.get('taskType', 'r')}-{number}"
        answer = await client.post("/v1/tasks", json=refund(key, **changes))
        assert answer.status_code == 201
        tasks.append(answer.json())
    return tasks


async def test_pages_come_newest_first_and_lead_to_the_end(client: httpx.AsyncClient) -> None:
    made = await make(client, 5)
    seen: list[str] = []
    after: dict[str, str] = {}
    sizes: list[int] = []
    while True:
        page = (await client.get("/v1/tasks", params={"limit": 2, **after})).json()
        seen += [task["id"] for task in page["data"]]
        sizes.append(len(page["data"]))
        if not page["hasMore"]:
            assert "nextCursor" not in page
            break
        assert page["nextCursor"] == page["data"][-1]["id"]
        after = {"after": page["nextCursor"]}

    assert sizes == [2, 2, 1]
    assert seen == sorted((task["id"] for task in made), reverse=True)


async def test_filters(client: httpx.AsyncClient) -> None:
    refunds = await make(client, 2)
    others = await make(client, 1, taskType="unpriced")
    await client.post(f"/v1/tasks/{refunds[0]['id']}/cancel")

    async def ids(**query: str) -> list[str]:
        return [task["id"] for task in (await client.get("/v1/tasks", params=query)).json()["data"]]

    assert await ids(status="cancelled") == [refunds[0]["id"]]
    assert await ids(status="verified") == []
    assert await ids(task_type="unpriced") == [others[0]["id"]]
    assert await ids(task_type="no such type") == []
    assert await ids(created_after=refunds[1]["createdAt"], task_type="refund_eligibility") == [
        refunds[1]["id"]
    ]
    assert refunds[0]["id"] in await ids(created_before=refunds[0]["createdAt"])
    assert others[0]["id"] not in await ids(created_before=refunds[0]["createdAt"])
    offset = refunds[1]["createdAt"].replace("Z", "+00:00")
    assert refunds[1]["id"] in await ids(created_after=offset)


WRONG_QUERIES = {
    "status": ("done", "Must be one of: posted, assigned, submitted, verified, failed, cancelled, expired"),
    "limit": ("0", "Must be a whole number from 1 to 100"),
    "after": ("nonsense", "Must be the id of a task"),
    "task_type": ("a\0b", "Must be 1 to 128 printable characters"),
    "created_after": (
        "yesterday",
        "Must be an ISO 8601 date and time with its offset, such as 2026-11-23T21:30:00Z",
    ),
    "created_before": (
        "2026-11-23T21:30:00",
        "Must be an ISO 8601 date and time with its offset, such as 2026-11-23T21:30:00Z",
    ),
}


async def test_wrong_parameters_are_named_together(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/tasks", params={name: value for name, (value, _) in WRONG_QUERIES.items()})

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "type": "validation_error",
        "message": "Invalid query parameters",
        "code": "invalid_query",
        "details": {name: what for name, (_, what) in WRONG_QUERIES.items()},
    }


async def test_odd_numbers_and_moments(client: httpx.AsyncClient) -> None:
    for limit in ("101", "-1", "1.0", "1e1", "", " 5", "٣", "9" * 400):
        assert (await client.get("/v1/tasks", params={"limit": limit})).status_code == 400, limit
    for moment in (
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-13-01T00:00:00Z",
        "T",
        "2026-11-23",
    ):
        assert (await client.get("/v1/tasks", params={"created_after": moment})).status_code == 400, moment
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-07-20T20:17:40.123456+02:00"):
        assert (await client.get("/v1/tasks", params={"created_after": moment})).status_code == 200, moment
    for wait in ("61", "-1", "x", "0.5"):
        answer = await client.get("/v1/tasks/019f0000-0000-7000-8000-000000000000", params={"wait": wait})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == {"wait": "Must be a whole number from 0 to 60"}


async def withdraw(services: Services, tenant: Tenant, task_id: str) -> float:
    async with services.work.begin("test") as tx:
        task = await queries.get(tx.session, tenant.organisation_id, Environment.TEST, task_id)
        await cancel(tx, task, "test")
    return time.monotonic()


async def test_a_long_poll_answers_when_the_task_changes(
    app: Litestar, client: httpx.AsyncClient, services: Services, tenant: Tenant
) -> None:
    first, second = await make(client, 2)

    async def poll(task_id: str) -> tuple[httpx.Response, float]:
        answer = await client.get(f"/v1/tasks/{task_id}", params={"wait": 30})
        return answer, time.monotonic()

    polls = [asyncio.create_task(poll(task["id"])) for task in (first, first, second)]
    watch = app.state["watch"]
    await wait_until(lambda: len(watch) == 3)

    changed = await withdraw(services, tenant, first["id"])
    for poll_of_first in polls[:2]:
        answer, at = await poll_of_first
        assert answer.json()["status"] == "cancelled"
        assert at - changed < 2.0
    assert not polls[2].done()
    await withdraw(services, tenant, second["id"])
    assert (await polls[2])[0].json()["status"] == "cancelled"
    assert len(watch) == 0


async def test_a_long_poll_ends_with_its_time(client: httpx.AsyncClient) -> None:
    (task,) = await make(client, 1)
    began = time.monotonic()

    answer = await client.get(f"/v1/tasks/{task['id']}", params={"wait": 1})

    assert (answer.status_code, answer.json()) == (200, task)
    assert 1.0 <= time.monotonic() - began < 5.0


async def test_nothing_is_waited_for_when_the_task_has_ended(client: httpx.AsyncClient) -> None:
    (task,) = await make(client, 1)
    await client.post(f"/v1/tasks/{task['id']}/cancel")
    began = time.monotonic()

    answer = await client.get(f"/v1/tasks/{task['id']}", params={"wait": 60})

    assert answer.json()["status"] == "cancelled"
    assert time.monotonic() - began < 10.0


async def test_a_client_that_hangs_up_is_not_waited_for(
    app: Litestar, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    (task,) = await make(client, 1)
    gone = asyncio.Event()
    first = True

    async def receive() -> dict[str, Any]:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": f"/v1/tasks/{task['id']}",
        "raw_path": b"",
        "root_path": "",
        "query_string": b"wait=60",
        "scheme": "http",
        "headers": [(b"host", b"hub.test"), (b"authorization", f"Bearer {tenant.test}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("hub.test", 80),
    }
    request = asyncio.create_task(app(scope, receive, send))  # pyright: ignore[reportArgumentType] -- plain ASGI
    await wait_until(lambda: len(app.state["watch"]) == 1)

    gone.set()

    await asyncio.wait_for(request, 10)
    assert len(app.state["watch"]) == 0
