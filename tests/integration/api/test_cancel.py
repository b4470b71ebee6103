"""POST /v1/tasks/{id}/cancel, and the header Idempotency-Key where an answer is kept."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httpx
from sqlalchemy import func, select

from core.errors import Unavailable
from core.tasks import queries
from core.tasks.changes import change
from core.tasks.forget import forget_answers
from core.tasks.model import Environment
from core.tasks.states import TaskStatus
from core.tasks.tables import IdempotencyRecord, TaskEvent
from hub.services import Services
from tests.integration.api.conftest import Tenant, client_for, refund, serving


async def make(client: httpx.AsyncClient, key: str = "k") -> str:
    return (await client.post("/v1/tasks", json=refund(key))).json()["id"]


async def count(services: Services, column: Any, *where: Any) -> int:
    async with services.work.read() as session:
        return await session.scalar(select(func.count(column)).where(*where)) or 0


async def test_a_posted_task_is_cancelled(client: httpx.AsyncClient) -> None:
    task_id = await make(client)

    answer = await client.post(f"/v1/tasks/{task_id}/cancel")

    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert answer.status_code == 200
    assert answer.json() == {"id": task_id, "status": "cancelled", "cancelledAt": task["updatedAt"]}
    assert task["status"] == "cancelled"


async def test_a_task_that_ended_is_a_conflict(client: httpx.AsyncClient) -> None:
    task_id = await make(client)
    await client.post(f"/v1/tasks/{task_id}/cancel")

    answer = await client.post(f"/v1/tasks/{task_id}/cancel")

    assert answer.status_code == 409
    assert answer.json()["error"] == {
        "type": "conflict",
        "message": "Task is already in a terminal state and cannot be cancelled",
        "code": "task_ended",
    }


async def test_a_submitted_task_is_a_conflict(
    client: httpx.AsyncClient, services: Services, tenant: Tenant
) -> None:
    task_id = await make(client)
    for status in (TaskStatus.ASSIGNED, TaskStatus.SUBMITTED):
        async with services.work.begin("test") as tx:
            task = await queries.get(tx.session, tenant.organisation_id, Environment.TEST, task_id)
            await change(tx, task, status, actor="test")

    answer = await client.post(f"/v1/tasks/{task_id}/cancel")

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "task_submitted"


async def test_of_many_cancellations_one_wins(client: httpx.AsyncClient, services: Services) -> None:
    task_id = await make(client)

    answers = await asyncio.gather(*(client.post(f"/v1/tasks/{task_id}/cancel") for _ in range(12)))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    assert (
        await count(services, TaskEvent.id, TaskEvent.task_id == task_id, TaskEvent.type == "task.cancelled")
        == 1
    )


async def test_a_repeat_with_its_key_gets_the_first_answer_byte_for_byte(client: httpx.AsyncClient) -> None:
    task_id = await make(client)
    first = await client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": '"once"'})

    again = await client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": "once"})

    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


async def test_a_refusal_is_kept_too(client: httpx.AsyncClient) -> None:
    task_id = await make(client)
    await client.post(f"/v1/tasks/{task_id}/cancel")
    first = await client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": "late"})

    again = await client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": "late"})

    assert (first.status_code, again.status_code) == (409, 409)
    assert again.content == first.content


async def test_many_at_once_with_one_key_get_one_answer(
    client: httpx.AsyncClient, services: Services
) -> None:
    task_id = await make(client)

    answers = await asyncio.gather(
        *(client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": "k"}) for _ in range(12))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await count(services, IdempotencyRecord.key) == 1


async def test_the_same_key_with_another_body_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await client.post("/v1/webhooks", json={"url": "https://a.example/1"}, headers=headers)

    other = await client.post("/v1/webhooks", json={"url": "https://a.example/2"}, headers=headers)
    again = await client.post("/v1/webhooks", json={"url": "https://a.example/1"}, headers=headers)

    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    assert (again.status_code, again.content) == (201, first.content)
    assert len((await client.get("/v1/webhooks")).json()["data"]) == 1


async def test_kept_answers_are_sealed(client: httpx.AsyncClient, services: Services) -> None:
    made = await client.post(
        "/v1/webhooks", json={"url": "https://a.example/1"}, headers={"Idempotency-Key": "k"}
    )

    async with services.work.read() as session:
        record = (await session.scalars(select(IdempotencyRecord))).one()
    assert made.json()["secret"].encode() not in record.body
    assert b"a.example" not in record.body


async def test_a_key_belongs_to_its_route_and_environment(client: httpx.AsyncClient, tenant: Tenant) -> None:
    first, second = await make(client, "a"), await make(client, "b")
    headers = {"Idempotency-Key": "k"}

    one = await client.post(f"/v1/tasks/{first}/cancel", headers=headers)
    two = await client.post(f"/v1/tasks/{second}/cancel", headers=headers)
    live = await client.post(
        f"/v1/tasks/{first}/cancel", headers={**headers, "Authorization": f"Bearer {tenant.live}"}
    )

    assert (one.status_code, two.status_code, live.status_code) == (200, 200, 404)


async def test_a_503_is_never_kept(services: Services, tenant: Tenant) -> None:
    class Away:
        def __init__(self) -> None:
            self.down = True

        async def send_test(self, *_: Any) -> Any:
            if self.down:
                raise Unavailable("database_unavailable", "gone for a moment")
            return await services.callbacks.send_test(*_)

    callbacks = Away()
    body = {"eventType": "task.verified"}
    flaky = dataclasses.replace(services, callbacks=callbacks)
    async with serving(flaky) as app, client_for(app, tenant.test) as client:
        headers = {"Idempotency-Key": "k"}
        first = await client.post("/v1/webhooks/test", json=body, headers=headers)
        callbacks.down = False
        second = await client.post("/v1/webhooks/test", json=body, headers=headers)

    assert (first.status_code, second.status_code) == (503, 422)
    assert second.json()["error"]["code"] == "no_callback_url"


async def test_wrong_keys(client: httpx.AsyncClient) -> None:
    task_id = await make(client)
    for key in ("", '""', "k" * 257):
        answer = await client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": key})
        assert answer.status_code == 400, key
        assert answer.json()["error"]["details"] == {
            "Idempotency-Key": "Must be 1 to 256 printable characters"
        }


async def test_old_keys_are_forgotten(client: httpx.AsyncClient, services: Services) -> None:
    task_id = await make(client)
    await client.post(f"/v1/tasks/{task_id}/cancel", headers={"Idempotency-Key": "k"})

    for days, left in ((30, 1), (-1, 0)):
        async with services.work.begin("test") as tx:
            await forget_answers(tx, days=days)
        assert await count(services, IdempotencyRecord.key) == left
