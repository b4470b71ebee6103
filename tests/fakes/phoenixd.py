"""A simulated phoenixd with state, written from its published API (phoenix.acinq.co/server/api, ACINQ/phoenixd `Api.kt`
and `JsonSerializers.kt`, Apache-2.0, read as an interface): form-encoded payments, plain-text errors, records by hash."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from connectors.rails import bolt11
from core import clock
from tests.fakes.wallet_faults import Faults, Payee, serve

PASSWORD = "8d4f21a1c7"
UNKNOWN_ENDPOINT = "Unknown endpoint (check api doc)"


class Record(msgspec.Struct, kw_only=True):
    """One outgoing payment. `ended` is set with success and with failure alike."""

    payment_id: str
    payment_hash: str
    invoice: str
    amount_msat: int
    fee_msat: int
    created_at: int
    completed_at: int | None = None
    preimage: str | None = None
    reason: str = ""
    ended: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class Phoenixd:
    """`world` is the node; `payee` whoever it pays. `fates` of the next payments: "settle" (default), "hang", or the
    reason of a failure. `early` answers as the first releases did."""

    def __init__(self) -> None:
        self.url = ""
        self.payee = Payee()
        self.faults = Faults(self.payee, lambda request: request.path == "/payinvoice")
        self.records: list[Record] = []
        self.fates: deque[str] = deque()
        self.balance_msat = 100_000_000
        self.fee_base_msat, self.fee_ppm = 1_000, 4_001
        self.password = PASSWORD
        self.early = False
        self.knows_by_hash = True

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware, self._guard])
        app.add_routes(
            [
                web.post("/payinvoice", self._pay_invoice),
                web.get("/payments/outgoingbyhash/{hash}", self._by_hash),
            ]
        )
        return app

    def release(self, *, settle: bool) -> None:
        """Let every payment in flight end."""
        for record in self.records:
            if record.completed_at is None:
                self._end(record, "" if settle else "the recipient rejected the payment")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = base64.b64decode(token).decode().partition(":")[2] if scheme == "Basic" else ""
        if given != self.password:
            text = "Invalid authentication (use basic auth with the http password set in phoenix.conf)"
            return web.Response(status=401, text=text)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text=UNKNOWN_ENDPOINT)

    async def _pay_invoice(self, request: web.Request) -> web.Response:
        if request.content_type != "application/x-www-form-urlencoded":
            return web.Response(status=400, text="Missing parameter: invoice")
        form = await request.post()
        try:
            invoice = bolt11.decode(str(form.get("invoice", "")))
        except ValueError:
            return web.Response(
                status=400, text="Parameter invoice has an invalid value (expected bolt11invoice)"
            )
        override = form.get("amountSat")
        amount_msat = int(str(override)) * 1000 if override else invoice.amount_msat
        assert amount_msat is not None
        refusal = self._refusal(invoice, amount_msat)
        if refusal:
            return _failed(invoice.payment_hash, refusal)
        record = Record(
            payment_id=secrets.token_hex(16),
            payment_hash=invoice.payment_hash,
            invoice=str(form["invoice"]),
            amount_msat=amount_msat,
            fee_msat=self.fee_base_msat + amount_msat * self.fee_ppm // 1_000_000,
            created_at=clock.now_ms(),
        )
        self.records.append(record)
        fate = self.fates.popleft() if self.fates else "settle"
        if fate != "hang":
            self._end(record, "" if fate == "settle" else fate)
        await record.ended.wait()
        return _sent(record) if record.preimage else _failed(record.payment_hash, record.reason)

    def _refusal(self, invoice: bolt11.DecodedInvoice, amount_msat: int) -> str:
        """lightning-kmp's FinalFailure, in its order: an ended failure may be sent again, nothing else."""
        same = [record for record in self.records if record.payment_hash == invoice.payment_hash]
        if any(record.preimage for record in same):
            return "this invoice has already been paid"
        if any(record.completed_at is None for record in same):
            return "another payment is in progress for that invoice"
        if amount_msat > self.balance_msat:
            return "not enough funds in wallet to afford payment"
        return ""

    def _end(self, record: Record, reason: str) -> None:
        record.completed_at = clock.now_ms()
        record.reason = reason
        if not reason:
            record.preimage = self.payee.take(record.payment_hash, record.amount_msat)
            self.balance_msat -= record.amount_msat + record.fee_msat
        record.ended.set()

    async def _by_hash(self, request: web.Request) -> web.Response:
        if not self.knows_by_hash:
            return web.Response(status=404, text=UNKNOWN_ENDPOINT)
        wanted = request.match_info["hash"]
        if len(wanted) != 64:
            return web.Response(
                status=400, text="Parameter paymentHash has an invalid value (expected hex32)"
            )
        found = next((record for record in self.records if record.payment_hash == wanted), None)
        if found is None:
            return web.Response(status=404, text="Not found")
        ended = found.completed_at is not None
        body = {
            "type": "outgoing_payment",
            "paymentId": found.payment_id,
            "paymentHash": found.payment_hash,
            "preimage": found.preimage,
            "isPaid": ended if self.early else found.preimage is not None,
            "sent": (found.amount_msat + found.fee_msat) // 1000,
            "fees": found.fee_msat if found.preimage else 0,
            "invoice": found.invoice,
            "completedAt": found.completed_at,
            "createdAt": found.created_at,
        }
        # `explicitNulls = false`: what is not known is not there.
        return web.json_response({key: value for key, value in body.items() if value is not None})


@asynccontextmanager
async def phoenixd() -> AsyncIterator[Phoenixd]:
    fake = Phoenixd()
    async with serve(fake.app(), fake.faults) as fake.url:
        try:
            yield fake
        finally:
            fake.release(settle=False)


def _sent(record: Record) -> web.Response:
    return web.json_response(
        {
            "recipientAmountSat": record.amount_msat // 1000,
            "routingFeeSat": record.fee_msat // 1000,
            "paymentId": record.payment_id,
            "paymentHash": record.payment_hash,
            "paymentPreimage": record.preimage,
        }
    )


def _failed(payment_hash: str, reason: str) -> web.Response:
    return web.json_response({"paymentHash": payment_hash, "reason": reason})
