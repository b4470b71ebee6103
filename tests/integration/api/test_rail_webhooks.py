"""`/webhooks/rails/strike` on both databases: a verified event brings look-ups forward, once, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest

from connectors.rails import RAILS, RailConfig
from core import clock, ids
from core.db.unit_of_work import UnitOfWork
from core.payouts.rail import Rail
from core.payouts.tables import PayoutAttempt
from hub.services import Services
from tests.factories import DOLLAR, PLAN, RATE, earn, emitted, organisation, task, worker
from tests.integration.api.conftest import client_for, serving

SECRET = "ScKc2Phr37RzfESKGYPh6CnZqNxc9t"
PATH = "/webhooks/rails/strike"


@pytest.fixture
def rails(tmp_path: Path) -> dict[str, Rail]:
    for name, value in (("key", "0" * 32), ("secret", SECRET)):
        (tmp_path / name).write_text(value)
    options: dict[str, object] = {
        "api_key": f"file:{tmp_path}/key",
        "webhook_secrets": [f"file:{tmp_path}/none", f"file:{tmp_path}/secret"],
    }
    return {
        name: RAILS[name](RailConfig(name=name, data_dir=tmp_path, options=options))
        for name in ("strike", "strike_bank")
    }


@pytest.fixture
async def strike(services: Services, rails: dict[str, Rail]) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(replace(services, rails=rails)) as app, client_for(app) as client:
        yield client


async def in_doubt(work: UnitOfWork, rail: str, reference: str, *, state: str = "unknown") -> str:
    """The id of a payout whose attempt on `rail` is in doubt."""
    async with work.begin("tasks.verify") as tx:
        org, who = await organisation(tx, balance_msat=200 * DOLLAR), await worker(tx)
        row = await task(tx, org, amount="0.50")
        row.status = "verified"
        payout = await earn(tx, row, who.id, PLAN, RATE)
        assert payout is not None
        payout.state, payout.rail = state, rail
        tx.session.add(
            PayoutAttempt(
                id=ids.new("att"),
                payout_id=payout.id,
                number=1,
                state=state,
                rail=rail,
                address="ana@sandbox.test",
                invoice="",
                payment_hash=secrets.token_hex(32),
                amount_msat=payout.amount_msat,
                max_fee_msat=5_000,
                expires_at=clock.now(),
                reference=reference,
                created_at=clock.now(),
            )
        )
    return payout.id


def event(kind: str, entity_id: str, event_id: str = "") -> bytes:
    return msgspec.json.encode(
        {
            "id": event_id or str(uuid4()),
            "eventType": kind,
            "webhookVersion": "v1",
            "data": {"entityId": entity_id, "changes": ["state"]},
            "created": "2026-11-24T04:00:00.000+00:00",
            "deliverySuccess": None,
        }
    )


async def send(client: httpx.AsyncClient, body: bytes, secret: str = SECRET) -> int:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    answer = await client.post(PATH, content=body, headers={"X-Webhook-Signature": signature})
    return answer.status_code


async def test_a_payments_event_looks_up_what_is_in_doubt_on_that_rail(
    work: UnitOfWork, strike: httpx.AsyncClient
) -> None:
    mine = [await in_doubt(work, "strike", str(uuid4())) for _ in range(2)]
    await in_doubt(work, "lnbits", "")
    assert await send(strike, event("payment.updated", str(uuid4()))) == 200
    assert await emitted(work, "payout.check") == mine


async def test_a_payouts_event_looks_up_that_payout(work: UnitOfWork, strike: httpx.AsyncClient) -> None:
    reference = str(uuid4())
    payout = await in_doubt(work, "strike_bank", reference)
    await in_doubt(work, "strike_bank", str(uuid4()))
    assert await send(strike, event("payout.updated", str(uuid4()))) == 200
    assert await emitted(work, "payout.check") == []
    assert await send(strike, event("payout.updated", reference)) == 200
    assert await emitted(work, "payout.check") == [payout]


async def test_the_same_event_again_does_nothing(work: UnitOfWork, strike: httpx.AsyncClient) -> None:
    await in_doubt(work, "strike", str(uuid4()))
    body = event("payment.updated", str(uuid4()))
    assert [await send(strike, body) for _ in range(3)] == [200, 200, 200]
    assert len(await emitted(work, "payout.check")) == 1


async def test_what_is_not_in_doubt_is_left_alone(work: UnitOfWork, strike: httpx.AsyncClient) -> None:
    await in_doubt(work, "strike", str(uuid4()), state="settled")
    assert await send(strike, event("payment.updated", str(uuid4()))) == 200
    assert await send(strike, event("invoice.updated", str(uuid4()))) == 200
    assert await emitted(work, "payout.check") == []


async def test_an_unsigned_event_is_refused(work: UnitOfWork, strike: httpx.AsyncClient) -> None:
    await in_doubt(work, "strike", str(uuid4()))
    body = event("payment.updated", str(uuid4()))
    assert await send(strike, body, "WfPh1Xj2vQ7rT0aLk9sDm3eYb6uNo4") == 401
    assert (await strike.post(PATH, content=body)).status_code == 401
    assert await send(strike, b"{}") == 400
    assert await send(strike, b" " * 70_000) == 413
    assert (await strike.get(PATH)).status_code == 405
    assert await emitted(work, "payout.check") == []


async def test_without_a_secret_there_is_no_such_address(
    services: Services, rails: dict[str, Rail], tmp_path: Path
) -> None:
    body = event("payment.updated", str(uuid4()))
    (tmp_path / "secret").write_text("")
    options: dict[str, object] = {
        "api_key": f"file:{tmp_path}/key",
        "webhook_secrets": f"file:{tmp_path}/secret",
    }
    disabled = {"strike": RAILS["strike"](RailConfig(name="strike", data_dir=tmp_path, options=options))}
    for known in ({}, disabled):
        async with serving(replace(services, rails=known)) as app, client_for(app) as client:
            assert await send(client, body) == 404
