"""A hub's payout machine between a real database and the real sandbox rail: earn, run the jobs one by one, make the
rail misbehave, and ask the rail's own book what was really paid."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import msgspec

from connectors.rails import bolt11
from connectors.rails.lightning_address import LightningAddresses
from connectors.rails.sandbox import FILE_NAME, NETWORK, SandboxOptions, SandboxRail
from connectors.rails.sandbox_book import Fault
from connectors.rails.sandbox_controls import SandboxControls
from connectors.rails.sandbox_wallets import SandboxWallets
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Rejected
from core.ledger.check import check as check_books
from core.outbox import rows
from core.outbox.rows import Lease
from core.payouts import actions
from core.payouts.case import Case, load
from core.payouts.controls import in_force
from core.payouts.limits import PayoutLimits
from core.payouts.order import Orders
from core.payouts.prepare import Means, prepare
from core.payouts.queries import known_hash
from core.payouts.rail import Invoice, Outcome, PaymentResult, Quote, Rail, Recorded
from core.payouts.tables import Payout
from core.repairs.queries import still_open
from hub.jobs import payout_watch
from hub.jobs.run import Runner
from tests.factories import DOLLAR, PLAN, RATE, earn, organisation, task, worker


class Wallets:
    """Every address is a wallet of the sandbox. `made_at_s` ages the invoices; `repeat` makes it give the last again."""

    def __init__(self, path: Path, work: UnitOfWork | None = None):
        self.work = work
        self.sandbox = SandboxWallets(path)
        self.made_at_s: int | None = None
        self.repeat = False
        self.asked = 0
        self.last: Invoice | None = None

    async def invoice_for(self, address: str, *, amount_msat: int, comment: str) -> Invoice:
        self.asked += 1
        name, _, domain = address.partition("@")
        if domain != "sandbox.test":
            raise Rejected("wallet_refused", "the wallet says that it has no such address")
        if self.repeat and self.last is not None:
            return self.last
        text = await self.sandbox.invoice(name, amount_msat, comment=comment, made_at_s=self.made_at_s)
        decoded = bolt11.decode(text)
        assert decoded.amount_msat is not None
        self.last = Invoice(
            bolt11=text,
            payment_hash=decoded.payment_hash,
            amount_msat=decoded.amount_msat,
            expires_at_ms=decoded.expires_at_ms,
        )
        return self.last

    async def own_invoice(self, text: str, *, amount_msat: int) -> Invoice:
        addresses = LightningAddresses(_no_server, network=NETWORK, known_hash=self.known_hash)
        return await addresses.own_invoice(text, amount_msat=amount_msat)

    async def known_hash(self, payment_hash: str) -> bool:
        if self.work is None:
            return False
        async with self.work.read() as session:
            return await known_hash(session, payment_hash)


async def _no_server(url: str) -> bytes:
    raise Rejected("no_server", f"nobody answers at {url}")


class Killed(BaseException):
    """Ends a job where a process would have died."""


class DyingRail:
    """The sandbox, in a process that dies before the first byte, or after the payment and before the record."""

    def __init__(self, rail: SandboxRail, *, after_paying: bool, how: type[BaseException] = Killed):
        self.rail, self.after_paying, self.how = rail, after_paying, how
        self.name, self.capabilities = rail.name, rail.capabilities

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        if self.after_paying:
            await self.rail.pay(invoice, max_fee_msat=max_fee_msat)
        raise self.how

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        return await self.rail.look_up(payment_hash)


class LyingRail:
    """A wallet behind a broken proxy: it says settled, and has nothing to show for it."""

    def __init__(self, rail: SandboxRail):
        self.rail, self.name, self.capabilities = rail, rail.name, rail.capabilities

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        return PaymentResult(outcome=Outcome.SETTLED, preimage="00" * 32)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        return await self.pay(
            Invoice(bolt11="", payment_hash="", amount_msat=0, expires_at_ms=0), max_fee_msat=0
        )


class SideRail:
    """Another rail that reaches the same wallets as the sandbox, with its own answers: those of `script` first, by which
    nothing is sent, then the sandbox's. `refusal`: it refuses to quote. `has_msat`: its balance. `sent`: hashes that it
    was told to pay."""

    def __init__(self, rail: SandboxRail, name: str, *, slow: bool = False):
        self.rail, self.name = rail, name
        self.capabilities = msgspec.structs.replace(rail.capabilities, slow=slow, exact_balance=False)
        self.script: list[PaymentResult] = []
        self.looks: list[PaymentResult | None] = []
        self.refusal: str | None = None
        self.has_msat = 10**12
        self.sent: list[str] = []
        self.history: list[Recorded] = []

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        self.sent.append(invoice.payment_hash)
        if self.script:
            return self.script.pop(0)
        return await self.rail.pay(invoice, max_fee_msat=max_fee_msat)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        if self.looks:
            return self.looks.pop(0)
        return await self.rail.look_up(payment_hash)

    async def quote(self, invoice: Invoice, *, max_fee_msat: int) -> Quote:
        if self.refusal is not None:
            raise Rejected("no_route", self.refusal)
        return Quote(reference="", fee_msat=0)

    async def balance_msat(self) -> int:
        return self.has_msat

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        for one in self.history:
            if one.at_ms >= since_ms:
                yield one


class Lab:
    def __init__(self, work: UnitOfWork, folder: Path):
        self.work = work
        path = folder / FILE_NAME
        self.sandbox = SandboxRail(path, SandboxOptions(answer_timeout=0.1, fee_base_msat=1_000, fee_ppm=500))
        self.rails: dict[str, Rail] = {"sandbox": self.sandbox}
        self.controls = SandboxControls(path)
        self.wallets = Wallets(path, work)
        self.limits = PayoutLimits()
        self.orders = Orders()

    @property
    def means(self) -> Means:
        return Means(rails=self.rails, addresses=self.wallets, orders=self.orders)

    async def earned(self, *, address: str | None = "ana@sandbox.test", amount: str = "0.50") -> Payout:
        """A verified task whose worker has just earned `amount` dollars (1,000 sat each)."""
        async with self.work.begin("tasks.verify") as tx:
            org, who = await organisation(tx, balance_msat=200 * DOLLAR), await worker(tx, address=address)
            row = await task(tx, org, amount=amount)
            row.status = "verified"
            payout = await earn(tx, row, who.id, PLAN, RATE)
            assert payout is not None
            return payout

    async def take(self, topic: str, *, lease_ms: int = 30_000) -> Lease | None:
        """The oldest waiting job of the topic, whatever its due time; also one whose holder died."""
        async with self.work.begin("outbox.lease") as tx:
            await tx.execute(
                "UPDATE outbox SET due_at = 1, state = 'pending' "
                f"WHERE topic = '{topic}' AND state IN ('pending', 'leased')"
            )
            found = await tx.execute(
                f"SELECT id FROM outbox WHERE topic = '{topic}' AND state = 'pending' ORDER BY id LIMIT 1"
            )
            job = found.scalar()
            return None if job is None else await rows.lease(tx, job, lease_ms)

    async def take_other(self, topic: str) -> Lease:
        """A second job of the same topic for the same payout, leased beside the first."""
        async with self.work.begin("test.emit") as tx:
            held = await tx.execute(f"SELECT subject FROM outbox WHERE topic = '{topic}' ORDER BY id LIMIT 1")
            tx.emit(topic, held.scalar_one(), queue="money")
            job = tx.jobs[0].id
        async with self.work.begin("outbox.lease") as tx:
            lease = await rows.lease(tx, job)
        assert lease is not None
        return lease

    async def pay(self) -> None:
        """Run the job `payout.reserved` that waits."""
        lease = await self.take("payout.reserved")
        assert lease is not None
        await self.run_pay(lease)

    async def run_pay(self, lease: Lease) -> None:
        await actions.pay(self.work, lease, self.means, self.limits)

    async def run_job(self) -> None:
        """As a worker process runs the job `payout.reserved`: what it raises becomes a later try, with the reason."""
        async with self.work.begin("test.due") as tx:
            await tx.execute(
                "UPDATE outbox SET due_at = 1, state = 'pending' "
                "WHERE topic = 'payout.reserved' AND state IN ('pending', 'leased')"
            )
            sql = (
                "SELECT id FROM outbox WHERE topic = 'payout.reserved' AND state = 'pending' "
                "ORDER BY attempts, id LIMIT 1"
            )
            job = (await tx.execute(sql)).scalar_one()
        await Runner(self.work, {"payout.reserved": self.run_pay}).run(job)

    async def ready(self) -> None:
        """Run only the first half of the pay job: as if the process died after it."""
        lease = await self.take("payout.reserved")
        assert lease is not None
        assert await prepare(self.work, lease, self.means, self.limits)

    async def check(self) -> None:
        """Run the job `payout.check` that waits."""
        lease = await self.take("payout.check")
        assert lease is not None
        await actions.check(self.work, lease, self.means, self.limits)

    async def look_back(self) -> None:
        """Run the job `payout.look_back` that waits."""
        lease = await self.take("payout.look_back")
        assert lease is not None
        await actions.look_back(self.work, lease, self.means)

    async def check_all(self) -> None:
        """Run every `payout.check` that waits now, once."""
        for _ in range(await self.waiting("payout.check")):
            await self.check()

    async def watch(self) -> None:
        """Run the oldest round of the watch that waits, and put another behind it."""
        async with self.work.begin("test.slot") as tx:
            tx.emit("payout.watch", "hub", queue="money")
        lease = await self.take("payout.watch")
        assert lease is not None
        await payout_watch.watch(self.work, lease, self.rails, self.limits)

    async def repairs(self) -> list[tuple[str, str]]:
        """Subject and kind of every open item."""
        async with self.work.read() as session:
            return sorted((item.subject, item.kind) for item in await still_open(session))

    async def controls_in_force(self) -> list[tuple[str, str]]:
        async with self.work.read() as session:
            return [(one.subject, one.cause) for one in await in_force(session, clock.now_ms())]

    async def waiting(self, topic: str) -> int:
        async with self.work.begin("test.count") as tx:
            sql = f"SELECT count(*) FROM outbox WHERE topic = '{topic}' AND state IN ('pending', 'leased')"
            return (await tx.execute(sql)).scalar_one()

    async def case(self, payout: Payout) -> Case:
        async with self.work.read() as session:
            return await load(session, payout.id)

    def fault(self, kind: Fault, *, seconds: float = 0.0) -> None:
        self.controls.add_fault(kind, seconds=seconds)

    def really_paid(self) -> list[int]:
        """How often each payment hash was settled, by the rail's own append-only book."""
        return [payment.settled_count for payment in self.controls.payments() if payment.settled_count]

    async def assert_books(self, *, rails_without_preimage: Sequence[str] = ()) -> None:
        async with self.work.read() as session:
            assert await check_books(session, rails_without_preimage=rails_without_preimage) == []


def hour_ago() -> int:
    return clock.unix() - 3_600
