"""When an answer is expected: in the task while somebody works on it, in the trail of the decision, and in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from core.routing import decisions
from core.routing.actions import release
from core.tasks.model import Environment
from hub.observe import why
from hub.services import Services
from tests.factories_routing import Hub, a_worker
from tests.integration.api.conftest import refund


async def test_what_is_expected_of_whom(client: httpx.AsyncClient, services: Services) -> None:
    async with services.work.begin("test.worker") as tx:
        await a_worker(tx, skills=frozenset({"refund_review"}), tier=3, environment=Environment.TEST)
    hub = Hub(services.work, *services.types)
    task_id = (await client.post("/v1/tasks", json=refund())).json()["id"]
    await hub.drain("task.posted")
    async with services.work.read() as session:
        [(_, decision)] = await decisions.of_task(session, task_id)
        [told] = await why.of_task(session, task_id)
    [scored] = decision.candidates
    weights = services.policy.weights
    assert scored.p50_seconds == pytest.approx(weights.typical_seconds)
    assert scored.p90_seconds is not None
    assert (
        f"half within {scored.p50_seconds:g} s, nine in ten within {scored.p90_seconds:g} s"
        in why.render_text([told])
    )
    offered = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert (offered["status"], "estimatedCompletion" in offered) == ("assigned", False)  # nobody has begun
    [turn] = await hub.assignments(task_id)
    await hub.accept(turn)
    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    expected = task["estimatedCompletion"]
    assert task["createdAt"] < expected["p50"] < expected["p90"]
    served: dict[str, Any] = (await client.get("/schema/openapi.json")).json()
    check = Draft202012Validator({"$ref": "#/components/schemas/Task", "components": served["components"]})
    check.validate(task)
    task["estimatedCompletion"].pop("p90")
    assert [one.json_path for one in check.iter_errors(task)] == ["$.estimatedCompletion"]
    async with services.work.begin("routing.release") as tx:
        await release(tx, turn.id, turn.worker_id)
    assert "estimatedCompletion" not in (await client.get(f"/v1/tasks/{task_id}")).json()
