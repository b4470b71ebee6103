"""An organisation pays in over Lightning, on both databases and the real sandbox rail: what arrives is credited once,
whoever looks, whenever it comes, and the tasks that waited for it go out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update

from connectors.rails.sandbox import FILE_NAME, SandboxRail
from connectors.rails.sandbox_controls import SandboxControls
from core import clock
from core.billing import actions as billing
from core.billing import top_ups
from core.billing.tables import TopUp
from core.billing.top_ups import MOST_OPEN, Terms, terms_of
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, Invalid, Misconfigured, NotFound, Retryable
from core.outbox import rows
from core.outbox.rows import Lease
from core.payouts.rail import Invoice, Rail
from core.tasks.model import Environment
from core.tasks.tables import Task
from tests.factories import DOLLAR, SAT, balance, emitted, organisation, problems, task
from tests.payout_lab import Lab, SideRail

TERMS = Terms(rail="sandbox", least_msat=SAT, most_msat=1_000_000 * SAT)


class Till:
    """One organisation before one sandbox."""

    def __init__(self, work: UnitOfWork, folder: Path):
        self.work = work
        self.rail = SandboxRail(folder / FILE_NAME)
        self.rails: dict[str, Rail] = {"sandbox": self.rail}
        self.controls = SandboxControls(folder / FILE_NAME)
        self.lab = Lab(work, folder)
        self.owner = ""

    async def open(self) -> Till:
        async with self.work.begin("test.org") as tx:
            self.owner = (await organisation(tx)).id
        return self

    async def ask(
        self, sats: int = 50_000, environment: Environment = Environment.LIVE, terms: Terms = TERMS
    ) -> TopUp:
        return await top_ups.ask(
            self.work,
            self.rails,
            terms,
            organisation_id=self.owner,
            environment=environment,
            amount_msat=sats * SAT,
            actor="test",
        )

    async def job(self) -> Lease:
        lease = await self.lab.take("top_up.look")
        assert lease is not None
        return lease

    async def look(self) -> None:
        await top_ups.look(self.work, await self.job(), self.rails)

    async def row(self, made: TopUp) -> TopUp:
        async with self.work.read() as session:
            return await top_ups.one(session, self.owner, made.environment, made.id)

    async def now_ended(self, made: TopUp, ago: timedelta = timedelta(hours=30)) -> None:
        """The invoice is over, for the hub and for the sandbox."""
        async with self.work.begin("test.age") as tx:
            await tx.session.execute(
                update(TopUp).where(TopUp.id == made.id).values(expires_at=clock.now() - ago)
            )
        with self.lab.sandbox._file.write() as db:
            db.execute("UPDATE invoices SET expires_at_ms = 1 WHERE payment_hash = ?", (made.payment_hash,))

    async def prefund(self) -> int:
        return await balance(self.work, f"{self.owner}:live:prefund")


@pytest.fixture
async def till(work: UnitOfWork, tmp_path: Path) -> Till:
    return await Till(work, tmp_path).open()


async def test_what_is_paid_is_credited_and_waiting_tasks_go_out(till: Till) -> None:
    async with till.work.begin("test.task") as tx:
        owner = await top_ups.get_organisation(tx.session, till.owner)
        waiting = await task(tx, owner, funded=False, status="posted")
    made = await till.ask()
    assert (made.state, made.amount_msat, made.invoice[:6]) == ("open", 50_000 * SAT, "lnbcrt")
    await till.look()
    assert ((await till.row(made)).state, await till.prefund()) == ("open", 0)  # nobody has paid

    assert till.controls.pay_ours(made.invoice) == 50_000 * SAT
    await till.look()

    paid = await till.row(made)
    assert (paid.state, paid.received_msat, await till.prefund()) == ("credited", 50_000 * SAT, 50_000 * SAT)
    assert paid.paid_at is not None
    assert await balance(till.work, "rail:sandbox") == -50_000 * SAT  # the node holds that much more
    assert await emitted(till.work, "billing.credited") == [till.owner]
    async with till.work.begin("billing.fund_waiting") as tx:
        assert await billing.fund_waiting(tx, till.owner, "live") == 1
    async with till.work.read() as session:
        assert (await session.get_one(Task, waiting.id)).funded
    assert await problems(till.work) == []
    assert await till.lab.take("top_up.look") is None  # nobody looks at it any more


async def test_however_many_look_it_is_credited_once(till: Till) -> None:
    made = await till.ask()
    till.controls.pay_ours(made.invoice)
    first, second = await till.job(), await till.lab.take_other("top_up.look")
    ended = await asyncio.gather(
        top_ups.look(till.work, first, till.rails),
        top_ups.look(till.work, second, till.rails),
        *(top_ups.look_now(till.work, till.rails, made.id, actor="test") for _ in range(3)),
        return_exceptions=True,
    )
    assert [one for one in ended if isinstance(one, BaseException)] == []
    assert await till.prefund() == 50_000 * SAT
    assert await problems(till.work) == []


async def test_a_look_whose_process_died_before_its_commit_is_repeated(till: Till) -> None:
    made = await till.ask()
    till.controls.pay_ours(made.invoice)
    lease = await till.job()
    again = await till.job()  # the first holder is gone, its lease over
    await top_ups.look(till.work, again, till.rails)
    with pytest.raises(rows.LeaseLost):
        await top_ups.look(till.work, lease, till.rails)
    assert await till.prefund() == 50_000 * SAT


@pytest.mark.parametrize("arrived", [49_999_000, 50_001_000, 50_000_500])
async def test_what_arrived_is_what_is_credited(till: Till, arrived: int) -> None:
    made = await till.ask()
    till.controls.pay_ours(made.invoice, amount_msat=arrived)
    await till.look()
    assert ((await till.row(made)).received_msat, await till.prefund()) == (arrived, arrived)
    assert await problems(till.work) == []


async def test_an_invoice_that_nobody_pays_lapses_and_late_money_is_found(till: Till) -> None:
    made = await till.ask()
    await till.now_ended(made)
    await till.look()
    assert (await till.row(made)).state == "lapsed"
    assert (await top_ups.look_now(till.work, till.rails, made.id, actor="test")).state == "lapsed"

    till.controls.pay_ours(made.invoice)
    assert (await top_ups.look_now(till.work, till.rails, made.id, actor="test")).state == "credited"
    assert await till.prefund() == 50_000 * SAT
    assert await problems(till.work) == []


async def test_a_rail_that_is_away_or_gone_is_asked_again(till: Till) -> None:
    made = await till.ask()
    till.controls.pay_ours(made.invoice)
    with till.lab.sandbox._file.write() as db:
        db.execute("ALTER TABLE invoices RENAME TO gone")
        db.execute("ALTER TABLE receipts RENAME TO gone_too")
    with pytest.raises(Retryable):
        await till.look()
    with till.lab.sandbox._file.write() as db:
        db.execute("ALTER TABLE gone RENAME TO invoices")
        db.execute("ALTER TABLE gone_too RENAME TO receipts")
    lease = await till.job()
    with pytest.raises(Misconfigured, match=r"not in rails\.use any more"):
        await top_ups.look(till.work, lease, {})
    assert await till.prefund() == 0
    await till.look()
    assert await till.prefund() == 50_000 * SAT


async def test_looks_are_close_at_first_and_rare_in_the_end(till: Till) -> None:
    made = await till.ask()

    async def delay() -> int:
        async with till.work.begin("test.delay") as tx:
            sql = "SELECT due_at FROM outbox WHERE topic = 'top_up.look' AND state = 'pending'"
            due = (await tx.execute(sql)).scalar_one()
            return round((due - await tx.now_ms()) / 1000)

    async def aged(**values: timedelta) -> int:
        async with till.work.begin("test.age") as tx:
            moments = {name: clock.now() + span for name, span in values.items()}
            await tx.session.execute(update(TopUp).where(TopUp.id == made.id).values(**moments))
        await till.look()
        return await delay()

    assert await delay() == 2
    assert await aged(created_at=-timedelta(minutes=10)) == 15
    assert await aged(expires_at=-timedelta(minutes=1)) == 3600


async def test_who_may_not_pay_in_is_told_why(till: Till) -> None:
    with pytest.raises(Invalid, match="1 to 1000000 sat") as found:
        await till.ask(1_000_001)
    assert found.value.field_errors == {"amountSats": "Must be 1 to 1000000 sat"}
    with pytest.raises(Invalid):
        await till.ask(0)
    with pytest.raises(Conflict, match="No rail of this hub can be paid"):
        await till.ask(terms=msgspec.structs.replace(TERMS, rail=""))
    till.owner = "org_none"
    with pytest.raises(NotFound):
        await till.ask()


async def test_only_so_many_invoices_wait_at_once(till: Till) -> None:
    made = await till.ask()
    for _ in range(MOST_OPEN - 1):
        await till.ask()
    with pytest.raises(Conflict, match="20 invoices wait"):
        await till.ask()
    till.controls.pay_ours(made.invoice)
    await top_ups.look_now(till.work, till.rails, made.id, actor="test")
    await till.ask()


class RealMoney(SandboxRail):
    capabilities = msgspec.structs.replace(SandboxRail.capabilities, real_money=True)


async def test_real_money_never_pays_for_play_money(till: Till, tmp_path: Path) -> None:
    till.rails = {"sandbox": RealMoney(tmp_path / FILE_NAME)}
    with pytest.raises(Conflict, match="play money"):
        await till.ask(environment=Environment.TEST)
    await till.ask()


async def test_another_tenants_top_up_is_not_there(till: Till, work: UnitOfWork) -> None:
    made = await till.ask()
    async with work.begin("test.org") as tx:
        other = await organisation(tx, balance_msat=DOLLAR)
    async with work.read() as session:
        for owner, environment in ((other.id, "live"), (till.owner, "test")):
            with pytest.raises(NotFound):
                await top_ups.one(session, owner, environment, made.id)
            assert await top_ups.listing(session, owner, environment) == ([], False)


async def test_the_newest_come_first_page_by_page(till: Till) -> None:
    made = [(await till.ask()).id for _ in range(3)]
    async with till.work.read() as session:
        first, more = await top_ups.listing(session, till.owner, "live", limit=2)
        rest, end = await top_ups.listing(session, till.owner, "live", before=first[-1].id, limit=2)
    assert [row.id for row in (*first, *rest)] == made[::-1]
    assert (more, end) == (True, False)


def test_the_operators_rail_is_taken_or_refused(tmp_path: Path) -> None:
    sandbox = SandboxRail(tmp_path / FILE_NAME)
    side = SideRail(sandbox, "side")  # cannot be paid
    limits = {"least_sats": 1, "most_sats": 10, "minutes": 5}
    rails: dict[str, Rail] = {"side": side, "sandbox": sandbox}
    assert terms_of(rails, named="", **limits).rail == "sandbox"
    assert terms_of({"side": side}, named="", **limits).rail == ""
    with pytest.raises(Misconfigured, match=r"billing\.top_up_rail: 'side'"):
        terms_of(rails, named="side", **limits)
    with pytest.raises(Misconfigured, match="top_up_least_sats is above"):
        terms_of(rails, named="", least_sats=11, most_sats=10, minutes=5)


class Liar(SandboxRail):
    """Says that everything has been paid, and nothing of its own can be read."""

    async def received_msat(self, payment_hash: str) -> int | None:
        return -5

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        raise Retryable("rail_unreachable", "half a body")


async def test_a_rail_that_speaks_nonsense_credits_nothing(till: Till, tmp_path: Path) -> None:
    made = await till.ask()
    till.rails = {"sandbox": Liar(tmp_path / FILE_NAME)}
    await till.look()
    assert ((await till.row(made)).state, await till.prefund()) == ("open", 0)
    with pytest.raises(Retryable):
        await till.ask()
