"""Which rail is next: the operator's order, what the worker can be paid on, what failed so far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Misconfigured
from core.payouts.order import Orders, check_orders, fitting, next_first, reachable
from core.payouts.rail import Capabilities, Invoice, PaymentResult, Target

USE = ["lnd", "strike", "bank"]


class NamedRail:
    def __init__(self, name: str, *, real: bool, pays: Target = Target.INVOICE):
        self.name = name
        self.capabilities = Capabilities(real_money=real, proves_by_preimage=True, network="bc", pays=pays)

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        raise AssertionError("nothing is paid here")

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        raise AssertionError("nothing is asked here")


def test_the_workers_order_comes_before_the_plans_and_that_before_the_default() -> None:
    orders = Orders(
        default=["lnd", "bank"],
        plans={"enterprise": ["strike"]},
        workers={"per_1": ["bank"], "ana@example.test": ["bank", "lnd"]},
    )

    def order(worker_id: str, email: str, plan: str) -> list[str]:
        return orders.of(worker_id=worker_id, email=email, plan=plan, use=USE)

    assert order("per_1", "ana@example.test", "enterprise") == ["bank"]
    assert order("per_2", "ana@example.test", "enterprise") == ["bank", "lnd"]
    assert order("per_2", "bo@example.test", "enterprise") == ["strike"]
    assert order("per_2", "bo@example.test", "free") == ["lnd", "bank"]
    assert Orders().of(worker_id="per_2", email="", plan="", use=USE) == USE


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (Orders(), None),
        (Orders(default=["bank", "lnd"], plans={"free": ["lnd"]}, workers={"a@b.test": ["strike"]}), None),
        (
            Orders(default=["lnd", "cln"]),
            "hub.yaml: rails.order.default: 'cln' is not in rails.use (lnd, strike, bank): add it there or take it out",
        ),
        (
            Orders(plans={"fre": ["lnd"]}),
            "hub.yaml: rails.order.plans.fre: config/plans.yaml has no plan 'fre'",
        ),
        (Orders(plans={"free": []}), "hub.yaml: rails.order.plans.free: the list is empty"),
        (Orders(workers={"w": ["lnd", "lnd"]}), "hub.yaml: rails.order.workers.w: a rail stands there twice"),
    ],
)
def test_an_order_that_cannot_be_kept_is_named_with_its_fix(orders: Orders, message: str | None) -> None:
    if message is None:
        check_orders(orders, USE, ["free"])
        return
    with pytest.raises(Misconfigured) as wrong:
        check_orders(orders, USE, ["free"])
    assert wrong.value.message.startswith(message)


def test_test_money_never_goes_over_a_real_rail() -> None:
    rails = {name: NamedRail(name, real=name != "sandbox") for name in ("lnd", "sandbox")}
    assert [rail.name for rail in fitting(["lnd", "sandbox"], rails, "test")] == ["sandbox"]
    assert [rail.name for rail in fitting(["lnd", "sandbox"], rails, "live")] == ["lnd", "sandbox"]
    with pytest.raises(Misconfigured, match=r"rails\.use"):
        fitting(["lnd"], rails, "test")


def test_a_rail_must_pay_to_something_that_the_worker_has() -> None:
    lnd, bank = NamedRail("lnd", real=True), NamedRail("bank", real=True, pays=Target.BANK)
    assert reachable([lnd, bank], {Target.BANK}) == [bank]
    assert reachable([lnd, bank], {Target.INVOICE, Target.BANK}) == [lnd, bank]
    assert reachable([lnd, bank], set()) == []


def test_two_failed_attempts_on_a_rail_and_then_the_next_and_around() -> None:
    failed: list[str] = []
    for _ in range(8):
        failed.append(next_first(USE, failed, 2)[0])
    assert failed == ["lnd", "lnd", "strike", "strike", "bank", "bank", "lnd", "lnd"]


@pytest.mark.parametrize(
    ("names", "failed", "expected"),
    [
        (["strike", "bank"], ["lnd"], "strike"),  # lnd was taken out of the order
        (["lnd", "bank"], ["lnd", "bank"], "bank"),  # one on bank, after one on lnd
        (["lnd"], ["lnd", "lnd", "lnd"], "lnd"),
        (["lnd", "bank"], ["bank", "bank"], "lnd"),
    ],
)
def test_the_next_rail(names: list[str], failed: list[str], expected: str) -> None:
    assert next_first(names, failed, 2)[0] == expected


@given(st.lists(st.sampled_from(USE), max_size=12), st.integers(1, 4))
def test_every_rail_stays_in_the_round(failed: list[str], per_rail: int) -> None:
    turned = next_first(USE, failed, per_rail)
    assert sorted(turned) == sorted(USE)
    for _ in range(per_rail * len(USE)):
        failed = [*failed, next_first(USE, failed, per_rail)[0]]
    assert set(failed[-per_rail * len(USE) :]) == set(USE)
