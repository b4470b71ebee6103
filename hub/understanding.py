"""What the hub knows of a configured connector when it reads a delivery or writes into a ticket: whose it is, what a
task of it looks like, how its answers go back. Used by the intake, reply and reconcile jobs and by the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.config import ConnectorConfig
from connectors.connector import Tools
from connectors.outbound import actions, correction
from connectors.redaction import restored
from core import clock
from core.access import organisations
from core.access.sealing import Sealer
from core.billing.plans import Plans
from core.db.base import to_json
from core.errors import Misconfigured
from core.forms.profile import check
from core.intake.envelope import Escalation, Wanted
from core.intake.process import Understanding
from core.money import Currency
from core.replies.actions import Delivery
from core.replies.compose import CORRECTED, Ending, Plan
from core.tasks.model import Environment, NewTask, RiskTier, Source
from core.tasks.types import Price, TaskTypes

ANY_OBJECT: dict[str, Any] = {"type": "object"}
OUTCOMES = ("verified", "failed", "expired")  # a cancelled task leaves nothing in the ticket


class Connectors:
    """The configured connectors, by id, as jobs need them. `configs` may change between two calls; what is built from
    an entry (its writer, its pace) lives as long as that entry is in use."""

    def __init__(
        self,
        configs: Mapping[str, ConnectorConfig],
        types: TaskTypes,
        plans: Plans,
        tools: Tools,
        sealer: Sealer,
    ):
        self._configs = configs
        self._types = types
        self._plans = plans
        self._tools = tools
        self._sealer = sealer
        self._deliveries: dict[str, tuple[ConnectorConfig, Delivery]] = {}

    async def understand(self, session: AsyncSession, connector_id: str) -> Understanding:
        """Raises Misconfigured when the connector's file, or its organisation, is gone."""
        config = self.config(connector_id)
        settings = config.settings
        organisation = await organisations.by_name(session, settings.organisation)
        if organisation is None:
            raise Misconfigured(
                "unknown_organisation",
                f"{config.file_name}: organisation {settings.organisation!r} does not exist; "
                f"make it with `hub organisations create {settings.organisation}`",
            )

        async def fetch(wanted: Wanted) -> dict[str, Any]:
            if config.connector.enricher is None:
                raise Misconfigured("no_context", f"{settings.connector} fetches no context")
            return await config.connector.enricher(settings, self._tools).fetch(wanted)

        return Understanding(
            normalize=lambda delivery, context: config.connector.normalize(
                settings, delivery, settings.inbound.routes, context
            ),
            fetch=fetch,
            new_task=lambda escalation: self.new_task(config, organisation.id, escalation),
            plan=self._plans.get(organisation.plan),
            most_per_hour=settings.loop_guard.max_tasks_per_key_per_hour,
            seal=lambda found: self._sealer.seal(to_json(dict(found))),
        )

    def delivery(self, connector_id: str) -> Delivery:
        """How this connector writes into its tickets. Raises Misconfigured when its file is gone."""
        config = self.config(connector_id)
        known = self._deliveries.get(connector_id)
        if known is None or known[0] is not config:
            known = self._deliveries[connector_id] = (config, self._delivery(config))
        return known[1]

    def _delivery(self, config: ConnectorConfig) -> Delivery:
        settings = config.settings
        pace = _pace(settings.delivery.rate.per_minute)
        return Delivery(
            writer=config.connector.writer(settings, self._tools),
            max_attempts=settings.delivery.max_attempts,
            max_age_seconds=settings.delivery.max_age_seconds,
            wait_seconds=lambda: self._tools.pauses.wait(settings.id) or pace(),
            mode=settings.mode,
        )

    def plan(self, ending: Ending) -> Plan:
        """The writes that the connector's file wants for this outcome. Raises Misconfigured when a template fails, or
        when the file is not there: forgotten in a deployment, it must not cost the ticket its answer."""
        if ending.outcome != CORRECTED and ending.outcome not in OUTCOMES:
            return Plan()
        config = self.config(ending.connector)
        context = ending.context
        if ending.redacted is not None:
            found = msgspec.json.decode(self._sealer.unseal(ending.redacted), type=dict[str, str])
            told = {
                name: restored(context[name], found) for name in ("result", "correction") if name in context
            }
            context = {**context, **told}
        if ending.outcome in OUTCOMES:
            wanted = actions(config.settings, ending.outcome, ending.route, context)
        else:
            wanted = correction(config.settings, ending.route, context, html=config.connector.html_notes)
        writes = (
            ((tuple(wanted),) if wanted else ()) if config.connector.bundles else tuple((a,) for a in wanted)
        )
        return Plan(writes=writes, marker=config.settings.loop_guard.marker)

    def config(self, connector_id: str) -> ConnectorConfig:
        """Raises Misconfigured when no file has this id."""
        try:
            return self._configs[connector_id]
        except KeyError:
            raise Misconfigured("unknown_connector", f"No connector {connector_id!r} is configured") from None

    def new_task(self, config: ConnectorConfig, organisation_id: str, escalation: Escalation) -> NewTask:
        """The request that an escalation makes, with the checks that the API makes. Raises Misconfigured, Invalid."""
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
        schema = fields.get("output_schema") or kind.output_schema or ANY_OBJECT
        check(schema)
        name = f"{config.settings.id}:{escalation.ticket.id}:{escalation.key}"
        return NewTask(
            organisation_id=organisation_id,
            environment=Environment(config.settings.environment),
            idempotency_key=name if len(name) <= 256 else hashlib.sha256(name.encode()).hexdigest(),
            # Not of the route or the text: two events may ask the same in two ways, and it is one task all the same.
            request_digest=hashlib.sha256(name.encode()).hexdigest(),
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
