"""Plans, from `config/plans.yaml`, and the price of a task under one. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from core.errors import Misconfigured
from core.money import Currency, ceil_sat, to_msat

NOTHING = Decimal(0)


class FeeTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fee of an organisation that has `from_tasks` verified live tasks or more in the calendar month (UTC)."""

    from_tasks: Annotated[int, msgspec.Meta(ge=0)]
    fee_percent: Decimal

    def __post_init__(self) -> None:
        _not_negative("fee_percent", self.fee_percent)


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fee_percent` of the payout (or `fee_tiers`, by volume), at least `fee_minimum_usd`; the first `free_tasks` verified
    tasks carry no fee. At least `redundancy` people answer each task; a task reserves the answers that may be bought and
    pays those that were. The fee is of the task, not of each answer."""

    name: str
    fee_percent: Decimal | None = None
    fee_tiers: list[FeeTier] = []
    fee_minimum_usd: Decimal
    free_tasks: Annotated[int, msgspec.Meta(ge=0)]
    redundancy: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    expert_pool: bool = False
    monthly_statement: bool = False

    def __post_init__(self) -> None:
        _not_negative("fee_percent", self.fee_percent or NOTHING)
        _not_negative("fee_minimum_usd", self.fee_minimum_usd)
        if (self.fee_percent is None) != bool(self.fee_tiers):
            raise ValueError(f"plan {self.name}: write either fee_percent or fee_tiers")
        starts = [tier.from_tasks for tier in self.fee_tiers]
        if starts and (starts[0] != 0 or starts != sorted(set(starts))):
            raise ValueError(f"plan {self.name}: fee_tiers begin with from_tasks: 0 and go up")

    @property
    def dearest_percent(self) -> Decimal:
        """Reserved for every task: which tier it falls into is known when it is verified, perhaps in another month."""
        return max((tier.fee_percent for tier in self.fee_tiers), default=self.fee_percent or NOTHING)

    def percent_after(self, verified: int) -> Decimal:
        """The fee of the next task when `verified` live tasks of the month are verified already."""
        reached = [tier.fee_percent for tier in self.fee_tiers if tier.from_tasks <= verified]
        return reached[-1] if reached else self.fee_percent or NOTHING


class Plans:
    def __init__(self, plans: list[Plan]):
        self._by_name = {plan.name: plan for plan in plans}

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    @property
    def of_experts(self) -> frozenset[str]:
        """The plans whose tasks go to the pool of experts alone."""
        return frozenset(name for name, plan in self._by_name.items() if plan.expert_pool)

    def get(self, name: str) -> Plan:
        """Raises Misconfigured when an organisation is on a plan that the file no longer has."""
        try:
            return self._by_name[name]
        except KeyError:
            raise Misconfigured("unknown_plan", f"config/plans.yaml has no plan {name!r}") from None


def _not_negative(name: str, amount: Decimal) -> None:
    """msgspec bounds no Decimal: its Meta(ge=0) refuses the type itself."""
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{name} is {amount}; write 0 or more")


def committed_msat(payout_msat: int, fee_msat: int, spread_msat: int, answers: int) -> int:
    """What a task reserves when at most `answers` of its answers are bought."""
    return (payout_msat + spread_msat) * answers + fee_msat


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be reserved, in msat: payout and spread for each of at most `answers` answers, the fee once."""

    payout_msat: int
    fee_msat: int
    spread_msat: int = 0
    answers: int = 1

    @property
    def total_msat(self) -> int:
        return committed_msat(self.payout_msat, self.fee_msat, self.spread_msat, self.answers)


def least_fee_msat(plan: Plan, usd_per_btc: Decimal) -> int:
    """The plan's minimum at this rate, rounded up to whole satoshis."""
    return to_msat(plan.fee_minimum_usd, Currency.USD, usd_per_btc, up=True)


def fee_due_msat(
    plan: Plan, *, verified: int, agreed_msat: int, payout_msat: int, least_msat: int, free: bool
) -> int:
    """The fee of a task that is verified after `verified` others of the month. `agreed_msat` is what was reserved when
    the task was created, the fee of the dearest tier, and never exceeded; `payout_msat` and `least_msat` (the minimum)
    are of that moment too."""
    percent = plan.percent_after(verified)
    if free:
        return 0
    if percent >= plan.dearest_percent:
        return agreed_msat
    return min(agreed_msat, max(ceil_sat(payout_msat * percent / 100), least_msat))


def quote(
    amount: Decimal,
    currency: Currency,
    plan: Plan,
    usd_per_btc: Decimal,
    spread_percent: Decimal = NOTHING,
    *,
    answers: int = 1,
) -> Quote:
    """The payout rounded down to whole satoshis, the fee up: percent of the payout, at least the minimum.
    The fee is reserved for a free task too and given back when it is verified, because which tasks are free is
    known only then. A payout in dollars costs `spread_percent` of it besides, rounded up: see `spread.py`. At most
    `answers` people are paid."""
    payout_msat = to_msat(amount, currency, usd_per_btc)
    percent_msat = ceil_sat(payout_msat * plan.dearest_percent / 100)
    minimum_msat = least_fee_msat(plan, usd_per_btc)
    spread_msat = ceil_sat(payout_msat * spread_percent / 100) if currency is Currency.USD else 0
    fee_msat = max(percent_msat, minimum_msat)
    return Quote(payout_msat=payout_msat, fee_msat=fee_msat, spread_msat=spread_msat, answers=answers)
