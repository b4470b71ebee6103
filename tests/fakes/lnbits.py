"""A simulated LNbits 1.6 with state, written from its published API and from what the release 1.6.2 answers (lnbits/lnbits,
MIT, read as an interface): wallets by key, payments by hash, status 520 for every PaymentError. The real server is asked
the same in `tests/lightning`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from aiohttp import web

from connectors.rails import bolt11
from core import clock
from tests.fakes.own_invoices import OwnInvoices
from tests.fakes.wallet_faults import Faults, Payee, serve

ADMIN_KEY, INVOICE_KEY, OTHER_KEY = "a1" * 16, "b2" * 16, "c3" * 16
PAYMENTS = "/api/v1/payments"


class Row(msgspec.Struct, kw_only=True):
    """One line of LNbits' table `apipayments`: amounts in msat, negative when they leave."""

    wallet: str
    payment_hash: str
    amount: int
    fee: int
    bolt11: str
    status: str = "pending"
    preimage: str | None = None
    time: str = msgspec.field(default_factory=lambda: clock.iso(clock.now()))
    ended: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class Lnbits:
    """`payee` is whoever the funding source pays. `fates` of the next payments: "settle" (default), "hang", or the words
    of a failure. After `wait_seconds` a payment that hangs is answered "pending", as LNbits does after five."""

    def __init__(self) -> None:
        self.url = ""
        self.payee = Payee()
        self.own = OwnInvoices()
        self.faults = Faults(self.payee, lambda request: request.method == "POST")
        self.rows: list[Row] = []
        self.fates: deque[str] = deque()
        self.keys = {ADMIN_KEY: "hub", OTHER_KEY: "somebody"}
        self.balance = 100_000_000
        self.reserve_least, self.reserve_percent = 2_000, 1
        self.fee_msat = 1_234
        self.wait_seconds = 0.1
        self.gives_preimages = True

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware])
        app.add_routes(
            [
                web.post(PAYMENTS, self._create),
                web.get(PAYMENTS, self._list),
                web.get("/api/v1/wallet", self._wallet),
                web.get(f"{PAYMENTS}/fee-reserve", self._fee_reserve),
                web.get(f"{PAYMENTS}/{{hash}}", self._payment),
            ]
        )
        return app

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        """So many payments that are settled already; their hashes."""
        hashes: list[str] = []
        for _ in range(count):
            text = self.payee.invoice(amount_msat)
            hashes.append(bolt11.decode(text).payment_hash)
            row = Row(wallet="hub", payment_hash=hashes[-1], amount=-amount_msat, fee=0, bolt11=text)
            self.rows.append(row)
            self._end(row, settle=True)
        return hashes

    def release(self, *, settle: bool) -> None:
        """Let every payment in flight end."""
        for row in self.rows:
            if row.status == "pending" and row.amount < 0:
                self._end(row, settle=settle)

    def internal_invoice(self, amount_msat: int, *, wallet: str = "somebody") -> str:
        """An invoice of another wallet on this server."""
        text = self.payee.invoice(amount_msat)
        payment_hash = bolt11.decode(text).payment_hash
        self.rows.append(
            Row(
                wallet=wallet,
                payment_hash=payment_hash,
                amount=amount_msat,
                fee=0,
                bolt11=text,
                preimage=self.payee.preimages[payment_hash],
            )
        )
        return text

    async def _create(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Api-Key", "")
        if key == INVOICE_KEY:
            return web.json_response({"detail": "Invoice (or Admin) key required."}, status=403)
        if key not in self.keys:
            return web.json_response({"detail": "Wallet not found."}, status=404)
        data = await request.json()
        if data["out"] is False:
            return self._invoice(self.keys[key], data)
        try:
            invoice = bolt11.decode(data["bolt11"])
        except ValueError:
            return _error("Bolt11 decoding failed.", "failed")
        return await self._pay(self.keys[key], data["bolt11"], invoice)

    def _invoice(self, wallet: str, data: dict[str, Any]) -> web.Response:
        assert data["unit"] == "sat"
        made = self.own.make(data["amount"] * 1000, memo=data["memo"], expiry_s=data["expiry"])
        self.rows.append(
            Row(
                wallet=wallet,
                payment_hash=made.payment_hash,
                amount=made.amount_msat,
                fee=0,
                bolt11=made.text,
                preimage=made.preimage,
            )
        )
        return web.json_response(_shown(self.rows[-1]), status=201)

    def received(self, payment_hash: str, amount_msat: int) -> None:
        """Somebody pays an invoice of this wallet; LNbits writes down what its funding source says has come."""
        row = next(row for row in self._of(payment_hash) if row.amount > 0)
        row.status, row.amount = "success", amount_msat

    def forget(self, payment_hash: str) -> None:
        self.rows = [row for row in self.rows if row.payment_hash != payment_hash]

    async def _list(self, request: web.Request) -> web.Response:
        wallet = self.keys.get(request.headers.get("X-Api-Key", ""))
        if wallet is None:
            return web.json_response({"detail": "Wallet not found."}, status=404)
        assert (request.query["sortby"], request.query["direction"]) == ("time", "desc")
        offset, most = int(request.query["offset"]), int(request.query["limit"])
        mine = [row for row in reversed(self.rows) if row.wallet == wallet]
        return web.json_response([_shown(row) for row in mine[offset : offset + most]])

    async def _wallet(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Api-Key", "") not in self.keys:
            return web.json_response({"detail": "Wallet not found."}, status=404)
        return web.json_response({"name": "hub", "balance": self.balance})

    async def _pay(self, wallet: str, text: str, invoice: bolt11.DecodedInvoice) -> web.Response:
        assert invoice.amount_msat is not None
        incoming = next((r for r in self._of(invoice.payment_hash) if r.amount > 0), None)
        if incoming is not None and incoming.status == "success":
            return _error("Internal invoice already paid.", "failed")
        reserve = 0 if incoming else self._reserve(invoice.amount_msat)
        if self.balance < invoice.amount_msat + reserve:
            return _error("Insufficient balance.", "failed")
        old = next((r for r in self._of(invoice.payment_hash) if r.amount < 0), None)
        if old is not None:
            return _again(old)
        row = Row(
            wallet=wallet,
            payment_hash=invoice.payment_hash,
            amount=-invoice.amount_msat,
            fee=-reserve,
            bolt11=text,
        )
        self.rows.append(row)
        fate = self.fates.popleft() if self.fates else "settle"
        if fate != "hang":
            self._end(row, settle=fate == "settle")
        if incoming is not None:
            incoming.status, row.fee = "success", 0
        with suppress(TimeoutError):
            await asyncio.wait_for(row.ended.wait(), self.wait_seconds)
        if row.status == "failed":
            return _error(f"Payment failed: {fate}", "failed")
        return web.json_response(_shown(row), status=201)

    def _end(self, row: Row, *, settle: bool) -> None:
        row.status = "success" if settle else "failed"
        if settle:
            preimage = self.payee.take(row.payment_hash, -row.amount)
            row.preimage = preimage if self.gives_preimages else None
            row.fee = -self.fee_msat
            self.balance += row.amount + row.fee
        row.ended.set()

    async def _fee_reserve(self, request: web.Request) -> web.Response:
        """Asked without a key by everybody; a real server takes the internal fee to be that of any other."""
        amount_msat = bolt11.decode(request.query["invoice"]).amount_msat
        assert amount_msat is not None
        return web.json_response({"fee_reserve": self._reserve(amount_msat)})

    async def _payment(self, request: web.Request) -> web.Response:
        """With a key that opens no wallet LNbits searches all of them, and shows no details."""
        wallet = self.keys.get(request.headers.get("X-Api-Key", ""))
        found = [r for r in self._of(request.match_info["hash"]) if wallet is None or r.wallet == wallet]
        if not found:
            return web.json_response({"detail": "Payment does not exist."}, status=404)
        row = min(found, key=lambda r: r.amount)
        body: dict[str, Any] = {"paid": row.status == "success"}
        if row.status == "success":
            body["preimage"] = row.preimage
        else:
            body["status"] = row.status
        if wallet is not None:
            body["details"] = _shown(row)
        return web.json_response(body)

    def _of(self, payment_hash: str) -> list[Row]:
        return [row for row in self.rows if row.payment_hash == payment_hash]

    def _reserve(self, amount_msat: int) -> int:
        return max(self.reserve_least, amount_msat * self.reserve_percent // 100)


@asynccontextmanager
async def lnbits() -> AsyncIterator[Lnbits]:
    fake = Lnbits()
    async with serve(fake.app(), fake.faults) as fake.url:
        yield fake


def _again(old: Row) -> web.Response:
    """`_verify_external_payment`: a hash is paid once or never."""
    if old.status == "pending":
        return _error("Payment is still pending.", "pending")
    if old.status == "success":
        return _error("Payment already paid.", "success")
    return _error("Payment is failed node, retrying is not possible.", "failed")


def _error(detail: str, status: str) -> web.Response:
    return web.json_response({"detail": detail, "status": status}, status=520)


def _shown(row: Row) -> dict[str, Any]:
    return {
        "checking_id": row.payment_hash,
        "payment_hash": row.payment_hash,
        "wallet_id": row.wallet,
        "amount": row.amount,
        "fee": row.fee,
        "bolt11": row.bolt11,
        "status": row.status,
        "preimage": row.preimage,
        "memo": "a verified answer",
        "time": row.time,
        "extra": {},
        "labels": [],
    }
