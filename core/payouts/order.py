"""Which rail carries the next attempt. Pure: the operator's order, what the worker can be paid on, what failed so far.
Asked by `prepare.py`, which has no living attempt then: another rail is never tried beside one that may still pay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from core.errors import Misconfigured
from core.payouts.rail import Capabilities, Rail, Target
from core.tasks.model import Environment


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Names of rails, the first choice first: by worker (id or e-mail address), by the organisation's plan, for all.
    An empty default is the order of `rails.use`."""

    default: list[str] = []
    plans: dict[str, list[str]] = {}
    workers: dict[str, list[str]] = {}

    def of(self, *, worker_id: str, email: str, plan: str, use: Collection[str]) -> list[str]:
        """The order of one payout; the worker's comes before the plan's."""
        for found in (self.workers.get(worker_id), self.workers.get(email), self.plans.get(plan)):
            if found is not None:
                return found
        return self.default or list(use)


def check_orders(orders: Orders, use: Collection[str], plans: Collection[str]) -> None:
    """Raises Misconfigured, which names the path and the fix, for an order that cannot be kept."""
    unknown = sorted(set(orders.plans) - set(plans))
    if unknown:
        raise _wrong(
            f"plans.{unknown[0]}", f"config/plans.yaml has no plan {unknown[0]!r}: add it or mend it"
        )
    lists = {
        **({"default": orders.default} if orders.default else {}),
        **{f"plans.{name}": order for name, order in orders.plans.items()},
        **{f"workers.{name}": order for name, order in orders.workers.items()},
    }
    for path, order in lists.items():
        if not order:
            raise _wrong(path, "the list is empty: name at least one rail, or take the line out")
        missing = [name for name in order if name not in use]
        if missing:
            raise _wrong(
                path, f"{missing[0]!r} is not in rails.use ({', '.join(use)}): add it there or take it out"
            )
        if len(set(order)) < len(order):
            raise _wrong(path, "a rail stands there twice: name each rail once")


def fitting(order: Sequence[str], rails: Mapping[str, Rail], environment: str) -> list[Rail]:
    """The configured rails of an order that may pay in this environment: test money never goes over a real rail.
    Raises Misconfigured when there is none."""
    fit = [rails[name] for name in order if name in rails and _may_pay(rails[name].capabilities, environment)]
    if not fit:
        raise Misconfigured(
            "no_rail", f"No rail may pay in the {environment} environment; see rails.use, rails.order"
        )
    return fit


def reachable(rails: Sequence[Rail], targets: Collection[Target]) -> list[Rail]:
    """Those that pay to something that the worker has."""
    return [rail for rail in rails if rail.capabilities.pays in targets]


def next_first(names: Sequence[str], failed: Sequence[str], per_rail: int) -> list[str]:
    """`names`, turned so that the next rail to try is the first. `failed` are the rails of the attempts so far, oldest
    first, each of which failed for good. After `per_rail` of them in a row on one rail it is the next one's turn, and
    after the last rail the first one's again."""
    if not failed or failed[-1] not in names:
        return list(names)
    last = failed[-1]
    in_a_row = next((n for n, name in enumerate(reversed(failed)) if name != last), len(failed))
    turn = names.index(last) + (1 if in_a_row >= per_rail else 0)
    return [names[(turn + n) % len(names)] for n in range(len(names))]


def _may_pay(capabilities: Capabilities, environment: str) -> bool:
    return environment != Environment.TEST or not capabilities.real_money


def _wrong(path: str, fix: str) -> Misconfigured:
    return Misconfigured("rail_order", f"hub.yaml: rails.order.{path}: {fix}")
