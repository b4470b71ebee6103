"""An Intercom connector file: the common form plus region, credentials, the teammate we write as, and the steps that
Intercom's conversations and tickets can take. Decoded by `connectors/config.py`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from connectors.expressions import OutcomeExpression, PlainTemplate, Template
from connectors.form import ConnectorFile, Duration, Outbound, Step
from connectors.secret_refs import Secrets

# intercom/Intercom-OpenAPI, `servers`; never taken from a payload or from free text in the file.
API = {
    "us": "https://api.intercom.io",
    "eu": "https://api.eu.intercom.io",
    "au": "https://api.au.intercom.io",
}
APP = {
    "us": "https://app.intercom.com",
    "eu": "https://app.eu.intercom.com",
    "au": "https://app.au.intercom.com",
}

HITL_TOPIC = "procedure.hitl_notification.created"

# developers.intercom.com "Webhook topics" (2.17): those of conversations, tickets, procedures, and the ping.
TOPICS = frozenset(
    {
        "conversation.admin.assigned", "conversation.admin.closed", "conversation.admin.noted",
        "conversation.admin.open.assigned", "conversation.admin.opened", "conversation.admin.replied",
        "conversation.admin.replied.translated", "conversation.admin.single.created", "conversation.admin.snoozed",
        "conversation.admin.unsnoozed", "conversation.company.updated", "conversation.contact.attached",
        "conversation.contact.detached", "conversation.deleted", "conversation.operator.replied",
        "conversation.priority.updated", "conversation.rating.added", "conversation.read",
        "conversation.user.created", "conversation.user.replied", "conversation_part.redacted",
        "conversation_part.tag.created", "ping", HITL_TOPIC, "ticket.admin.assigned", "ticket.admin.replied",
        "ticket.admin.replied.translated", "ticket.attribute.updated", "ticket.closed", "ticket.contact.attached",
        "ticket.contact.detached", "ticket.contact.replied", "ticket.created", "ticket.note.created",
        "ticket.rating.provided", "ticket.resolved", "ticket.state.updated", "ticket.team.assigned",
    }
)  # fmt: skip

Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}$")]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class IntercomAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`access_token` is the app's (Developer Hub > Authentication), `client_secrets` its signing secrets
    (Basic information); Intercom changes that one in a hard cut, so keep the old one here for a day."""

    access_token: Secrets
    client_secrets: Secrets


class IntercomComment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reply that the customer reads. Give the step an `only_if`."""

    body: Template


class IntercomAssign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`admin:ID`, `team:ID`, `unassigned`, or `previous`: whoever had it before it came to the people who asked us."""

    to: Annotated[str, msgspec.Meta(pattern=r"^(previous|unassigned|(admin|team):[0-9]{1,20})$")]


class IntercomSnooze(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until so long after the write."""

    lasting: Duration = msgspec.field(name="for")


class CollectAgentInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a Fin procedure that waits for a person. `values` gives {identifier: value}; where a value of a
    list attribute is its label, `attributes` gives the notification's `attributes_to_collect` to find the option's id."""

    values: OutcomeExpression
    attributes: OutcomeExpression | None = None


class IntercomStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be done in a conversation or ticket, besides the internal `note`."""

    comment: IntercomComment | None = None
    tag: Label | None = None
    untag: Label | None = None
    assign: IntercomAssign | None = None
    set_attributes: dict[str, PlainTemplate] | None = None
    set_values: dict[str, OutcomeExpression] | None = None
    ticket_state: Label | None = None
    close: bool | None = None
    open: bool | None = None
    snooze: IntercomSnooze | None = None
    collect_agent_input: CollectAgentInput | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("close", "open"):
            if getattr(self, name) is False:
                raise ValueError(f"`{name}: false` would do nothing; take the step away")


class IntercomSettings(ConnectorFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`act_as_admin` writes everything and is how we know our own writes: a teammate of the hub alone. With `app_id`
    only that workspace's deliveries count: one app delivers those of all its workspaces to one URL."""

    auth: IntercomAuth
    act_as_admin: Id
    region: Literal["us", "eu", "au"] = "us"
    api_version: Annotated[str, msgspec.Meta(pattern=r"^2\.[0-9]{1,2}$")] = "2.14"
    app_id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]{1,32}$")] | None = None
    outbound: Outbound[IntercomStep] = Outbound()

    @property
    def api_url(self) -> str:
        """Where the REST API is: the region's host, or the loopback address of a test."""
        return (self.test_base_url or API[self.region]).rstrip("/")

    def steps(self) -> list[IntercomStep]:
        """Every step of the file, whatever the outcome and the route."""
        outcomes = (self.outbound, *self.outbound.routes.values())
        return [step for one in outcomes for kind in (one.verified, one.failed, one.expired) for step in kind]
