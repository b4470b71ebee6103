"""A ServiceNow connector file: the common form plus instance, table, credentials and the way back. Decoded by
`connectors/config.py`."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from connectors.expressions import PlainTemplate, Template
from connectors.form import ConnectorFile, Duration, Inbound, Outbound, Positive, Step, seconds
from connectors.secret_refs import Secrets
from connectors.signed_json import SignedJson

# `type` of the contract's events.
TOPICS = frozenset({"record.created", "record.updated", "record.deleted"})

# Where instances live: commercial, and the United States government's own cloud. Another host has to be named twice,
# in `instance` and in `custom_hosts`; none is ever taken from a payload.
HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.(?:service-now\.com|servicenowservices\.com)\Z")
CUSTOM_HOST = r"^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}$"
SYS_ID = re.compile(r"[0-9a-f]{32}\Z")
FIELD = r"^(?!sys_)[a-z][a-z0-9_]{0,79}$"

TableName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
FieldName = Annotated[str, msgspec.Meta(pattern=FIELD)]
SysId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]


class ServiceNowAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How our own calls prove themselves. `basic` is for instances that still allow it (ServiceNow restricts it since
    2026-06) and shows up in the log and in the doctor's report."""

    method: Literal["client_credentials", "basic"] = "client_credentials"
    client_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    client_secret: Secrets | None = None
    username: Annotated[str, msgspec.Meta(pattern=r"^[^:\s]{1,100}$")] | None = None
    password: Secrets | None = None

    def __post_init__(self) -> None:
        if self.method == "client_credentials" and (self.client_id is None or self.client_secret is None):
            raise ValueError("`method: client_credentials` needs `client_id` and `client_secret`")
        if self.method == "basic" and (self.username is None or self.password is None):
            raise ValueError("`method: basic` needs `username` and `password`")


class ServiceNowInbound(Inbound, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`signed_json` proves the deliveries of our scoped app, or of whatever else keeps to the contract."""

    signed_json: SignedJson


class Resolve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values, not labels: `state: "6"`. Close codes differ by release and instance; the doctor compares them."""

    state: PlainTemplate
    close_code: PlainTemplate
    close_notes: PlainTemplate


class Assign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """sys_ids."""

    assignment_group: PlainTemplate | None = None
    assigned_to: PlainTemplate | None = None

    def __post_init__(self) -> None:
        if self.assignment_group is None and self.assigned_to is None:
            raise ValueError("`assign` needs `assignment_group` or `assigned_to`")


class ServiceNowStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`note` is a work note (internal); `comment` is what the caller reads, by mail too."""

    comment: Template | None = None
    fields: dict[FieldName, PlainTemplate] | None = None
    resolve: Resolve | None = None
    assign: Assign | None = None


class Writeback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`scripted_rest` is our app's endpoint, which keeps a table of delivered keys; `table_api` needs nothing installed
    and finds its note again by the marker."""

    via: Literal["scripted_rest", "table_api"] = "scripted_rest"
    idempotency: Literal["delivery_table", "marker"] | None = None
    on_conflict: Literal["comment_only", "overwrite"] = "comment_only"
    settle: Duration = "60s"

    def __post_init__(self) -> None:
        fits = "delivery_table" if self.via == "scripted_rest" else "marker"
        if self.idempotency not in (None, fits):
            raise ValueError(f"`via: {self.via}` goes with `idempotency: {fits}`")

    @property
    def settle_seconds(self) -> int:
        return seconds(self.settle)


class ServiceNowLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ServiceNow runs few API calls at once per node (API_INT: 4), and another integration needs some of them."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2
    page: Positive = 100


class Watch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the reconciling poll reads, and how it names what it sees; the same as the properties of our app."""

    fields: tuple[FieldName, ...] = (
        "number",
        "short_description",
        "description",
        "priority",
        "state",
        "caller_id",
    )
    group: SysId | None = None
    request_field: FieldName | None = None
    closed_states: tuple[Annotated[str, msgspec.Meta(pattern=r"^-?[A-Za-z0-9_]{1,40}$")], ...] = (
        "6",
        "7",
        "8",
    )


class ServiceNowSettings(ConnectorFile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    instance: str
    auth: ServiceNowAuth
    inbound: ServiceNowInbound
    table: TableName = "incident"
    instance_name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,63}$")] | None = None
    custom_hosts: tuple[Annotated[str, msgspec.Meta(pattern=CUSTOM_HOST)], ...] = ()
    watch: Watch = Watch()
    writeback: Writeback = Writeback()
    limits: ServiceNowLimits = ServiceNowLimits()
    outbound: Outbound[ServiceNowStep] = Outbound()

    def __post_init__(self) -> None:
        super().__post_init__()
        host = host_of(self.instance)
        if not host or not (HOST.match(host) or host in self.custom_hosts):
            raise ValueError(
                "`instance` must be https://NAME.service-now.com (or servicenowservices.com) and nothing more; "
                "name any other host in `custom_hosts` too"
            )

    @property
    def credentials(self) -> Secrets | None:
        """The secret half of what our calls present."""
        return self.auth.client_secret if self.auth.method == "client_credentials" else self.auth.password

    @property
    def api_url(self) -> str:
        """Where every call goes: the instance, or the loopback address of a test. Without a slash at its end."""
        return (self.test_base_url or self.instance).rstrip("/")

    @property
    def source_instance(self) -> str:
        """What `gs.getProperty('instance_name')` says there, by which a clone of the instance is told apart."""
        return self.instance_name or host_of(self.instance).split(".")[0]


def host_of(instance: str) -> str:
    """The host of `https://HOST`, empty when there is anything else in it."""
    try:
        parts = urlsplit(instance)
    except ValueError:
        return ""
    whole = f"https://{parts.netloc}"
    return parts.netloc if instance.rstrip("/") == whole and re.match(CUSTOM_HOST, parts.netloc) else ""
