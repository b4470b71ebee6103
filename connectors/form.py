"""The common YAML form of a connector file, as Structs. Each connector's `settings.py` adds its own `auth` and
`region`; `connectors/config.py` decodes files into them, with expressions and secrets already compiled and read.
Every Struct forbids unknown fields: a typo is an error, never a setting that silently does nothing."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from connectors.expressions import Condition, Expression, Mapped, Template

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Duration = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,4}[smhd]$")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=100_000)]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


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


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first route whose `when` holds decides. `key` makes one task per (connector, ticket, key); without it the
    ticket's own id is the key."""

    name: Name
    when: Condition
    key: Expression | None = None
    action: Literal["task", "cancel"] = "task"
    task: TaskMapping | None = None

    def __post_init__(self) -> None:
        if self.action == "task" and self.task is None:
            raise ValueError(f"the route `{self.name}` needs a `task:` (or `action: cancel`)")
        if self.action == "cancel" and self.task is not None:
            raise ValueError(f"the route `{self.name}` cancels, so it takes no `task:`")


class Inbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    topics: Annotated[list[str], msgspec.Meta(min_length=1)]
    routes: Annotated[list[Route], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        names = [route.name for route in self.routes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two routes are called `{name}`")


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One write into the ticket."""

    note: Template


class Outbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written into the ticket when a task ends so; nothing when the list is empty."""

    verified: list[Step] = []
    failed: list[Step] = []
    expired: list[Step] = []


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    per_minute: Positive = 300


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outbox's patience with the vendor's API."""

    max_attempts: Positive = 12
    max_age: Duration = "6h"
    rate: Rate = Rate()

    @property
    def max_age_seconds(self) -> int:
        return int(self.max_age[:-1]) * _SECONDS[self.max_age[-1]]


class LoopGuard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How our own writes are kept from becoming new tasks: by author, by the marker in the text, and by a fuse."""

    ignore_agents: list[str] = []
    marker: Annotated[str, msgspec.Meta(min_length=4, max_length=64)] = "[hub:"
    max_tasks_per_key_per_hour: Positive = 2


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an in-file test wants. Only the keys that are present are compared; `task` is compared member by member."""

    ignored: bool = False
    route: str | None = None
    action: Literal["task", "cancel"] | None = None
    ticket: str | None = None
    key: str | None = None
    task: dict[str, Any] | None = None
    note: str | None = None


class InFileTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a recorded delivery (`fixture`) and what it means, or an `outcome` with its `context` and the note."""

    name: str
    expect: Expect
    fixture: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+\.[a-z]+$")] | None = None
    outcome: Literal["verified", "failed", "expired"] | None = None
    context: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.fixture is None) == (self.outcome is None):
            raise ValueError(f"the test `{self.name}` needs either `fixture:` or `outcome:`")


class ConnectorFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every connector file holds. `id` is part of the webhook's path; `organisation` owns the tasks."""

    version: Literal[1]
    connector: str
    id: Name
    organisation: Name
    environment: Literal["live", "test"]
    mode: Literal["live", "shadow", "off"]
    inbound: Inbound
    outbound: Outbound = Outbound()
    delivery: Delivery = Delivery()
    loop_guard: LoopGuard = LoopGuard()
    test_base_url: str | None = None
    tests: list[InFileTest] = []

    def __post_init__(self) -> None:
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
