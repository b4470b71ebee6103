"""Everything the web application works with, as one value. Built once per process by `hub/wiring.py` and by tests,
handed to handlers by `hub/app.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from connectors.connector import Connector
from connectors.http import OutboundHttp
from connectors.rails.sandbox_wallets import SandboxWallets
from core.access.sealing import Sealer
from core.billing.plans import Plans
from core.billing.top_ups import Terms as TopUpTerms
from core.callbacks.actions import TestResult
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.intake.envelope import InboundDelivery
from core.payouts.limits import Caps
from core.payouts.rail import PayoutAddress, Rail
from core.rates.model import Rate
from core.routing.model import Policy
from core.tasks.creation import Created, Prepared
from core.tasks.model import Environment
from core.tasks.types import TaskTypes
from core.workers.quizzes import Quizzes
from core.workers.tiers import Trust

NO_TOP_UPS = TopUpTerms()


class WebSettings(Protocol):
    """What the web application reads of the hub's settings. `public_url` has no slash at its end; a limit of 0
    switches rate limiting off; `client_ip_header` is the trusted proxy's header with the peer's address, empty without
    a proxy. A changed payout address waits for `payout_hold_hours`."""

    @property
    def public_url(self) -> str: ...
    @property
    def rate_limit_per_minute(self) -> int: ...
    @property
    def client_ip_header(self) -> str: ...
    @property
    def payout_hold_hours(self) -> int: ...
    @property
    def payouts(self) -> Caps: ...
    @property
    def sign_up_open(self) -> bool: ...
    @property
    def asks_per_minute(self) -> int: ...


class LoadedConnector(Protocol):
    """One configured connector: the vendor's functions and the settings of its file."""

    @property
    def connector(self) -> Connector: ...
    @property
    def settings(self) -> Any: ...


class Creator(Protocol):
    """Creates tasks, many waiting ones in one transaction."""

    async def create(self, prepared: Prepared) -> Created:
        """Raises Invalid for a key that was used for another request, Unavailable when nothing was written."""
        ...


class Intake(Protocol):
    """Stores verified deliveries, many waiting ones in one transaction."""

    async def receive(self, connector_id: str, deliveries: Sequence[InboundDelivery]) -> list[bool]:
        """For each of one request: True when it is on disk and new, False when it had been there before. All of them
        are stored, or none. Raises Unavailable."""
        ...


class Callbacks(Protocol):
    async def send_test(
        self, organisation_id: str, environment: Environment, event_type: str, url: str | None
    ) -> TestResult:
        """Send one signed test event now, to `url` or to the organisation's own endpoint. Raises Invalid when there
        is no address or it cannot be reached."""
        ...


class Rates(Protocol):
    """The exchange rate, live or fixed (`hub/rate_feed.py`). A Protocol and not their union: the web framework's
    signatures take no union of two classes."""

    @property
    def spread_percent(self) -> Decimal: ...
    def current(self) -> Rate:
        """The rate at which money may be paid now. Raises Retryable (`no_rate`)."""
        ...

    def to_reserve(self) -> Rate:
        """What a reservation is priced with. Raises Retryable (`no_rate`)."""
        ...

    async def look(self) -> None: ...
    def running(self, *, keeper: bool) -> AbstractAsyncContextManager[None]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PeopleFiles:
    """What the files say about workers: the rules of the tiers, the quizzes, and the terms that a newcomer accepts."""

    trust: Trust = field(default_factory=Trust)
    quizzes: Quizzes = field(default_factory=lambda: Quizzes([]))
    terms: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """`queue_answers` asks whether the alarm clock (Redis) is there; without it jobs run late, not never.
    `watch_connectors` reads changed connector files until it is cancelled.
    `wallets` is there only while the sandbox rail is on. `top_ups`: over which rail organisations pay in."""

    settings: WebSettings
    database: Database
    work: UnitOfWork
    types: TaskTypes
    plans: Plans
    rates: Rates
    connectors: Mapping[str, LoadedConnector]
    sealer: Sealer
    outbound: OutboundHttp
    rails: Mapping[str, Rail]
    addresses: PayoutAddress
    creator: Creator
    intake: Intake
    callbacks: Callbacks
    queue_answers: Callable[[], Awaitable[bool]]
    people: PeopleFiles = field(default_factory=PeopleFiles)
    watch_connectors: Callable[[], Coroutine[Any, Any, None]] | None = None
    wallets: SandboxWallets | None = None
    top_ups: TopUpTerms = NO_TOP_UPS
    policy: Policy = field(default_factory=Policy)

    def rate(self) -> Rate:
        """The rate at which money may be paid now. Raises Retryable (`no_rate`)."""
        return self.rates.current()

    @property
    def trust(self) -> Trust:
        return self.people.trust
