"""A Salesforce connector file: the common form plus org, credentials, the two ways in and how a Case is written.
Decoded by `connectors/config.py`."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal

import msgspec

from connectors.expressions import OutcomeMapped
from connectors.form import ConnectorFile, Inbound, Outbound, Step
from connectors.salesforce.ids import id18
from connectors.secret_refs import Secrets
from connectors.signed_json import SignedJson
from core.secret import Secret

TOPICS = frozenset({"record.created", "record.updated", "record.deleted"})

FieldName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")]
OrgId = Annotated[str, msgspec.Meta(pattern=r"^00D[A-Za-z0-9]{12}([A-Z0-5]{3})?$")]
# The label of a My Domain host, with what stands between it and `my.salesforce.com` (help: My Domain URL formats).
MyDomain = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9-]{0,62}(\.(sandbox|develop|scratch|demo|patch|trailblaze|free|pc-rnd))?$"
    ),
]
# What every reading needs besides what the file selects: identity, author, order, created or updated.
BASE_FIELDS = ("Id", "CreatedDate", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
SYSTEM = "Salesforce"


class SalesforceAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An External Client App of the org: the client credentials flow, or a JWT signed with our own key for one user.
    `my_domain` is `acme` of acme.my.salesforce.com, `acme--uat.sandbox` for a sandbox."""

    my_domain: MyDomain
    client_id: Secrets
    method: Literal["client_credentials", "jwt", "password"] = "client_credentials"
    client_secret: Secrets | None = None
    username: Annotated[str, msgspec.Meta(max_length=254)] | None = None
    private_key: Secrets | None = None

    def __post_init__(self) -> None:
        if self.method == "password":
            raise ValueError(
                "`method: password` is not supported: SOAP login() is off in new orgs, gone from API 65.0 and ends for "
                "the older ones with Summer '27; use client_credentials or jwt with an External Client App"
            )
        if self.method == "client_credentials" and self.client_secret is None:
            raise ValueError("`method: client_credentials` needs `client_secret`")
        if self.method == "jwt" and (self.username is None or self.private_key is None):
            raise ValueError("`method: jwt` needs `username` and `private_key` (PEM)")
        if "--" in self.my_domain and "." not in self.my_domain:
            raise ValueError(f"`my_domain` of a sandbox is `{self.my_domain}.sandbox`")

    @property
    def host(self) -> str:
        return f"{self.my_domain}.my.salesforce.com"

    @property
    def sandbox(self) -> bool:
        return self.my_domain.endswith(".sandbox")

    def complete(self, now: datetime) -> bool:
        """False while a credential is empty: then nothing that needs the API can work."""
        key = self.client_secret if self.method == "client_credentials" else self.private_key
        return bool(self.client_id.current(now)) and key is not None and bool(key.current(now))

    def present(self, now: datetime) -> tuple[Secret, Secret]:
        """(client id, secret or private key) of now."""
        key = self.client_secret if self.method == "client_credentials" else self.private_key
        assert key is not None  # __post_init__
        return self.client_id.current(now), key.current(now)


class OutboundMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way in that needs no code in the org. An org id is no secret, so it is never the only proof. `verify:
    refetch` reads the record by REST before it is mapped, which makes a forged message worthless."""

    enabled: bool = True
    path_token: Secrets | None = None
    action_ids: list[str] = []
    require: Annotated[list[Literal["org_id", "path_token", "ip", "mtls"]], msgspec.Meta(min_length=1)] = (
        msgspec.field(default_factory=lambda: ["org_id", "path_token"])
    )
    ip_allow: list[str] = []
    mtls_header: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    mtls_values: list[str] = msgspec.field(default_factory=lambda: ["SUCCESS"])
    verify: Literal["refetch", "trust"] = "refetch"
    selected_fields: list[FieldName] = []

    def __post_init__(self) -> None:
        if "org_id" not in self.require or len(set(self.require)) < 2:
            raise ValueError("`require` needs org_id and at least one of path_token, ip, mtls")
        wanted = {"path_token": self.path_token, "ip": self.ip_allow, "mtls": self.mtls_header}
        for proof, setting, name in (
            ("path_token", wanted["path_token"], "path_token"),
            ("ip", wanted["ip"], "ip_allow"),
            ("mtls", wanted["mtls"], "mtls_header"),
        ):
            if proof in self.require and not setting:
                raise ValueError(f"`require` asks for {proof}, so `{name}` must be set")
        for entry in self.ip_allow:
            ip_network(entry)  # a ValueError that names the entry
        for action in self.action_ids:
            if id18(action) is None:
                raise ValueError(
                    f"`action_ids`: {action[:20]!r} is not the id of an Outbound Message (04k...)"
                )


class SalesforceInbound(Inbound, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least one way in. `record_fields` are what refetch and reconciliation read besides the selected ones."""

    outbound_message: OutboundMessage | None = None
    signed_json: SignedJson | None = None
    record_fields: list[FieldName] = []  # noqa: RUF012 -- msgspec copies it; its base class hides that from ruff

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.messages is None and self.json is None:
            raise ValueError("enable `outbound_message` or `signed_json`: nothing can come in")

    @property
    def messages(self) -> OutboundMessage | None:
        return self.outbound_message if self.outbound_message and self.outbound_message.enabled else None

    @property
    def json(self) -> SignedJson | None:
        return self.signed_json if self.signed_json and self.signed_json.enabled else None

    @property
    def fields(self) -> tuple[str, ...]:
        """What is selected of a record, each once."""
        own = self.outbound_message.selected_fields if self.outbound_message else []
        return tuple(dict.fromkeys([*BASE_FIELDS, *own, *self.record_fields]))


class SetField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field's new value, written only while the present one is among `only_if` (empty: always)."""

    value: OutcomeMapped
    only_if: list[str] = []


class SalesforceStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`note` becomes the comment of `writeback.comment`; `fields` are set on the record."""

    fields: dict[FieldName, SetField] | None = None


class SalesforceComment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    object: Literal["CaseComment", "FeedItem"] = "CaseComment"
    public: bool = False


class SalesforceWriteback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`delivery_object` needs HITL_Delivery__c in the org: its unique key makes a second write impossible. `marker`
    needs nothing and looks for our marker before it sends again. `on_conflict` is for a record that somebody changed
    between our reading and our writing: the comment alone, or a dead letter for a person."""

    idempotency: Literal["delivery_object", "marker"] = "delivery_object"
    comment: SalesforceComment = SalesforceComment()
    auto_assign: bool = False
    if_unmodified: bool = True
    on_conflict: Literal["comment_only", "dead_letter"] = "comment_only"


class SalesforceSettings(ConnectorFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    org_id: OrgId
    auth: SalesforceAuth
    inbound: SalesforceInbound
    outbound: Outbound[SalesforceStep] = Outbound()
    api_version: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]\.0$")] = "65.0"
    object: FieldName = "Case"
    writeback: SalesforceWriteback = SalesforceWriteback()

    def __post_init__(self) -> None:
        super().__post_init__()
        if id18(self.org_id) is None:
            raise ValueError(
                f"`org_id`: the last three characters of {self.org_id} do not fit the first 15; copy it again from "
                "Setup > Company Information"
            )
        if self.object != "Case" and self.writeback.comment.object == "CaseComment":
            raise ValueError(f"`writeback.comment.object` must be FeedItem for {self.object}")

    @property
    def api_url(self) -> str:
        """Where the org is: its My Domain host, or the loopback address of a test."""
        return self.test_base_url or f"https://{self.auth.host}"

    @property
    def org15(self) -> str:
        return self.org_id[:15]
