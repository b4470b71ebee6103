"""The two group-commit lanes of a web process (deliveries in, tasks created), and the sender of test events.
Implements the protocols of `hub/services.py`; built by `hub/wiring.py`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from connectors.http import OutboundHttp
from core import clock, ids
from core.access.sealing import Sealer
from core.access.tables import Organisation
from core.callbacks import actions as callbacks
from core.callbacks.actions import TestResult
from core.callbacks.tables import CallbackEndpoint
from core.db.group_commit import GroupCommit
from core.db.unit_of_work import UnitOfWork
from core.errors import HubError, Invalid
from core.intake.actions import Received, receive_at_once
from core.intake.envelope import InboundDelivery
from core.secret import Secret
from core.tasks.creation import Created, Prepared, create_at_once
from core.tasks.model import Environment
from core.tasks.view import encode


class CreationLane:
    """Creates tasks, many waiting ones in one transaction."""

    def __init__(self, work: UnitOfWork):
        async def write(items: list[Prepared]) -> list[Created | HubError]:
            return await create_at_once(work, items)

        self._lane = GroupCommit(write)

    async def create(self, prepared: Prepared) -> Created:
        return await self._lane.submit(prepared)


class IntakeLane:
    """Stores verified deliveries, those of many waiting requests in one transaction."""

    def __init__(self, work: UnitOfWork):
        async def write(items: list[list[Received]]) -> list[list[bool]]:
            stored = iter(await receive_at_once(work, [one for item in items for one in item]))
            return [[next(stored) for _ in item] for item in items]

        self._lane = GroupCommit(write)

    async def receive(self, connector_id: str, deliveries: Sequence[InboundDelivery]) -> list[bool]:
        return await self._lane.submit([Received(connector_id, one) for one in deliveries])


class CallbackTester:
    """Sends one signed test event now."""

    def __init__(self, work: UnitOfWork, outbound: OutboundHttp, sealer: Sealer):
        self._work = work
        self._outbound = outbound
        self._sealer = sealer

    async def send_test(
        self, organisation_id: str, environment: Environment, event_type: str, url: str | None
    ) -> TestResult:
        async with self._work.read() as session:
            organisation = await session.get_one(Organisation, organisation_id)
            endpoint = await session.scalar(
                select(CallbackEndpoint)
                .where(
                    CallbackEndpoint.organisation_id == organisation_id,
                    CallbackEndpoint.environment == environment,
                    CallbackEndpoint.disabled_at.is_(None),
                )
                .order_by(CallbackEndpoint.id)
                .limit(1)
            )
        if url is None and endpoint is None:
            raise Invalid(
                "no_callback_url",
                "There is no callback URL to send a test event to",
                field_errors={"callbackUrl": "Give one here, or register an endpoint with POST /v1/webhooks"},
            )
        sealed = organisation.webhook_secret if url is not None or endpoint is None else endpoint.secret
        target = url or (endpoint.url if endpoint else "")
        secret = Secret(self._sealer.unseal(sealed))
        return await callbacks.send_test(self._outbound.post, target, secret, event_type, _sample(event_type))


def _sample(event_type: str) -> bytes:
    """A made-up task in the state that the event announces, marked as a test in its metadata."""
    now = clock.iso(clock.now())
    return encode(
        {
            "id": ids.uuid7(),
            "idempotencyKey": "test-event",
            "status": event_type.removeprefix("task."),
            "taskType": "test_event",
            "riskTier": "low",
            "slaSeconds": 600,
            "payload": {},
            "outputSchema": {"type": "object"},
            "payout": {"currency": "SATS", "maxAmount": 0},
            "metadata": {"test": True},
            "createdAt": now,
            "updatedAt": now,
            "expiresAt": now,
        }
    )
