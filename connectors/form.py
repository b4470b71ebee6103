"""The common YAML form of a connector file, as Structs. Each connector's `settings.py` adds its own `auth` and
`region`; `connectors/config.py` decodes files into them, with expressions and secrets already compiled and read.
Every Struct forbids unknown fields: a typo is an error, never a setting that silently does nothing."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from connectors.expressions import Condition, Expression, Mapped, OutcomeCondition, Template

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Duration = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,4}[smhd]$")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=100_000)]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(duration: str) -> int:
    """Of a Duration such as `90s`, `5m`, `6h`, `2d`."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


class PayoutTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the person earns. Constant on purpose: a stranger's payload must not set the price of a task."""

    currency: Literal["USD", "SATS", "BTC"]
    max_amount: Decimal = msgspec.field(name="maxAmount")

    def __post_init__(self) -> None:
        if not self.max_amount.is_finite() or self.max_amount <= 0:
            raise ValueError("`maxAmount` must be above zero")


class TaskMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a task is made of the vendor's document. `type` is a constant and names a task type; the rest is mapped."""

    type: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$")]
    payload: Mapped
    title: Mapped | None = None
    risk_tier: Mapped | None = None
    sla_seconds: Mapped | None = None
    payout: PayoutTerms | None = None
    metadata: Mapped | None = None
    output_schema: Mapped | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first route whose `when` holds decides. `key` makes one task per (connector, ticket, key); without it the
    ticket's own id is the key. `enrich` names what is fetched from the vendor first and read as `ctx.<name>`;
    `redact` takes personal data out of what the route maps, before anybody sees it."""

    name: Name
    when: Condition
    key: Expression | None = None
    enrich: list[str] = []
    redact: list[Literal["emails", "phones", "cards"]] = []
    action: Literal["task", "cancel", "append_context"] = "task"
    task: TaskMapping | None = None
    message: Mapped | None = None

    def __post_init__(self) -> None:
        if self.action == "task" and self.task is None:
            raise ValueError(
                f"the route `{self.name}` needs a `task:` (or `action: cancel`, `action: append_context`)"
            )
        if self.action != "task" and self.task is not None:
            raise ValueError(f"the route `{self.name}` makes no task, so it takes no `task:`")
        if (self.action == "append_context") != (self.message is not None):
            raise ValueError(
                f"the route `{self.name}`: `message:` is what `action: append_context` adds, and only that"
            )


class Inbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    topics: Annotated[list[str], msgspec.Meta(min_length=1)]
    routes: Annotated[list[Route], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        names = [route.name for route in self.routes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two routes are called `{name}`")


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One write into the ticket: a connector's own steps add one optional member for each thing that it can do, and
    exactly one of them is set. `only_if` is JMESPath over {task, result, ticket}."""

    only_if: OutcomeCondition | None = None
    note: Template | None = None

    def __post_init__(self) -> None:
        kinds = [name for name in self.__struct_fields__ if name != "only_if"]
        if sum(getattr(self, name) is not None for name in kinds) != 1:
            raise ValueError(f"a step does exactly one of {', '.join(kinds)}")


StepType = TypeVar("StepType", bound=Step)


class Outcomes(msgspec.Struct, Generic[StepType], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written into the ticket when a task ends so, in this order; nothing when the list is empty."""

    verified: list[StepType] = []
    failed: list[StepType] = []
    expired: list[StepType] = []


class Outbound(Outcomes[StepType], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcomes of all tasks, and under `routes` those of the tasks of one route, which replace them. In the file a
    route's name may also stand directly beside `verified`."""

    routes: dict[str, Outcomes[StepType]] = {}


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    per_minute: Positive = 300


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outbox's patience with the vendor's API."""

    max_attempts: Positive = 12
    max_age: Duration = "6h"
    rate: Rate = Rate()

    @property
    def max_age_seconds(self) -> int:
        return seconds(self.max_age)


class LoopGuard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How our own writes are kept from becoming new tasks: by author, by the marker in the text, and by a fuse."""

    ignore_agents: list[str] = []
    marker: Annotated[str, msgspec.Meta(pattern=r"^\[[a-z][a-z0-9-]{0,14}:$")] = "[hub:"
    max_tasks_per_key_per_hour: Positive = 2


class Reconcile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The poll that finds what the vendor's sender gave up on: how often, and how far behind the last look it begins,
    because a vendor's search lags behind its own writes. Needs the API credentials."""

    enabled: bool = True
    every: Duration = "2m"
    overlap: Duration = "5m"

    @property
    def every_seconds(self) -> int:
        return seconds(self.every)

    @property
    def overlap_seconds(self) -> int:
        return seconds(self.overlap)


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an in-file test wants. Only the keys that are present are compared; `task` is compared member by member."""

    ignored: bool = False
    route: str | None = None
    action: Literal["task", "cancel", "append_context"] | None = None
    ticket: str | None = None
    key: str | None = None
    task: dict[str, Any] | None = None
    message: str | None = None
    redacted: dict[str, str] | None = None
    note: str | None = None
    actions: list[dict[str, Any]] | None = None


class InFileTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a recorded delivery (`fixture`) and what it means, with `ctx` for what `enrich` would have fetched; or an
    `outcome` (of a `route`, when that has its own) with its `context` and the note or actions."""

    name: str
    expect: Expect
    fixture: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+\.[a-z]+$")] | None = None
    ctx: dict[str, Any] | None = None
    outcome: Literal["verified", "failed", "expired"] | None = None
    route: str | None = None
    context: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.fixture is None) == (self.outcome is None):
            raise ValueError(f"the test `{self.name}` needs either `fixture:` or `outcome:`")


class ConnectorFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every connector file holds. `id` is part of the webhook's path; `organisation` owns the tasks. A connector
    narrows `outbound` to its own steps."""

    version: Literal[1]
    connector: str
    id: Name
    organisation: Name
    environment: Literal["live", "test"]
    mode: Literal["live", "shadow", "off"]
    inbound: Inbound
    outbound: Outbound[Any] = Outbound()
    delivery: Delivery = Delivery()
    loop_guard: LoopGuard = LoopGuard()
    reconcile: Reconcile = Reconcile()
    test_base_url: str | None = None
    tests: list[InFileTest] = []

    def __post_init__(self) -> None:
        routes = {route.name for route in self.inbound.routes}
        for name in self.outbound.routes:
            if name not in routes:
                raise ValueError(f"`outbound.routes` names `{name}`, which is no route of this file")
        if self.test_base_url is None:
            return
        if self.environment != "test":
            raise ValueError("`test_base_url` is only for `environment: test`; remove it here")
        if not is_loopback(self.test_base_url):
            raise ValueError("`test_base_url` must be http://127.0.0.1:PORT (or another loopback address)")


def is_loopback(url: str) -> bool:
    """True for http(s) to a loopback address or `localhost`, without credentials, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
