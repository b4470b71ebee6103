"""POST /v1/tasks: the documented examples of both generations, aliases, defaults, replays and clashes."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx

from core.tasks.model import Environment
from core.tasks.tables import Task
from hub.services import Services
from tests.integration.api.conftest import Tenant, refund


async def test_the_contract_example_is_created(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=refund())

    task = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(task["id"]).version == 7
    assert answer.headers["location"] == f"/v1/tasks/{task['id']}"
    assert {name: task[name] for name in refund()} == refund()
    assert task["status"] == "posted"
    assert set(task) == {*refund(), "id", "status", "createdAt", "updatedAt", "expiresAt"}
    assert task["createdAt"] == task["updatedAt"]
    assert task["createdAt"].endswith("Z")


async def test_a_language_is_kept_and_checked(client: httpx.AsyncClient, services: Services) -> None:
    key = {"idempotencyKey": "in-german"}
    made = await client.post("/v1/tasks", json={**refund(), **key, "language": "pt-br"})
    assert made.status_code == 201
    async with services.work.read() as session:
        assert (await session.get_one(Task, made.json()["id"])).language == "pt-br"
    other = await client.post("/v1/tasks", json={**refund(), **key, "language": "de"})
    assert other.status_code == 422
    wrong = await client.post("/v1/tasks", json={**refund(), "language": "German"})
    assert wrong.status_code == 400
    assert list(wrong.json()["error"]["details"]) == ["language"]


async def test_amounts_stay_exact(client: httpx.AsyncClient) -> None:
    for written in ("0.10", "0.3", "1", "0.000001e4", "12.34"):
        text = httpx.Request("POST", "http://x", json=refund(written, payout=None)).content.decode()
        body = text.replace('"payout":null', f'"payout":{{"currency":"USD","maxAmount":{written}}}')
        answer = await client.post("/v1/tasks", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 201, answer.text
        assert answer.json()["payout"]["maxAmount"] == float(written)


async def test_snake_case_equals_camel_case(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/tasks", json=refund())
    same = {
        "idempotency_key": "order-12345-refund-check",
        "task_type": "refund_eligibility",
        "risk_tier": "medium",
        "sla_seconds": 300,
        "payload": refund()["payload"],
        "output_schema": refund()["outputSchema"],
        "payout": {"max_amount": 0.5, "currency": "USD"},
        "callback_url": "https://myapp.com/webhooks/escalation",
        "surprise": True,
    }

    again = await client.post("/v1/tasks", json=same)

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"


# docs.humanrail.dev/quickstart/: Python and TypeScript samples of the second generation
PYTHON = {
    "type": "content_moderation",
    "payload": {"text": "hello"},
    "output_schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
    "payout_sats": 500,
    "sla_seconds": 300,
    "skills_required": ["content_review"],
}
TYPESCRIPT = {
    "type": "content_moderation",
    "payload": {"text": "hello"},
    "outputSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
    "payoutSats": 500,
    "slaSeconds": 300,
    "skillsRequired": ["content_review"],
}


async def test_the_second_generation_of_documents(client: httpx.AsyncClient) -> None:
    for body, key in ((PYTHON, "python"), (TYPESCRIPT, "typescript")):
        answer = await client.post("/v1/tasks", json=body, headers={"Idempotency-Key": key})

        task = answer.json()
        assert answer.status_code == 201
        assert task["taskType"] == "content_moderation"
        assert task["payout"] == {"currency": "SATS", "maxAmount": 500}
        assert task["slaSeconds"] == 300
        assert task["idempotencyKey"] == key


async def test_the_skills_asked_for_join_those_of_the_type(
    client: httpx.AsyncClient, services: Services, tenant: Tenant
) -> None:
    from core.tasks import queries

    task = (await client.post("/v1/tasks", json=refund(skillsRequired=["french", "refund_review"]))).json()

    async with services.work.read() as session:
        row = await queries.get(session, tenant.organisation_id, Environment.TEST, task["id"])
    assert row.skills == ["french", "refund_review"]


async def test_without_an_answer_schema_any_object_will_do(client: httpx.AsyncClient) -> None:
    for key, schema in (("missing", ...), ("null", None)):
        body = refund(key, taskType="unpriced", outputSchema=schema)

        answer = await client.post("/v1/tasks", json=body)

        assert answer.status_code == 201
        assert answer.json()["outputSchema"] == {"type": "object"}


async def test_what_is_not_said_comes_from_the_task_type(client: httpx.AsyncClient) -> None:
    body = refund(riskTier=..., slaSeconds=None, payout=..., callbackUrl=None, metadata=None)

    task = (await client.post("/v1/tasks", json=body)).json()

    assert (task["riskTier"], task["slaSeconds"]) == ("medium", 600)
    assert task["payout"] == {"currency": "USD", "maxAmount": 0.5}
    assert "callbackUrl" not in task
    assert "metadata" not in task


async def test_same_key_and_same_request_is_a_replay(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/tasks", json=refund())
    reordered = dict(reversed(refund().items()))

    again = await client.post("/v1/tasks", json=reordered)

    assert (again.status_code, again.json()) == (200, first.json())


async def test_same_key_and_another_request_is_refused(client: httpx.AsyncClient) -> None:
    await client.post("/v1/tasks", json=refund())

    answer = await client.post("/v1/tasks", json=refund(slaSeconds=301))

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "idempotency_key_reused"
    assert list(answer.json()["error"]["details"]) == ["idempotencyKey"]


async def test_the_header_key_counts_beside_the_one_in_the_body(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/tasks", json=refund("a"), headers={"Idempotency-Key": '"k-1"'})
    again = await client.post("/v1/tasks", json=refund("a"), headers={"Idempotency-Key": "k-1"})
    other = await client.post(
        "/v1/tasks", json=refund("b", slaSeconds=60), headers={"Idempotency-Key": "k-1"}
    )

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert again.json() == first.json()
    assert list(other.json()["error"]["details"]) == ["Idempotency-Key"]


async def test_many_at_once_with_one_key_make_one_task(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/v1/tasks", json=refund()) for _ in range(16)))

    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_environments_do_not_share_keys(client: httpx.AsyncClient, tenant: Tenant) -> None:
    await client.post("/v1/tasks", json=refund())

    live = await client.post("/v1/tasks", json=refund(), headers={"Authorization": f"Bearer {tenant.live}"})

    assert live.status_code == 201


WRONG: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nothing": (
        dict.fromkeys(refund(), ...),
        {
            "idempotencyKey": "Field is required",
            "taskType": "Field is required",
            "payload": "Field is required",
        },
    ),
    "empty key": ({"idempotencyKey": ""}, {"idempotencyKey": "Expected `str` of length >= 1"}),
    "long key": ({"idempotencyKey": "k" * 257}, {"idempotencyKey": "Expected `str` of length <= 256"}),
    "key with a line break": ({"idempotencyKey": "a\nb"}, {"idempotencyKey": "Must be printable characters"}),
    "key is a number": ({"idempotencyKey": 7}, {"idempotencyKey": "Expected `str`, got `int`"}),
    "long type": ({"taskType": "t" * 129}, {"taskType": "Expected `str` of length <= 128"}),
    "unknown risk": ({"riskTier": "extreme"}, {"riskTier": "Invalid enum value 'extreme'"}),
    "short sla": ({"slaSeconds": 29}, {"slaSeconds": "Expected `int` >= 30"}),
    "long sla": ({"slaSeconds": 86401}, {"slaSeconds": "Expected `int` <= 86400"}),
    "sla is true": ({"slaSeconds": True}, {"slaSeconds": "Expected `int`, got `bool`"}),
    "sla is text": ({"slaSeconds": "300"}, {"slaSeconds": "Expected `int`, got `str`"}),
    "payload is a list": ({"payload": []}, {"payload": "Expected `object`, got `array`"}),
    "schema is text": ({"outputSchema": "object"}, {"outputSchema": "Expected `object`, got `str`"}),
    "payout is a number": ({"payout": 5}, {"payout": "Expected `object`, got `int`"}),
    "empty payout": (
        {"payout": {}},
        {"payout.currency": "Field is required", "payout.maxAmount": "Field is required"},
    ),
    "unknown currency": (
        {"payout": {"currency": "EUR", "maxAmount": 1}},
        {"payout.currency": "Invalid enum value 'EUR'"},
    ),
    "negative": (
        {"payout": {"currency": "USD", "maxAmount": -1}},
        {"payout.maxAmount": "Must be a number of at least 0"},
    ),
    "quoted amount": (
        {"payout": {"currency": "USD", "maxAmount": "0.5"}},
        {"payout.maxAmount": "Expected `number`, got `str`"},
    ),
    "too much": (
        {"payout": {"currency": "BTC", "maxAmount": 1.1}},
        {"payout.maxAmount": "Must be at most 1 BTC"},
    ),
    "too fine": (
        {"payout": {"currency": "USD", "maxAmount": 1e-13}},
        {"payout.maxAmount": "Must have at most 12 decimal places"},
    ),
    "no payout known": (
        {"taskType": "unpriced", "payout": None},
        {"payout": "Field is required"},
    ),
    "ftp": ({"callbackUrl": "ftp://a.example/x"}, {"callbackUrl": "Must be an http or https URL"}),
    "no host": ({"callbackUrl": "https:///x"}, {"callbackUrl": "Must be an http or https URL"}),
    "userinfo": (
        {"callbackUrl": "https://user:secret@a.example/"},
        {"callbackUrl": "Must not hold a user name or password; deliveries are signed instead"},
    ),
    "bad port": (
        {"callbackUrl": "https://a.example:99999/"},
        {"callbackUrl": "Must be an http or https URL"},
    ),
    "metadata is a list": ({"metadata": [1]}, {"metadata": "Expected `object`, got `array`"}),
    "skills": ({"skillsRequired": "french"}, {"skillsRequired": "Expected `array`, got `str`"}),
    "two faults": (
        {"slaSeconds": 1, "payload": None},
        {"slaSeconds": "Expected `int` >= 30", "payload": "Field is required"},
    ),
}


async def test_faults_of_form_name_every_field(client: httpx.AsyncClient) -> None:
    for name, (changes, details) in WRONG.items():
        answer = await client.post("/v1/tasks", json=refund(**changes))

        assert answer.status_code == 400, (name, answer.text)
        error = {
            "type": "validation_error",
            "message": "Invalid request body",
            "code": "invalid_body",
            "details": details,
        }
        assert answer.json() == {"error": error, "requestId": answer.headers["x-request-id"]}, name


async def test_an_unknown_task_type_is_refused_with_those_that_exist(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=refund(taskType="mind_reading"))

    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("validation_error", "unknown_task_type")
    assert "refund_eligibility" in error["details"]["taskType"]


OUT_OF_PROFILE: list[dict[str, Any]] = [
    {"type": "nonsense"},
    {"type": "array"},
    {"type": "object", "properties": {"a": {"$ref": "https://evil.example/schema"}}},
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)b"}}},
]


async def test_an_answer_schema_out_of_profile_is_refused(client: httpx.AsyncClient) -> None:
    for schema in OUT_OF_PROFILE:
        answer = await client.post("/v1/tasks", json=refund(outputSchema=schema))

        assert answer.status_code == 422, answer.text
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("validation_error", "output_schema_invalid")
        assert all(path.startswith("outputSchema") for path in error["details"])


async def test_a_payout_below_a_satoshi_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=refund(payout={"currency": "USD", "maxAmount": 0.000001}))

    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"payout.maxAmount": "Must be worth at least 1 satoshi"}
