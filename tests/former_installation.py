"""An installation of the version before two-phase transfers, with a payout in any state, its books as that version wrote
them. Upgraded by `tests/integration/test_migration_of_money.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from core import clock, ids
from core.db.engine import Database
from core.payouts.rail import Invoice
from tests.payout_lab import Lab

BEFORE = "2026_11_24_01"
# 500 sat; what the former code let a rail take; what the sandbox takes
MSAT = 500_000
FEE_LIMIT = 5_000
FEE = 1_250
HOUR_S = 3_600
ON_THEIR_WAY = ("ready", "sending", "unknown")
WITHOUT_FLOOR = ("rail", "network_fees", "capital", "exchange")


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """One payout that the former version left behind. `invoice` is of its newest attempt."""

    payout_id: str
    worker_id: str
    invoice: Invoice | None


class Installation:
    """Writes rows as the former version did: in plain SQL, for today's tables have columns that it did not know."""

    def __init__(self, database: Database, lab: Lab):
        self.database, self.lab, self.organisation = database, lab, ids.new("org")

    async def insert(self, table: str, **values: Any) -> None:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(f":{name}" for name in values)
        async with self.database.engine.begin() as connection:
            await connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)

    async def begin(self) -> None:
        now = clock.now_ms()
        await self.insert(
            "organisations",
            id=self.organisation,
            name="Acme",
            plan="test",
            webhook_secret="sealed",
            created_at=now,
        )

    async def account(self, name: str, kind: str) -> str:
        """As `open_accounts`, when the first transfer needs it."""
        async with self.database.engine.begin() as connection:
            sql = "INSERT INTO ledger_accounts (id, kind, floor_msat, created_at) VALUES (:id, :kind, :floor, :now)"
            await connection.execute(
                text(f"{sql} ON CONFLICT (id) DO NOTHING"),
                {
                    "id": name,
                    "kind": kind,
                    "floor": None if kind in WITHOUT_FLOOR else 0,
                    "now": clock.now_ms(),
                },
            )
        return name

    async def transfer(
        self, name: str, debit: str, credit: str, msat: int, kind: str, subject: str, at: int
    ) -> None:
        await self.insert(
            "ledger_transfers",
            id=name,
            debit_account=await self.account(
                debit, debit.rpartition(":")[2] if "rail:" not in debit else "rail"
            ),
            credit_account=await self.account(
                credit, credit.rpartition(":")[2] if "rail:" not in credit else "rail"
            ),
            amount_msat=msat,
            kind=kind,
            subject=subject,
            created_at=at,
        )

    async def payout(
        self,
        state: str,
        attempts: Sequence[str] = (),
        *,
        environment: str = "live",
        sent_s_ago: int = 300,
        paid: bool = False,
    ) -> Former:
        """A payout in `state` with attempts in the states `attempts`, and a worker and a task of its own. `paid`: the
        rail settled the newest one and nobody wrote it down."""
        at = clock.now_ms() - 1_000 * max(sent_s_ago, 300) - 60_000
        worker, task, payout = (
            await self._worker(environment, at),
            await self._task(environment, at),
            ids.new("pay"),
        )
        settled = "settled" in attempts
        await self.insert(
            "payouts",
            id=payout,
            task_id=task,
            worker_id=worker,
            organisation_id=self.organisation,
            environment=environment,
            reason="answer",
            state=state,
            amount="0.50",
            currency="USD",
            amount_msat=MSAT,
            usd_per_btc="100000",
            rate_source="test",
            rate_at=at,
            rail="sandbox" if state not in ("reserved", "failed") else None,
            created_at=at,
            settled_at=at if settled else None,
        )
        capital, payable = f"hub:{environment}:capital", f"{worker}:payable"
        await self.transfer(f"payout:{payout}:earn", capital, payable, MSAT, "earn", payout, at)
        invoice = None
        for number, attempt in enumerate(attempts, 1):
            invoice = await self._attempt(payout, worker, environment, number, attempt, sent_s_ago, paid=paid)
        if state in ("reserved", "ready"):
            await self._job("payout.reserved", payout, "{}", at)
        if state in ("sending", "unknown"):
            await self._job("payout.check", payout, '{"checks":3}', at)
        return Former(payout_id=payout, worker_id=worker, invoice=invoice)

    async def _worker(self, environment: str, at: int) -> str:
        person = ids.new("per")
        email = f"{ids.new('m')}@example.org"
        await self.insert("people", id=person, role="worker", name="Ana", email=email, created_at=at)
        await self.insert(
            "workers",
            id=person,
            environment=environment,
            tier=1,
            reliability=0.9,
            price_floor_msat=0,
            capacity=3,
            available=True,
            payout_address="ana@sandbox.test",
            idle_since=at,
        )
        return person

    async def _task(self, environment: str, at: int) -> str:
        task = ids.uuid7()
        await self.insert(
            "tasks",
            id=task,
            organisation_id=self.organisation,
            environment=environment,
            idempotency_key=ids.new("key"),
            request_digest="0" * 64,
            status="verified",
            task_type="refund_eligibility",
            risk_tier="medium",
            sla_seconds=600,
            payload="{}",
            output_schema='{"type":"object"}',
            skills="[]",
            payout_currency="USD",
            payout_amount="0.50",
            funded=True,
            reserved_msat=0,
            fee_msat=0,
            payout_msat=MSAT,
            created_at=at,
            updated_at=at,
            expires_at=at + 600_000,
            hard_stop_at=at + 1_200_000,
            ended_at=at,
        )
        return task

    async def _attempt(
        self,
        payout: str,
        worker: str,
        environment: str,
        number: int,
        state: str,
        sent_s_ago: int,
        *,
        paid: bool,
    ) -> Invoice:
        at = clock.now_ms() - 1_000 * sent_s_ago
        self.lab.wallets.made_at_s = at // 1_000
        invoice = await self.lab.wallets.invoice_for("ana@sandbox.test", amount_msat=MSAT, comment="")
        self.lab.wallets.made_at_s = None
        preimage = None
        if state == "settled" or (paid and state in ("sending", "unknown")):
            preimage = (await self.lab.sandbox.pay(invoice, max_fee_msat=FEE_LIMIT)).preimage
            assert preimage is not None
        await self.insert(
            "payout_attempts",
            id=ids.new("att"),
            payout_id=payout,
            number=number,
            state=state,
            rail="sandbox",
            address="ana@sandbox.test",
            invoice=invoice.bolt11,
            payment_hash=invoice.payment_hash,
            amount_msat=MSAT,
            max_fee_msat=FEE_LIMIT,
            expires_at=invoice.expires_at_ms,
            preimage=preimage if state == "settled" else None,
            fee_msat=FEE if state == "settled" else 0,
            created_at=at,
            sent_at=None if state == "ready" else at,
            ended_at=at if state in ("settled", "failed") else None,
        )
        payable, clearing = f"{worker}:payable", f"hub:{environment}:clearing"
        own, costs = f"payout:{payout}", f"hub:{environment}:network_fees"
        await self.transfer(f"{own}:clear:{number}", payable, clearing, MSAT, "clear", payout, at)
        if state == "failed":
            await self.transfer(f"{own}:return:{number}", clearing, payable, MSAT, "return", payout, at)
        if state == "settled":
            await self.transfer(f"{own}:settle", clearing, "rail:sandbox", MSAT, "settle", payout, at)
            await self.transfer(f"{own}:network_fee", costs, "rail:sandbox", FEE, "network_fee", payout, at)
        return invoice

    async def _job(self, topic: str, payout: str, body: str, at: int) -> None:
        job = ids.new("job")
        await self.insert(
            "outbox", id=job, queue="money", topic=topic, subject=payout, body=body, due_at=at, created_at=at
        )
