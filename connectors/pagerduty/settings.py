"""A PagerDuty connector file: the common form plus region and credentials. Decoded by `connectors/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from connectors.form import ConnectorFile
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


class PagerDutyAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`api_token` is a REST API key (`Token token=`). `from` is the e-mail address of a real user of the account,
    sent with every write; use one that belongs to the hub alone. `webhook_secrets` are those of the subscriptions."""

    api_token: Secrets
    sender: Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)] = msgspec.field(
        name="from"
    )
    webhook_secrets: Secrets


class PagerDutySettings(ConnectorFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    auth: PagerDutyAuth
    region: Literal["us", "eu"] = "us"

    @property
    def api_url(self) -> str:
        """Where the REST API is: the region's host, or the loopback address of a test."""
        return self.test_base_url or API[self.region]
