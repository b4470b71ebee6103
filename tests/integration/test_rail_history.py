"""A rail's own history held against our attempts every night, on both databases."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from connectors.rails.sandbox import SandboxOptions, SandboxRail
from connectors.rails.sandbox_book import Fault
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import NotFound, Retryable
from core.payouts.compare import Finding, FindingKind
from core.payouts.limits import DAY_MS
from core.payouts.rail import Funded, Outcome, Recorded, Recording
from core.payouts.reconcile import OVERLAP, explain, reconcile, unexplained
from core.payouts.tables import Payout
from hub.jobs import payout_watch
from tests.factories import emitted
from tests.payout_lab import Lab, SideRail


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> Lab:
    return Lab(work, tmp_path)


async def look(lab: Lab) -> list[Finding]:
    """One look at the first rail; what it found."""
    row = await reconcile(lab.work, next(iter(lab.rails.values())))
    assert row is not None
    return [Finding.read(one) for one in row.findings]


async def long_ago(lab: Lab, hours: int = 1) -> None:
    """All that settled did so before the margin of the present look."""
    ms = hours * 3_600_000
    async with lab.work.begin("test.age") as tx:
        await tx.execute(
            f"UPDATE payout_attempts SET created_at = created_at - {ms}, sent_at = sent_at - {ms}, "
            f"ended_at = ended_at - {ms}"
        )


async def paid(lab: Lab) -> Payout:
    payout = await lab.earned()
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"
    return payout


async def stranger(lab: Lab) -> str:
    """Somebody else pays from our node; the hash."""
    invoice = await lab.wallets.invoice_for("eve@sandbox.test", amount_msat=9_000, comment="")
    assert (await lab.sandbox.pay(invoice, max_fee_msat=10_000)).outcome is Outcome.SETTLED
    return invoice.payment_hash


async def test_agreeing_books_of_a_rail_find_nothing(lab: Lab) -> None:
    assert await reconcile(lab.work, lab.sandbox) is None  # never used
    await paid(lab)
    lab.fault(Fault.FAIL)
    await lab.earned()
    await lab.pay()
    lab.fault(Fault.HANG)
    await lab.pay()
    await long_ago(lab)
    for _ in range(2):
        assert await look(lab) == []
    assert (await lab.repairs(), await lab.controls_in_force()) == ([], [])


async def test_what_was_paid_before_the_hub_came_is_not_ours(lab: Lab) -> None:
    before = await stranger(lab)
    payout = await paid(lab)
    async with lab.work.begin("test.first") as tx:
        await tx.execute(f"UPDATE payout_attempts SET created_at = {clock.now_ms() + 1}")
    assert before
    assert await look(lab) == []
    assert (await lab.case(payout)).state == "settled"


async def test_a_strangers_payment_freezes_payouts_until_it_is_explained(lab: Lab) -> None:
    await paid(lab)
    payment_hash = await stranger(lab)
    for _ in range(2):  # the next night finds it again, once
        [finding] = await look(lab)
        assert (finding.kind, finding.payment_hash) == (FindingKind.STRANGER, payment_hash)
        assert finding.words == "sandbox paid 9000 msat and no attempt of ours did that"
    assert await lab.controls_in_force() == [("hub", "reconciliation")]
    assert await lab.repairs() == [("rail:sandbox", "reconciliation")]
    payout = await lab.earned()
    with pytest.raises(Retryable, match=r"paused \(reconciliation\): sandbox: sandbox paid 9000 msat"):
        await lab.pay()
    with pytest.raises(NotFound):
        async with lab.work.begin("test.explain") as tx:
            await explain(tx, "sandbox", "ab" * 32, "none", by="person:op")
    async with lab.work.begin("test.explain") as tx:
        assert await explain(tx, "sandbox", payment_hash, "I paid for the server", by="person:op")
    assert (await lab.repairs(), await lab.controls_in_force()) == ([], [])
    await lab.pay()
    assert (await lab.case(payout)).state == "settled"
    assert await look(lab) == []


async def test_a_stranger_is_not_forgotten_when_the_window_moves_on(lab: Lab) -> None:
    await paid(lab)
    side = SideRail(lab.sandbox, "sandbox")
    lab.rails = {"sandbox": side}
    theirs = Recorded(
        payment_hash="ee" * 32, outcome=Outcome.IN_FLIGHT, amount_msat=1, fee_msat=0, at_ms=clock.now_ms()
    )
    side.history = [theirs]
    assert [one.kind for one in await look(lab)] == [FindingKind.STRANGER]
    side.history = []
    assert [one.payment_hash for one in await look(lab) if one.kind is FindingKind.STRANGER] == ["ee" * 32]
    assert await lab.controls_in_force() == [("hub", "reconciliation")]


def recorded(lab: Lab, payment_hash: str, **values: object) -> Recorded:
    """One field at a time is made wrong."""
    settled = Recorded(
        payment_hash=payment_hash,
        outcome=Outcome.SETTLED,
        amount_msat=500_000,
        fee_msat=1_250,
        at_ms=clock.now_ms() - 3_600_000,
    )
    return msgspec.structs.replace(settled, **values)


@pytest.mark.parametrize(
    ("values", "kind", "freezes"),
    [
        ({}, None, False),
        ({"amount_msat": 500_001}, FindingKind.AMOUNT, True),
        ({"amount_msat": 500_002, "within_msat": 1}, FindingKind.AMOUNT, True),
        ({"amount_msat": 499_999, "fee_msat": 1_251, "within_msat": 1}, None, False),  # told in cents
        ({"fee_msat": 1_249}, FindingKind.FEE, False),
        ({"outcome": Outcome.FAILED}, FindingKind.NOT_PAID, False),
        ({"outcome": Outcome.REVERSED}, FindingKind.REVERSED, False),
        (None, FindingKind.MISSING, False),
    ],
)
async def test_what_is_settled_here_must_be_so_there(
    lab: Lab, values: dict[str, object] | None, kind: FindingKind | None, freezes: bool
) -> None:
    payout = await paid(lab)
    await long_ago(lab)
    side = SideRail(lab.sandbox, "sandbox")
    lab.rails = {"sandbox": side}
    payment_hash = (await lab.case(payout)).sent.payment_hash
    side.history = [] if values is None else [recorded(lab, payment_hash, **values)]
    found = await look(lab)
    assert [(one.kind, one.payout_id) for one in found] == ([] if kind is None else [(kind, payout.id)])
    assert bool(await lab.controls_in_force()) is freezes
    assert bool(await lab.repairs()) is (kind is not None)
    async with lab.work.read() as session:
        assert [rail for rail, _ in await unexplained(session)] == ([] if kind is None else ["sandbox"])


async def test_an_explained_fee_does_not_silence_what_is_worse(lab: Lab) -> None:
    payout = await paid(lab)
    await long_ago(lab)
    side = SideRail(lab.sandbox, "sandbox")
    lab.rails = {"sandbox": side}
    payment_hash = (await lab.case(payout)).sent.payment_hash
    dear = recorded(lab, payment_hash, fee_msat=2_000)
    side.history = [dear]
    assert [one.kind for one in await look(lab)] == [FindingKind.FEE]
    async with lab.work.begin("test.explain") as tx:
        await explain(tx, "sandbox", payment_hash, "the node rounds up", by="person:op")
    assert await look(lab) == []
    side.history = [dear, dear]
    assert [one.kind for one in await look(lab)] == [FindingKind.TWICE]
    assert await lab.controls_in_force() == [("hub", "reconciliation")]
    async with lab.work.begin("test.explain") as tx:
        assert await explain(tx, "sandbox", payment_hash, "listed twice, paid once", by="person:op")
    assert await look(lab) == []
    assert await lab.controls_in_force() == []


@pytest.mark.parametrize("outcome", [Outcome.SETTLED, Outcome.IN_FLIGHT])
async def test_failed_here_and_paid_there_is_the_worst(lab: Lab, outcome: Outcome) -> None:
    payout = await lab.earned()
    lab.fault(Fault.FAIL)
    await lab.pay()
    side = SideRail(lab.sandbox, "sandbox")
    lab.rails = {"sandbox": side}
    dead = (await lab.case(payout)).sent.payment_hash
    side.history = [recorded(lab, dead, outcome=outcome, at_ms=clock.now_ms())]
    [finding] = await look(lab)
    assert (finding.kind, finding.payout_id) == (FindingKind.PAID_AFTER_ALL, payout.id)
    with pytest.raises(Retryable, match="it may be paid twice"):
        await lab.pay()
    assert lab.really_paid() == []


async def test_one_hash_settled_twice_is_found(lab: Lab) -> None:
    payout = await paid(lab)
    side = SideRail(lab.sandbox, "sandbox")
    lab.rails = {"sandbox": side}
    mine = recorded(lab, (await lab.case(payout)).sent.payment_hash, at_ms=clock.now_ms())
    side.history = [mine, mine]
    assert [one.kind for one in await look(lab)] == [FindingKind.TWICE]
    assert await lab.controls_in_force() == [("hub", "reconciliation")]


async def test_the_next_look_begins_a_day_before_the_last(lab: Lab) -> None:
    await paid(lab)
    await long_ago(lab, hours=24 * 10)
    first = await reconcile(lab.work, lab.sandbox)
    second = await reconcile(lab.work, lab.sandbox)
    assert first is not None
    assert second is not None
    assert clock.to_ms(first.started_at) - clock.to_ms(second.since) == DAY_MS
    assert (first.payments, second.payments) == (1, 1)  # by the sandbox's clock it was paid just now
    again = await reconcile(lab.work, lab.sandbox, since_ms=clock.now_ms() - 5 * DAY_MS)
    later = await reconcile(lab.work, lab.sandbox, since_ms=clock.now_ms())
    assert again is not None
    assert later is not None
    assert abs(clock.now_ms() - 5 * DAY_MS - clock.to_ms(again.since)) < 60_000
    assert again.started_at - later.since == OVERLAP  # never later than it would have begun


async def test_a_rail_that_cannot_be_asked_is_asked_again(lab: Lab) -> None:
    await paid(lab)
    await payout_watch.start(lab.work, lab.rails)

    class Away(SideRail):
        async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
            for one in self.history or [None]:
                if one is None:
                    raise Retryable("away", "the node does not answer")
                yield one

    lease = await lab.take("rail.reconcile")
    assert lease is not None
    with pytest.raises(Retryable, match="does not answer"):
        await payout_watch.reconcile_rail(lab.work, lease, {"sandbox": Away(lab.sandbox, "sandbox")})
    assert len(await emitted(lab.work, "rail.reconcile")) == 2  # the next night is there all the same


def test_the_sandbox_tells_its_balance_and_history(tmp_path: Path) -> None:
    rail = SandboxRail(tmp_path / "s.sqlite3", SandboxOptions())
    assert isinstance(rail, Funded)
    assert isinstance(rail, Recording)
