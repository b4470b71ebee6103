"""Plans, from `config/plans.yaml`, and the price of a task under one. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from core.errors import Misconfigured
from core.money import Currency, ceil_sat, to_msat

NOTHING = Decimal(0)


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`fee_percent` of the payout, at least `fee_minimum_usd`; the first `free_tasks` verified tasks carry no fee."""

    name: str
    fee_percent: Decimal
    fee_minimum_usd: Decimal
    free_tasks: int


class Plans:
    def __init__(self, plans: list[Plan]):
        self._by_name = {plan.name: plan for plan in plans}

    @property
    def names(self) -> list[str]:
        return list(self._by_name)

    def get(self, name: str) -> Plan:
        """Raises Misconfigured when an organisation is on a plan that the file no longer has."""
        try:
            return self._by_name[name]
        except KeyError:
            raise Misconfigured("unknown_plan", f"config/plans.yaml has no plan {name!r}") from None


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be reserved, in msat."""

    payout_msat: int
    fee_msat: int
    spread_msat: int = 0

    @property
    def total_msat(self) -> int:
        return self.payout_msat + self.fee_msat + self.spread_msat


def quote(
    amount: Decimal,
    currency: Currency,
    plan: Plan,
    usd_per_btc: Decimal,
    spread_percent: Decimal = NOTHING,
) -> Quote:
    """The payout rounded down to whole satoshis, the fee up: percent of the payout, at least the minimum.
    The fee is reserved for a free task too and given back when it is verified, because which tasks are free is
    known only then. A payout in dollars costs `spread_percent` of it besides, rounded up: see `spread.py`."""
    payout_msat = to_msat(amount, currency, usd_per_btc)
    percent_msat = ceil_sat(payout_msat * plan.fee_percent / 100)
    minimum_msat = to_msat(plan.fee_minimum_usd, Currency.USD, usd_per_btc, up=True)
    spread_msat = ceil_sat(payout_msat * spread_percent / 100) if currency is Currency.USD else 0
    return Quote(payout_msat=payout_msat, fee_msat=max(percent_msat, minimum_msat), spread_msat=spread_msat)
