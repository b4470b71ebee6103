"""What the hub knows of a configured connector when it reads a delivery or writes into a ticket: whose it is, what a
task of it looks like, how its answers go back. Used by the intake and reply jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.config import ConnectorConfig
from connectors.connector import Tools
from connectors.outbound import notes
from connectors.threads import Threads
from core import clock
from core.access import organisations
from core.billing.plans import Plans
from core.db.base import to_json
from core.errors import Misconfigured
from core.forms.profile import check
from core.intake.actions import Understanding
from core.intake.envelope import Escalation
from core.money import Currency
from core.replies.actions import Delivery
from core.tasks.model import Environment, NewTask, RiskTier, Source
from core.tasks.tables import Task
from core.tasks.types import Price, TaskTypes

ANY_OBJECT: dict[str, Any] = {"type": "object"}


class Connectors:
    """The configured connectors, by id, as jobs need them."""

    def __init__(
        self, configs: Mapping[str, ConnectorConfig], types: TaskTypes, plans: Plans, threads: Threads
    ):
        self._configs = configs
        self._types = types
        self._plans = plans
        self._deliveries = {
            name: Delivery(
                writer=config.connector.writer(config.settings, Tools(threads=threads)),
                max_attempts=config.settings.delivery.max_attempts,
                max_age_seconds=config.settings.delivery.max_age_seconds,
                wait_seconds=_pace(config.settings.delivery.rate.per_minute),
                live=config.settings.mode == "live",
            )
            for name, config in configs.items()
        }

    async def understand(self, session: AsyncSession, connector_id: str) -> Understanding:
        """Raises Misconfigured when the connector's file, or its organisation, is gone."""
        config = self._config(connector_id)
        settings = config.settings
        organisation = await organisations.by_name(session, settings.organisation)
        if organisation is None:
            raise Misconfigured(
                "unknown_organisation",
                f"{config.file_name}: organisation {settings.organisation!r} does not exist; "
                f"make it with `hub organisations create {settings.organisation}`",
            )

        return Understanding(
            normalize=lambda delivery: config.connector.normalize(
                settings, delivery, settings.inbound.routes
            ),
            new_task=lambda escalation: self._new_task(config, organisation.id, escalation),
            plan=self._plans.get(organisation.plan),
            most_per_hour=settings.loop_guard.max_tasks_per_key_per_hour,
        )

    def delivery(self, connector_id: str) -> Delivery:
        """How this connector writes into its tickets. Raises Misconfigured when its file is gone."""
        self._config(connector_id)
        return self._deliveries[connector_id]

    def notes(self, task: Task, context: dict[str, Any]) -> list[str]:
        """The notes that the connector's file wants for this outcome; a cancelled task leaves none."""
        if task.connector is None or task.connector not in self._configs:
            return []
        if task.status not in ("verified", "failed", "expired"):
            return []
        return notes(self._config(task.connector).settings, task.status, context)

    def _config(self, connector_id: str) -> ConnectorConfig:
        try:
            return self._configs[connector_id]
        except KeyError:
            raise Misconfigured("unknown_connector", f"No connector {connector_id!r} is configured") from None

    def _new_task(self, config: ConnectorConfig, organisation_id: str, escalation: Escalation) -> NewTask:
        fields = dict(escalation.task)
        kind = self._types.get(fields["task_type"])
        price = kind.payout
        if payout := fields.get("payout"):
            price = Price(currency=Currency(payout["currency"]), max_amount=payout["maxAmount"])
        if price is None:
            raise Misconfigured(
                "no_price",
                f"{config.file_name}: route {escalation.route}: set `payout:`, task type {kind.name} has no price",
            )
        payload = dict(fields["payload"])
        if "title" in fields:
            payload.setdefault("title", fields["title"])
        schema = kind.output_schema or ANY_OBJECT
        check(schema)
        name = f"{config.settings.id}:{escalation.ticket.id}:{escalation.key}"
        return NewTask(
            organisation_id=organisation_id,
            environment=Environment(config.settings.environment),
            idempotency_key=name if len(name) <= 256 else hashlib.sha256(name.encode()).hexdigest(),
            request_digest=hashlib.sha256(to_json([name, escalation.route]).encode()).hexdigest(),
            task_type=kind.name,
            risk_tier=RiskTier(fields.get("risk_tier", kind.risk_tier)),
            sla_seconds=min(86_400, max(30, fields.get("sla_seconds", kind.sla_seconds))),
            payload=payload,
            output_schema=schema,
            amount=price.max_amount,
            currency=price.currency,
            skills=list(kind.skills),
            metadata=fields.get("metadata"),
            source=Source(connector=config.settings.id, ticket_id=escalation.ticket.id, key=escalation.key),
            actor=f"connector:{config.settings.id}",
        )


def _pace(per_minute: int) -> Callable[[], float]:
    """Seconds to wait before the next write, 0 when one may go now (and is counted). Per process: a hub with several
    workers multiplies it, and the vendor's own 429 is obeyed in any case."""
    limiter, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(per_minute)

    def wait_seconds() -> float:
        if limiter.hit(item):
            return 0.0
        return max(0.1, limiter.get_window_stats(item).reset_time - clock.unix())

    return wait_seconds
