"""`settle`: from `verified` to `settled`. A whole hub with the sandbox, by the database's own times; and the payout machine over
two real Electrum nodes (where they are installed), beside the node's bare `lnpay` in the same run."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import select

from connectors.rails.lightning_address import LightningAddresses
from core import clock
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.payouts import actions
from core.payouts.limits import PayoutLimits
from core.payouts.prepare import Means
from core.payouts.tables import Payout
from hub.demo.lightning.processes import missing
from hub.jobs.run import Runner
from tests import factories
from tests.bench import servers
from tests.bench.harness import percentile
from tests.chaos.payout_place import Place, open_place, sqlite_databases
from tests.chaos.payout_process import fetch
from tests.chaos.test_kill_everywhere import TASK
from tests.lightning.bob_wallets import AMOUNT_MSAT, BobWallets
from tests.lightning.electrum_lab import ElectrumLab
from tests.stack.world import world
from tests.wait import wait_until

TASKS = 40
PAYMENTS = 25


def run() -> dict[str, Any]:
    with servers.folder() as where:
        sandbox = asyncio.run(_sandbox(where))
        absent = missing()
        (where / "nodes").mkdir()
        ours, bare = ([], []) if absent else asyncio.run(_electrum(where / "nodes"))
    figure: dict[str, Any] = {
        "name": "settle",
        "value": percentile(sandbox, 95),
        "unit": "ms from verified to settled, p95, a whole hub with the sandbox",
        "p50": percentile(sandbox, 50),
        "payments": len(sandbox),
        "aim": "sandbox p95 < 300 ms; real nodes < 2,000 ms",
        "method": f"{TASKS} tasks one after the other through web, worker and money process on SQLite; settled_at - created_at of "
        f"each payout, the database's times. Real nodes: {PAYMENTS} payments, earned to settled in one process (address, "
        "invoice, commits, rail), each beside a bare `lnpay` of the same node",
        "real_nodes": absent or "two Electrum 4.3.4 on a regtest chain",
    }
    if ours:
        figure |= {
            "electrum_p95": percentile(ours, 95),
            "electrum_p50": percentile(ours, 50),
            "reference": percentile(bare, 95),
            "bare_p50": percentile(bare, 50),
            "ratio": percentile(ours, 50) / percentile(bare, 50),
        }
    return figure


async def _sandbox(where: Path) -> list[float]:
    (where / "stack").mkdir()
    async with world(where / "stack", f"sqlite:///{where}/hub.db") as hub:
        life = asyncio.create_task(hub.answer_everything())

        async def paid() -> list[float]:
            async with hub.work.read() as session:
                rows = await session.execute(
                    select(Payout.created_at, Payout.settled_at).where(Payout.state == "settled")
                )
                return [(settled - earned).total_seconds() * 1000 for earned, settled in rows if settled]

        try:
            for number in range(TASKS):
                await hub.create({**TASK, "idempotencyKey": f"settle-{number}", "callbackUrl": hub.sink.url})
                await wait_until(lambda n=number: _as_many(paid, n + 1), timeout=60)
            return await paid()
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


async def _as_many(paid: Any, count: int) -> bool:
    return len(await paid()) >= count


async def _electrum(where: Path) -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        (where / "lab").mkdir()
        lab = await stack.enter_async_context(ElectrumLab(where / "lab"))
        wallets = await stack.enter_async_context(BobWallets(lab).served())
        [url] = await sqlite_databases(where, 1)
        place = await open_place(url, where)
        stack.push_async_callback(place.database.close)
        rail = lab.rail()
        means = Means(
            rails={"electrum": rail},
            addresses=LightningAddresses(fetch, network="bcrt", domains={"sandbox.test": wallets.url}),
        )

        async def pay(lease: Lease) -> None:
            await actions.pay(place.work, lease, means, PayoutLimits())

        runner = Runner(place.work, {"payout.reserved": pay})
        ours: list[float] = []
        bare: list[float] = []
        for _ in range(PAYMENTS):
            await lab.quiet()
            job = await _earned(place, await wallets.open(no_route=False, first_seconds=0))
            began = clock.monotonic()
            await runner.run(job)
            ours.append((clock.monotonic() - began) * 1000)
            invoice = await lab.invoice(AMOUNT_MSAT)
            await lab.quiet()
            began = clock.monotonic()
            answer = await lab.alice.rpc.call("lnpay", invoice=invoice.bolt11)
            bare.append((clock.monotonic() - began) * 1000)
            if not answer["success"]:
                raise RuntimeError(f"the bare payment failed: {answer}")
        await _all_settled(place.work)
        return ours, bare


async def _earned(place: Place, wallet: str) -> str:
    """The job that pays it."""
    async with place.work.begin("tasks.verify") as tx:
        worker = await factories.worker(tx, environment="test", address=f"{wallet}@sandbox.test")
        task = await factories.task(tx, place.organisation, environment="test")
        task.status = "verified"
        payout = await factories.earn(tx, task, worker.id, factories.PLAN, factories.RATE)
        assert payout is not None
    async with place.work.read() as session:
        job = await session.scalar(
            select(OutboxRow.id).where(OutboxRow.subject == payout.id, OutboxRow.topic == "payout.reserved")
        )
    assert job is not None
    return job


async def _all_settled(work: UnitOfWork) -> None:
    async with work.read() as session:
        states = list(await session.scalars(select(Payout.state)))
    if states != ["settled"] * PAYMENTS:
        raise RuntimeError(f"not every payment was settled at once: {states}")
