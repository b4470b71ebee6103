"""How much may leave, how often a payout is tried, and how long doubt lasts. Pure; the operator's numbers come from
`config/hub.yaml`. Asked before an invoice is fetched, again when it is committed, and before the first byte leaves."""

from __future__ import annotations

from typing import Protocol

import msgspec

from core.money import MSAT_PER_SAT

DAY_MS = 86_400_000
FEE_LEAST_MSAT = 5_000  # lnd and CLN both allow 5 sat or 1 % for small payments


class Caps(Protocol):
    """The operator's limits in satoshis, as `config/hub.yaml` has them."""

    @property
    def paused(self) -> bool: ...
    @property
    def per_payout_sats(self) -> int: ...
    @property
    def per_worker_day_sats(self) -> int: ...
    @property
    def per_hub_day_sats(self) -> int: ...


class PayoutLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in msat, a day is the last 24 hours, `per_hub_day_msat` counts one environment. `paused` is the kill
    switch: nothing new leaves, look-ups go on. After `max_attempts` invoices that failed for good an operator decides.
    `grace_seconds`: how long after a send "the rail has never seen it" is not believed yet; longer than any job may
    hold its lease, so that whoever was about to send has been stopped."""

    paused: bool = False
    per_payout_msat: int = 100_000_000
    per_worker_day_msat: int = 1_000_000_000
    per_hub_day_msat: int = 10_000_000_000
    max_attempts: int = 5
    grace_seconds: int = 120

    @classmethod
    def from_sats(cls, caps: Caps) -> PayoutLimits:
        return cls(
            paused=caps.paused,
            per_payout_msat=caps.per_payout_sats * MSAT_PER_SAT,
            per_worker_day_msat=caps.per_worker_day_sats * MSAT_PER_SAT,
            per_hub_day_msat=caps.per_hub_day_sats * MSAT_PER_SAT,
        )


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What left, or is about to, within the last 24 hours, in msat: by this worker, by the whole environment."""

    worker_msat: int
    hub_msat: int


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Why a payout has to wait, in words for the operator, and when to ask again in seconds."""

    code: str
    reason: str
    after: float


def hold(limits: PayoutLimits, amount_msat: int, sent: Sent) -> Held | None:
    """None when `amount_msat` may leave now."""
    if limits.paused:
        return Held(code="payouts_paused", reason="Payouts are paused by the operator", after=60)
    if amount_msat > limits.per_payout_msat:
        reason = f"{amount_msat} msat is over the limit of {limits.per_payout_msat} for one payout"
        return Held(code="over_payout_limit", reason=reason, after=3600)
    if sent.worker_msat + amount_msat > limits.per_worker_day_msat:
        reason = f"The worker would pass {limits.per_worker_day_msat} msat in 24 hours"
        return Held(code="over_worker_limit", reason=reason, after=900)
    if sent.hub_msat + amount_msat > limits.per_hub_day_msat:
        reason = f"The hub would pass {limits.per_hub_day_msat} msat in 24 hours"
        return Held(code="over_hub_limit", reason=reason, after=900)
    return None


def max_fee_msat(amount_msat: int) -> int:
    """The most that a rail may take for carrying `amount_msat`: 5 sat or 1 %, whichever is more."""
    return max(FEE_LEAST_MSAT, amount_msat // 100)


def retry_seconds(number: int) -> int:
    """Before a new invoice after attempt `number` (from 1) failed for good: 5 s, 20 s, 80 s … an hour."""
    return min(5 * 4 ** min(number - 1, 8), 3600)


def check_seconds(number: int) -> int:
    """Before look-up `number` (from 1) of a payment in doubt: 2 s, 4 s, 8 s … ten minutes."""
    return min(2 ** min(number, 16), 600)
