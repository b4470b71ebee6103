"""Tenants never see each other: every route with another tenant's id answers as if it were not there, and no list or
count shows anything of theirs. The routes come from the application, so that a new one has to be named here."""

from __future__ import annotations

from typing import Any

import httpx
from litestar import Litestar

from core import clock
from tests.integration.api.conftest import Tenant, refund
from tests.integration.api.test_public import routes

# The way to a thing of a tenant, and the body where one is needed.
WITH_ID: dict[tuple[str, str], dict[str, Any] | None] = {
    ("GET", "/v1/tasks/{task_id}"): None,
    ("GET", "/v1/tasks/{task_id}/receipt"): None,
    ("POST", "/v1/tasks/{task_id}/cancel"): {},
    ("GET", "/v1/webhooks/{endpoint_id}"): None,
    ("DELETE", "/v1/webhooks/{endpoint_id}"): None,
    ("GET", "/v1/top-ups/{top_up_id}"): None,
}
# Named by a month, which everybody has: what is in it is the asker's own.
BY_MONTH = {("GET", "/v1/statements/{month}")}


async def owned(client: httpx.AsyncClient) -> dict[str, str]:
    task = (await client.post("/v1/tasks", json=refund())).json()
    endpoint = (await client.post("/v1/webhooks", json={"url": "https://a.example/"})).json()
    top_up = (await client.post("/v1/top-ups", json={"amountSats": 2_000})).json()
    return {"task_id": task["id"], "endpoint_id": endpoint["id"], "top_up_id": top_up["id"]}


async def test_every_route_with_an_id_is_named_here(app: Litestar) -> None:
    found = {(method, path) for method, path, _ in routes(app) if path.startswith("/v1/") and "{" in path}
    assert found == set(WITH_ID) | BY_MONTH


async def test_another_tenants_things_are_not_there(
    client: httpx.AsyncClient, rival: httpx.AsyncClient
) -> None:
    theirs = await owned(client)
    for (method, path), body in WITH_ID.items():
        address = path.format(**theirs)
        answer = await rival.request(method, address, json=body)
        nothing = await rival.request(
            method, path.format(task_id="x", endpoint_id="x", top_up_id="x"), json=body
        )
        assert answer.status_code == nothing.status_code == 404, path
        assert answer.json()["error"] == nothing.json()["error"]
    still = await client.get(f"/v1/tasks/{theirs['task_id']}")
    assert still.json()["status"] == "posted"
    assert (await client.get(f"/v1/webhooks/{theirs['endpoint_id']}")).status_code == 200


async def test_the_other_environment_is_another_tenant(client: httpx.AsyncClient, tenant: Tenant) -> None:
    theirs = await owned(client)
    for (method, path), body in WITH_ID.items():
        answer = await client.request(
            method, path.format(**theirs), json=body, headers={"Authorization": f"Bearer {tenant.live}"}
        )
        assert answer.status_code == 404, path


async def test_lists_and_counts_show_nothing_of_theirs(
    client: httpx.AsyncClient, rival: httpx.AsyncClient
) -> None:
    theirs = await owned(client)

    assert (await rival.get("/v1/tasks")).json() == {"data": [], "hasMore": False}
    assert (await rival.get("/v1/tasks", params={"after": theirs["task_id"]})).json()["data"] == []
    assert (await rival.get("/v1/webhooks")).json() == {"data": []}
    assert (await rival.get("/v1/top-ups")).json() == {"data": [], "hasMore": False}
    assert (await rival.get("/v1/balance")).json()["reservedMsat"] == 0
    assert (await rival.get(f"/v1/statements/{clock.now():%Y-%m}")).json()["tasksCreated"] == 0
    for path in ("/v1/usage", "/v1/org/usage"):
        assert (await rival.get(path)).json()["tasks"]["total"] == 0


async def test_keys_of_requests_do_not_meet(client: httpx.AsyncClient, rival: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "same"}
    mine = await client.post("/v1/tasks", json=refund(), headers=headers)
    theirs = await rival.post("/v1/tasks", json=refund(slaSeconds=60), headers=headers)
    again = await rival.post("/v1/webhooks", json={"url": "https://b.example/"}, headers=headers)

    assert (mine.status_code, theirs.status_code, again.status_code) == (201, 201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


async def test_nothing_of_theirs_is_sent_to_us(client: httpx.AsyncClient, rival: httpx.AsyncClient) -> None:
    await owned(client)

    answer = await rival.post("/v1/webhooks/test", json={"eventType": "task.verified"})

    assert answer.json()["error"]["code"] == "no_callback_url"
