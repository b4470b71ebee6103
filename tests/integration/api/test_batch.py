"""POST /v1/tasks/batch: each task has its own outcome."""

from __future__ import annotations

import httpx
from sqlalchemy import func, select

from core.tasks.tables import Task
from hub.services import Services
from tests.integration.api.conftest import refund


async def test_each_task_has_its_outcome(client: httpx.AsyncClient) -> None:
    before = await client.post("/v1/tasks", json=refund("known"))
    tasks = [
        refund("new"),
        refund("known"),
        refund("known", slaSeconds=60),
        refund("short", slaSeconds=1),
        "nonsense",
        refund("typo", taskType="mind_reading"),
        refund("new"),
    ]

    answer = await client.post("/v1/tasks/batch", json={"tasks": tasks})

    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [(r["index"], r["status"]) for r in results] == [
        (0, 201),
        (1, 200),
        (2, 422),
        (3, 400),
        (4, 400),
        (5, 422),
        (6, 200),
    ]
    assert results[1]["task"] == before.json()
    assert results[6]["task"] == results[0]["task"]
    assert results[3]["error"] == {
        "type": "validation_error",
        "message": "Invalid request body",
        "code": "invalid_body",
        "details": {"slaSeconds": "Expected `int` >= 30"},
    }
    assert [set(r) for r in results[:3]] == [{"index", "status", "task"}] * 2 + [{"index", "status", "error"}]


async def test_a_thousand_at_once(client: httpx.AsyncClient, services: Services) -> None:
    tasks = [refund(f"k-{number}") for number in range(1000)]

    answer = await client.post("/v1/tasks/batch", json={"tasks": tasks})

    assert {result["status"] for result in answer.json()["results"]} == {201}
    async with services.work.read() as session:
        assert await session.scalar(select(func.count()).select_from(Task)) == 1000


async def test_bounds(client: httpx.AsyncClient) -> None:
    for body, what in (
        ({}, "Field is required"),
        ({"tasks": []}, "Expected `array` of length >= 1"),
        ({"tasks": [{}] * 1001}, "Expected `array` of length <= 1000"),
        ({"tasks": {}}, "Expected `array`, got `object`"),
    ):
        answer = await client.post("/v1/tasks/batch", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == {"tasks": what}
    big = b'{"tasks": [{"payload": "' + b"x" * 8 * 1024 * 1024 + b'"}]}'
    too_big = await client.post("/v1/tasks/batch", content=big, headers={"content-type": "application/json"})
    assert too_big.status_code == 413


async def test_a_repeat_with_its_key_gets_the_first_answer(client: httpx.AsyncClient) -> None:
    body = {"tasks": [refund("a"), refund("b")]}
    headers = {"Idempotency-Key": "batch-1"}
    first = await client.post("/v1/tasks/batch", json=body, headers=headers)

    again = await client.post("/v1/tasks/batch", json=body, headers=headers)
    without = await client.post("/v1/tasks/batch", json=body)

    assert again.content == first.content
    assert [r["status"] for r in again.json()["results"]] == [201, 201]
    assert [r["status"] for r in without.json()["results"]] == [200, 200]
