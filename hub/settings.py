"""Every setting of the hub as Structs, with its default. `hub/config_files.py` fills them from `config/hub.yaml` and
the environment (`HUB__SERVER__PORT=9000` sets server.port); an unknown key is an error."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`public_url` is how browsers and vendors reach the hub; empty means http://host:port. `client_ip_header` names
    the header in which a proxy in front puts the peer's address (its last value counts); empty: there is no proxy."""

    host: str = "127.0.0.1"
    port: Port = 8000
    public_url: str = ""
    client_ip_header: str = ""


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Empty `url`: SQLite in the data folder. Else postgresql://user:password@host/name."""

    url: str = ""
    pool_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Empty `url`: a Valkey of our own in the data folder. Else redis://host:6379/0."""

    url: str = ""


class Jobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`lease_seconds`: how long a worker may hold a job before another may take it over; what a crash costs. Longer
    than any call to the outside (15 s for a callback, 20 s for a payment)."""

    lease_seconds: Annotated[int, msgspec.Meta(ge=1, le=300)] = 30


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`requests_per_minute` is per organisation and process; more is a 429 with Retry-After; 0 switches it off."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 6000


class Targets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Private addresses that callbacks and Lightning addresses may reach all the same: CIDR or host:port."""

    allow: list[str] = []


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bitcoin costs in dollars: the median of live `sources`, or without any the fixed test rate `usd_per_btc`
    of the day `set_on`, which never prices real money. Real money needs three sources; without a fresh rate a payout in
    dollars waits."""

    sources: list[str] = []
    min_sources: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    max_age_seconds: Annotated[int, msgspec.Meta(ge=30, le=3600)] = 300
    max_spread_percent: Decimal = Decimal(2)
    outlier_percent: Decimal = Decimal(1)
    every_seconds: Annotated[int, msgspec.Meta(ge=5, le=300)] = 30
    spread_percent: Decimal = Decimal(0)
    options: dict[str, dict[str, Any]] = {}
    usd_per_btc: str = "100000"
    set_on: str = "2026-11-23"


class RailOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rail that is tried first, and the next ones after it has failed for good: for all, for the payouts of a plan's
    organisations, for one worker (id or e-mail address). Empty `default`: the order of `use`."""

    default: list[str] = []
    plans: dict[str, list[str]] = {}
    workers: dict[str, list[str]] = {}


class RailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rails pay, in order of preference, and each one's options. `address_domains` maps a Lightning address's
    domain to the base URL that answers for it, for wallets without a public name."""

    use: list[str] = msgspec.field(default_factory=lambda: ["sandbox"])
    order: RailOrder = RailOrder()
    options: dict[str, dict[str, Any]] = {}
    address_domains: dict[str, str] = {}


class Breaker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a rail is not used for new payouts any more: so many in doubt at once, sent within so many minutes."""

    unknowns: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    minutes: Annotated[int, msgspec.Meta(ge=1, le=1_440)] = 15


class PayoutCaps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ends in `_sats` is in satoshis. `paused` is the kill switch of the file; `hub payouts pause` needs no restart."""

    paused: bool = False
    address_hold_hours: Annotated[int, msgspec.Meta(ge=0, le=720)] = 24
    least_sats: Annotated[int, msgspec.Meta(ge=1)] = 1
    per_payout_sats: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    per_worker_day_sats: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    per_hub_hour_sats: Annotated[int, msgspec.Meta(ge=1)] = 2_000_000
    per_hub_day_sats: Annotated[int, msgspec.Meta(ge=1)] = 10_000_000
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    attempts_per_rail: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    max_fee_sats: Annotated[int, msgspec.Meta(ge=0)] = 7
    max_fee_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    breaker: Breaker = Breaker()
    stuck_minutes: Annotated[int, msgspec.Meta(ge=1)] = 60
    slow_stuck_days: Annotated[int, msgspec.Meta(ge=1)] = 7
    low_balance_sats: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}


class Billing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How organisations pay in over Lightning. Empty `top_up_rail`: the first of `rails.use` that can be paid."""

    top_up_rail: str = ""
    top_up_least_sats: Annotated[int, msgspec.Meta(ge=1)] = 1_000
    top_up_most_sats: Annotated[int, msgspec.Meta(ge=1)] = 10_000_000
    top_up_minutes: Annotated[int, msgspec.Meta(ge=5, le=1_440)] = 60


class Workers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`signup` open: anybody may ask for an invitation under /join, `asks_per_minute` from one address of the network; an
    operator sends the link (the hub sends no mail). Closed: only operators invite."""

    signup: Literal["open", "closed"] = "closed"
    asks_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 5


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `config/hub.yaml`. `secret_keys` seal what must be read back (webhook secrets): the first seals,
    all open; empty means a key file of our own in the data folder."""

    data_dir: str = ".hub"
    server: Server = Server()
    database: DatabaseSettings = DatabaseSettings()
    queue: QueueSettings = QueueSettings()
    secret_keys: list[str] = []
    jobs: Jobs = Jobs()
    limits: Limits = Limits()
    targets: Targets = Targets()
    rates: Rates = Rates()
    rails: RailSettings = RailSettings()
    payouts: PayoutCaps = PayoutCaps()
    workers: Workers = Workers()
    billing: Billing = Billing()
    log: Literal["auto", "json", "human"] = "auto"

    @property
    def folder(self) -> Path:
        return Path(self.data_dir).expanduser().resolve()

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.folder / 'hub.db'}"

    @property
    def rate_limit_per_minute(self) -> int:
        return self.limits.requests_per_minute

    @property
    def client_ip_header(self) -> str:
        return self.server.client_ip_header.lower()

    @property
    def sign_up_open(self) -> bool:
        return self.workers.signup == "open"

    @property
    def asks_per_minute(self) -> int:
        return self.workers.asks_per_minute

    @property
    def payout_hold_hours(self) -> int:
        return self.payouts.address_hold_hours

    @property
    def public_url(self) -> str:
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return (self.server.public_url or f"http://{host}:{self.server.port}").rstrip("/")
