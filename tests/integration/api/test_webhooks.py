"""/v1/webhooks: endpoint objects, and a test event that arrives signed."""

from __future__ import annotations

import hashlib
import hmac

import httpx
import msgspec
from sqlalchemy import select

from core.access import organisations
from core.callbacks.tables import CallbackEndpoint
from hub.services import Services
from tests.fakes.sink import Sink
from tests.integration.api.conftest import Tenant

ALL = ["posted", "assigned", "submitted", "verified", "failed", "cancelled", "expired"]


# docs.humanrail.dev/webhooks/: the documented example of the second generation
EXAMPLE = {
    "url": "https://your-app.com/webhooks/humanrail",
    "events": ["task.verified", "task.failed"],
    "description": "Production webhook",
}


async def test_an_endpoint_is_registered_with_its_secret_shown_once(
    client: httpx.AsyncClient, services: Services
) -> None:
    made = await client.post("/v1/webhooks", json=EXAMPLE)

    endpoint = made.json()
    secret = endpoint.pop("secret")
    assert made.status_code == 201
    assert secret.startswith("whsec_")
    assert endpoint["id"].startswith("wh_")
    assert endpoint["created_at"] == endpoint["createdAt"]
    assert {name: endpoint[name] for name in ("url", "description")} == {
        name: EXAMPLE[name] for name in ("url", "description")
    }
    assert endpoint["events"] == ["task.failed", "task.verified"]
    assert (await client.get(f"/v1/webhooks/{endpoint['id']}")).json() == endpoint
    assert (await client.get("/v1/webhooks")).json() == {"data": [endpoint]}
    async with services.work.read() as session:
        row = (await session.scalars(select(CallbackEndpoint))).one()
    assert services.sealer.unseal(row.secret) == secret


async def test_names_of_events(client: httpx.AsyncClient, services: Services) -> None:
    for events, kept in (
        (None, []),
        ([], []),
        (["*"], []),
        (["task.created", "task.completed", "task.posted"], ["task.posted", "task.verified"]),
    ):
        made = (
            await client.post("/v1/webhooks", json={"url": "https://a.example/", "events": events})
        ).json()
        assert made["events"] == (kept or [f"task.{name}" for name in ALL])
        async with services.work.read() as session:
            row = await session.get_one(CallbackEndpoint, made["id"])
        assert row.events == kept


async def test_faults_of_form(client: httpx.AsyncClient) -> None:
    which = f"Must be one of: {', '.join(f'task.{name}' for name in (*ALL, 'corrected'))}"
    for body, details in (
        ({}, {"url": "Field is required"}),
        ({"url": "nonsense"}, {"url": "Must be an http or https URL"}),
        ({"url": "https://a.example/", "events": ["task.eaten"]}, {"events": which}),
        ({"url": "https://a.example/", "events": "task.posted"}, {"events": "Expected `array`, got `str`"}),
        (
            {"url": "https://a.example/", "description": "d" * 501},
            {"description": "Expected `str` of length <= 500"},
        ),
    ):
        answer = await client.post("/v1/webhooks", json=body)
        assert (answer.status_code, answer.json()["error"]["details"]) == (400, details)


async def test_an_endpoint_is_removed(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/webhooks", json={"url": "https://a.example/"})).json()

    gone = await client.delete(f"/v1/webhooks/{made['id']}")

    assert (gone.status_code, gone.content) == (204, b"")
    assert gone.headers["x-request-id"]
    for answer in (
        await client.delete(f"/v1/webhooks/{made['id']}"),
        await client.get(f"/v1/webhooks/{made['id']}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "Webhook endpoint not found"


async def test_there_is_an_end_to_endpoints(client: httpx.AsyncClient) -> None:
    for number in range(20):
        made = await client.post("/v1/webhooks", json={"url": f"https://a.example/{number}"})
        assert made.status_code == 201

    answer = await client.post("/v1/webhooks", json={"url": "https://a.example/20"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_endpoints")


def signature(secret: str, header: str, body: bytes) -> bool:
    """As the published SDKs verify: t=<unix>,v1=<hex hmac of "t.body">, keyed with the secret's text."""
    parts = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(secret.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, parts["v1"])


async def test_a_test_event_arrives_signed(
    client: httpx.AsyncClient, services: Services, tenant: Tenant, sink: Sink
) -> None:
    sink.statuses.append(202)

    answer = await client.post(
        "/v1/webhooks/test", json={"eventType": "task.verified", "callbackUrl": sink.url}
    )

    told = answer.json()
    (received,) = sink.received
    assert answer.status_code == 200
    assert set(told) == {"eventId", "deliveredAt", "statusCode"}
    assert (told["eventId"], told["statusCode"]) == (received.id, 202)
    assert msgspec.json.decode(received.body)["type"] == "task.verified"
    async with services.work.read() as session:
        organisation = await organisations.get(session, tenant.organisation_id)
    secret = organisations.webhook_secret(organisation, services.sealer).reveal()
    for header in ("X-Escalation-Signature", "X-HumanRail-Signature"):
        assert signature(secret, received.headers[header], received.body)


async def test_a_test_event_goes_to_the_registered_endpoint_with_its_secret(
    client: httpx.AsyncClient, sink: Sink
) -> None:
    secret = (await client.post("/v1/webhooks", json={"url": sink.url})).json()["secret"]

    answer = await client.post("/v1/webhooks/test", json={"eventType": "task.posted"})

    assert answer.json()["statusCode"] == 200
    (received,) = sink.received
    assert signature(secret, received.headers["X-Escalation-Signature"], received.body)


async def test_a_test_event_that_cannot_be_sent(client: httpx.AsyncClient) -> None:
    nowhere = await client.post("/v1/webhooks/test", json={"eventType": "task.verified"})
    assert nowhere.status_code == 422
    assert list(nowhere.json()["error"]["details"]) == ["callbackUrl"]

    private = await client.post(
        "/v1/webhooks/test",
        json={"eventType": "task.verified", "callbackUrl": "http://169.254.169.254/latest"},
    )
    assert (private.status_code, private.json()["error"]["code"]) == (422, "callback_unreachable")

    for body, field in (
        ({}, "eventType"),
        ({"eventType": "task.eaten"}, "eventType"),
        ({"eventType": 1}, "eventType"),
    ):
        answer = await client.post("/v1/webhooks/test", json=body)
        assert answer.status_code == 400
        assert list(answer.json()["error"]["details"]) == [field]
