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
from tests.fakes.own_invoices import OwnInvoices
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
        self.own = OwnInvoices()
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
                web.get("/payments/outgoing", self._outgoing),
                web.get("/getbalance", self._balance),
                web.post("/createinvoice", self._create_invoice),
                web.get("/payments/incoming/{hash}", self._incoming),
            ]
        )
        return app

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        """So many payments that are settled already; their hashes."""
        for _ in range(count):
            text = self.payee.invoice(amount_msat)
            record = self._record(text, bolt11.decode(text).payment_hash, amount_msat)
            self.records.append(record)
            self._end(record, "")
        return [record.payment_hash for record in self.records[-count:]]

    def received(self, payment_hash: str, amount_msat: int) -> None:
        self.own.pay(payment_hash, amount_msat)

    def forget(self, payment_hash: str) -> None:
        self.own.forget(payment_hash)

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
        record = self._record(str(form["invoice"]), invoice.payment_hash, amount_msat)
        self.records.append(record)
        fate = self.fates.popleft() if self.fates else "settle"
        if fate != "hang":
            self._end(record, "" if fate == "settle" else fate)
        await record.ended.wait()
        return _sent(record) if record.preimage else _failed(record.payment_hash, record.reason)

    def _record(self, text: str, payment_hash: str, amount_msat: int) -> Record:
        return Record(
            payment_id=secrets.token_hex(16),
            payment_hash=payment_hash,
            invoice=text,
            amount_msat=amount_msat,
            fee_msat=self.fee_base_msat + amount_msat * self.fee_ppm // 1_000_000,
            created_at=clock.now_ms(),
        )

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
        return web.json_response(self._shown(found))

    async def _outgoing(self, request: web.Request) -> web.Response:
        """Newest first; `all` shows what failed too."""
        asked = {key: int(request.query[key]) for key in ("from", "to", "limit", "offset")}
        found = [
            record
            for record in reversed(self.records)
            if asked["from"] <= record.created_at <= asked["to"]
            and (request.query.get("all") == "true" or record.completed_at is None or record.preimage)
        ]
        page = found[asked["offset"] : asked["offset"] + asked["limit"]]
        return web.json_response([self._shown(record) for record in page])

    async def _balance(self, _: web.Request) -> web.Response:
        return web.json_response({"balanceSat": self.balance_msat // 1000, "feeCreditSat": 0})

    async def _create_invoice(self, request: web.Request) -> web.Response:
        form = await request.post()
        text = {key: str(value) for key, value in form.items()}
        if len(text["description"]) > 128:
            return web.Response(status=400, text="Request parameter description is too long")
        made = self.own.make(
            int(text["amountSat"]) * 1000, memo=text["description"], expiry_s=int(text["expirySeconds"])
        )
        body = {"amountSat": int(text["amountSat"]), "paymentHash": made.payment_hash}
        return web.json_response(body | {"serialized": made.text})

    async def _incoming(self, request: web.Request) -> web.Response:
        found = self.own.find(request.match_info["hash"])
        if found is None:
            return web.Response(status=404, text="Not found")
        body = {
            "type": "incoming_payment",
            "subType": "lightning",
            "paymentHash": found.payment_hash,
            "preimage": found.preimage,
            "invoice": found.text,
            "isPaid": found.received_msat > 0,
            "isExpired": found.over,
            "requestedSat": found.amount_msat // 1000,
            "receivedSat": found.received_msat // 1000,
            "fees": 0,
            "expiresAt": found.ends_s * 1000,
            "createdAt": clock.now_ms(),
        }
        return web.json_response(body)

    def _shown(self, found: Record) -> dict[str, Any]:
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
        return {key: value for key, value in body.items() if value is not None}


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
