"""Receipts over HTTP: the task's own, and the public keys that verify them."""

from __future__ import annotations

import httpx
import msgspec
from sqlalchemy import update

from core import clock
from core.receipts import actions, keys
from core.receipts.model import File, KeySet
from core.receipts.verify import answers_differ, judge
from core.tasks.tables import Task
from hub.services import Services
from tests.integration.api.conftest import refund

KEYS = "/.well-known/hub-receipt-keys.json"
OUTPUT = {"eligible": True, "reason_code": "approved"}


async def test_a_receipt_verifies_with_the_well_known_keys(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    task_id = (await client.post("/v1/tasks", json=refund())).json()["id"]
    early = await client.get(f"/v1/tasks/{task_id}/receipt")
    assert (early.status_code, early.json()["error"]["code"]) == (404, "receipt_not_issued")
    assert "receipt" not in (await client.get(f"/v1/tasks/{task_id}")).json()
    assert (await stranger.get(KEYS)).json() == {"keys": []}
    issuer = actions.Issuer(hub=services.settings.public_url, sealer=services.sealer)
    async with services.work.begin("receipts.issue") as tx:
        values = {"status": "verified", "output": OUTPUT, "ended_at": clock.now()}
        await tx.session.execute(update(Task).where(Task.id == task_id).values(values))
        await actions.of_verified(tx, task_id, issuer)
    shown = (await client.get(f"/v1/tasks/{task_id}")).json()["receipt"]
    answer = await client.get(shown["path"])
    assert answer.status_code == 200
    [signed] = msgspec.json.decode(answer.content, type=File).receipts
    assert signed.receipt["id"] == shown["id"]
    public = await stranger.get(KEYS)
    assert public.headers["cache-control"] == "public, max-age=60"
    assert judge([signed], msgspec.json.decode(public.content, type=KeySet)) == []
    assert answers_differ([signed], OUTPUT) == []


async def test_private_halves_are_not_given_out(stranger: httpx.AsyncClient, services: Services) -> None:
    async with services.work.begin("receipts.rotate") as tx:
        await keys.rotate(tx, services.sealer, actor="test")
    [key] = (await stranger.get(KEYS)).json()["keys"]
    assert set(key) == {"kid", "x", "createdAt", "retiredAt", "kty", "crv", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["retiredAt"]) == ("OKP", "Ed25519", "EdDSA", None)
