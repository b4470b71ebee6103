"""How much may leave, how often a payout is tried, and how long doubt lasts. Pure; the operator's numbers come from
`config/hub.yaml`. Asked before an invoice is fetched, again when it is committed, and before the first byte leaves."""

from __future__ import annotations

from typing import Protocol

import msgspec

from core.money import MSAT_PER_SAT

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WHOLE_FEE_MSAT = (
    10_000  # up to 10 sat the fee may be as much as the payment: a channel's base fee alone is 1 sat
)
CLOCK_MS = 60_000  # how far this machine's clock may be from the database's: half of the grace after a send
CHECK_SLOW_SECONDS = 3_600  # a bank's answer changes with its working days


class BreakerCaps(Protocol):
    @property
    def unknowns(self) -> int: ...
    @property
    def minutes(self) -> int: ...


class Caps(Protocol):
    """The operator's limits in satoshis, as `config/hub.yaml` has them."""

    @property
    def paused(self) -> bool: ...
    @property
    def least_sats(self) -> int: ...
    @property
    def per_payout_sats(self) -> int: ...
    @property
    def per_worker_day_sats(self) -> int: ...
    @property
    def per_hub_hour_sats(self) -> int: ...
    @property
    def per_hub_day_sats(self) -> int: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def attempts_per_rail(self) -> int: ...
    @property
    def max_fee_sats(self) -> int: ...
    @property
    def max_fee_percent(self) -> int: ...
    @property
    def breaker(self) -> BreakerCaps: ...
    @property
    def stuck_minutes(self) -> int: ...
    @property
    def slow_stuck_days(self) -> int: ...
    @property
    def low_balance_sats(self) -> dict[str, int]: ...


class PayoutLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in msat, a day is the last 24 hours, an hour the last 60 minutes; `per_hub_…` count one environment.
    `paused` is the kill switch of the file: nothing new leaves, look-ups go on. After `max_attempts` invoices that failed
    for good, `attempts_per_rail` in a row on each rail, an operator decides. `breaker_unknowns` payments in doubt that
    were sent within `breaker_minutes` stop a rail. `low_balance_msat` is by rail. `grace_seconds`: how long after a send
    "the rail has never seen it" is not believed yet; longer than any job may hold its lease, so that whoever was about
    to send has been stopped."""

    paused: bool = False
    least_msat: int = MSAT_PER_SAT
    per_payout_msat: int = 100_000_000
    per_worker_day_msat: int = 1_000_000_000
    per_hub_hour_msat: int = 2_000_000_000
    per_hub_day_msat: int = 10_000_000_000
    max_attempts: int = 5
    attempts_per_rail: int = 2
    # phoenixd takes 4 sat and 0.4 %, whatever the route
    fee_least_msat: int = 7_000
    fee_percent: int = 1
    breaker_unknowns: int = 3
    breaker_minutes: int = 15
    stuck_minutes: int = 60
    slow_stuck_days: int = 7
    low_balance_msat: dict[str, int] = {}
    grace_seconds: int = 120

    @classmethod
    def from_sats(cls, caps: Caps) -> PayoutLimits:
        return cls(
            paused=caps.paused,
            least_msat=caps.least_sats * MSAT_PER_SAT,
            per_payout_msat=caps.per_payout_sats * MSAT_PER_SAT,
            per_worker_day_msat=caps.per_worker_day_sats * MSAT_PER_SAT,
            per_hub_hour_msat=caps.per_hub_hour_sats * MSAT_PER_SAT,
            per_hub_day_msat=caps.per_hub_day_sats * MSAT_PER_SAT,
            max_attempts=caps.max_attempts,
            attempts_per_rail=caps.attempts_per_rail,
            fee_least_msat=caps.max_fee_sats * MSAT_PER_SAT,
            fee_percent=caps.max_fee_percent,
            breaker_unknowns=caps.breaker.unknowns,
            breaker_minutes=caps.breaker.minutes,
            stuck_minutes=caps.stuck_minutes,
            slow_stuck_days=caps.slow_stuck_days,
            low_balance_msat={name: sats * MSAT_PER_SAT for name, sats in caps.low_balance_sats.items()},
        )

    def low_balance(self, rail: str) -> int:
        """Below this (msat) an operator should fill the rail up; what is not set is one largest payout."""
        return self.low_balance_msat.get(rail, self.per_payout_msat)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What left, or is about to, within the last 24 hours, in msat: to this worker, in the whole environment, and of
    that within the last hour."""

    worker_msat: int
    hub_msat: int
    hour_msat: int = 0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Why a payout has to wait, in words for the operator, and when to ask again in seconds."""

    code: str
    reason: str
    after: float


def hold(limits: PayoutLimits, amount_msat: int, sent: Sent) -> Held | None:
    """None when `amount_msat` may leave now."""
    if limits.paused:
        return Held(code="payouts_paused", reason="Payouts are paused in hub.yaml", after=60)
    if amount_msat < limits.least_msat:
        reason = f"{amount_msat} msat is under the least of {limits.least_msat} for one payout"
        return Held(code="under_least", reason=reason, after=3600)
    if amount_msat > limits.per_payout_msat:
        reason = f"{amount_msat} msat is over the limit of {limits.per_payout_msat} for one payout"
        return Held(code="over_payout_limit", reason=reason, after=3600)
    if sent.worker_msat + amount_msat > limits.per_worker_day_msat:
        reason = f"The worker would pass {limits.per_worker_day_msat} msat in 24 hours"
        return Held(code="over_worker_limit", reason=reason, after=900)
    if sent.hour_msat + amount_msat > limits.per_hub_hour_msat:
        reason = f"The hub would pass {limits.per_hub_hour_msat} msat in an hour"
        return Held(code="over_hub_hour_limit", reason=reason, after=300)
    if sent.hub_msat + amount_msat > limits.per_hub_day_msat:
        reason = f"The hub would pass {limits.per_hub_day_msat} msat in 24 hours"
        return Held(code="over_hub_limit", reason=reason, after=900)
    return None


def max_fee_msat(amount_msat: int, limits: PayoutLimits) -> int:
    """The most that a rail may take for carrying `amount_msat`: the least or the percentage, whichever is more; up to
    WHOLE_FEE_MSAT as much as the payment itself."""
    whole = amount_msat if amount_msat <= WHOLE_FEE_MSAT else 0
    return max(limits.fee_least_msat, amount_msat * limits.fee_percent // 100, whole)


def clocks_apart(*, here_ms: int, database_ms: int) -> str | None:
    """In words for the operator, when this machine's clock is too far from the database's to judge by it when an invoice
    ends."""
    apart = here_ms - database_ms
    if abs(apart) <= CLOCK_MS:
        return None
    return f"This machine's clock is {apart / 1000:+.0f} s from the database's: set both by NTP."


def retry_seconds(number: int) -> int:
    """Before a new invoice after attempt `number` (from 1) failed for good: 5 s, 20 s, 80 s … an hour."""
    return min(5 * 4 ** min(number - 1, 8), 3600)


def check_seconds(number: int, *, slow: bool = False) -> int:
    """Before look-up `number` (from 1) of a payment in doubt: 2 s, 4 s, 8 s … ten minutes; hourly on a slow rail."""
    return CHECK_SLOW_SECONDS if slow else min(2 ** min(number, 16), 600)
