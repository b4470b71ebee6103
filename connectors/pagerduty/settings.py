"""A PagerDuty connector file: the common form plus region, credentials, the webhook subscription and PagerDuty's own
steps. Decoded by `connectors/config.py`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from connectors.expressions import OutcomeMapped, PlainTemplate
from connectors.form import ConnectorFile, Outbound, Step
from connectors.secret_refs import Secrets

# developer.pagerduty.com "OpenAPI / service regions"; never taken from a payload or from free text in the file.
API = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}

# Event types of webhooks v3 (PagerDuty/developer-docs docs/webhooks/01-Overview.md).
TOPICS = frozenset(
    {
        "incident.acknowledged", "incident.action_invocation.created", "incident.action_invocation.terminated",
        "incident.action_invocation.updated", "incident.annotated", "incident.conference_bridge.updated",
        "incident.custom_field_values.updated", "incident.delegated", "incident.escalated",
        "incident.incident_type.changed", "incident.priority_updated", "incident.reassigned", "incident.reopened",
        "incident.resolved", "incident.responder.added", "incident.responder.replied", "incident.role.assigned",
        "incident.service_updated", "incident.status_update_published", "incident.task.completed",
        "incident.task.created", "incident.task.updated", "incident.triggered", "incident.unacknowledged",
        "incident.workflow.completed", "incident.workflow.started", "pagey.ping", "service.created",
        "service.custom_field_values.updated", "service.deleted", "service.updated",
    }
)  # fmt: skip

# What a route's `enrich:` may ask for; fetched by `enrich.py`.
CONTEXTS = frozenset({"alerts", "custom_fields", "incident", "log_entries", "notes", "trigger_log_entry"})

# What PagerDuty's ids look like (PGR0VU2, Q3B15VLMF3ASBD); nothing else may reach a path of the API.
ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")

# The same for the file: P and six characters in older accounts, up to fourteen in newer ones.
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{1,32}$")]
FieldName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]{1,50}$")]


class PagerDutyAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`api_token` is a REST API key (`Token token=`). `from` is the e-mail address of a real user of the account,
    sent with every write, and `user_id` that user's id; use one that belongs to the hub alone, because whatever that
    user does is taken for our own writing. `webhook_secrets` are those of the subscriptions."""

    api_token: Secrets
    sender: Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)] = msgspec.field(
        name="from"
    )
    webhook_secrets: Secrets
    user_id: Id | None = None


class PagerDutySubscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose incidents are sent to the hub: what `hub connectors setup` asks PagerDuty for. `id` is that of the service
    or team."""

    filter: Literal["account", "service", "team"] = "account"
    id: Id | None = None

    def __post_init__(self) -> None:
        if (self.filter == "account") != (self.id is None):
            raise ValueError("`id` names the service or team; a subscription of the whole account takes none")


class StatusUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sent to the stakeholders of the incident by e-mail; it cannot be taken back, so give the step an `only_if`."""

    message: PlainTemplate
    subject: PlainTemplate | None = None


class ResolveIncident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ends the incident. `resolution` is kept in its log."""

    resolution: PlainTemplate | None = None


class Responders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls more people to the incident: users and escalation policies, by id. Pages them at once."""

    message: PlainTemplate
    users: list[Id] = []
    escalation_policies: list[Id] = []

    def __post_init__(self) -> None:
        if not self.users and not self.escalation_policies:
            raise ValueError("`responders` needs at least one of `users` and `escalation_policies`")


class PagerDutyStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`custom_fields` writes texts, `field_values` typed values (for fields that are no text), both by field name."""

    custom_fields: dict[FieldName, PlainTemplate] | None = None
    field_values: OutcomeMapped | None = None
    status_update: StatusUpdate | None = None
    acknowledge: Literal[True] | None = None
    resolve: ResolveIncident | None = None
    responders: Responders | None = None


class PagerDutySettings(ConnectorFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    auth: PagerDutyAuth
    region: Literal["us", "eu"] = "us"
    subscription: PagerDutySubscription = PagerDutySubscription()
    outbound: Outbound[PagerDutyStep] = Outbound()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.auth.user_id is None and any(step.responders for step in self.steps()):
            raise ValueError(
                "a step with `responders` needs `auth.user_id`: PagerDuty wants to know who asks"
            )

    @property
    def api_url(self) -> str:
        """Where the REST API is: the region's host, or the loopback address of a test."""
        return self.test_base_url or API[self.region]

    @property
    def own_agents(self) -> frozenset[str]:
        """Ids of the users whose events are our own doing."""
        own = (self.auth.user_id,) if self.auth.user_id else ()
        return frozenset((*self.loop_guard.ignore_agents, *own))

    def steps(self) -> list[PagerDutyStep]:
        """Every step of the file, of all outcomes and routes."""
        outcomes = [self.outbound, *self.outbound.routes.values()]
        return [step for one in outcomes for step in (*one.verified, *one.failed, *one.expired)]
