"""A Lightning node for the crash matrix, in a process of its own: lnd's REST dialect and a Lightning address over the file
of the sandbox. What it does is on disk before it answers, so it can be killed and started again; the file is the oracle."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from connectors.rails import bolt11, sandbox_book
from connectors.rails.sandbox import FILE_NAME
from connectors.rails.sandbox_book import Fault, PaymentRecord
from connectors.rails.sandbox_file import SandboxFile
from connectors.rails.sandbox_wallets import EXPIRY_S, SandboxWallets
from core import clock
from core.payouts.rail import Outcome

FEE_MSAT = 1_000
BALANCE_MSAT = 10**12
POLL_S = 0.05
STATUS = {Outcome.SETTLED: "SUCCEEDED", Outcome.FAILED: "FAILED", Outcome.IN_FLIGHT: "IN_FLIGHT"}


class Node:
    """Refuses a hash that it has paid or is paying, as lnd does, and goes on with a payment whose caller hung up."""

    def __init__(self, folder: Path, invoice_seconds: int):
        self.older_s = (
            EXPIRY_S - invoice_seconds
        )  # an invoice made so long ago has as long to live as was asked
        self.file = SandboxFile(folder / FILE_NAME)
        self.wallets = SandboxWallets(folder / FILE_NAME)

    def application(self) -> web.Application:
        made = web.Application()
        made.add_routes(
            [
                web.get("/v1/getinfo", self._info),
                web.get("/v1/balance/channels", self._balance),
                web.post("/v2/router/send", self._send),
                web.get("/v2/router/track/{hash}", self._track),
                web.get("/.well-known/lnurlp/{name}", self._address),
                web.get("/.well-known/lnurlp/{name}/callback", self._invoice),
            ]
        )
        return made

    async def _info(self, request: web.Request) -> web.StreamResponse:
        chains = [{"chain": "bitcoin", "network": "regtest"}]
        return web.json_response({"identity_pubkey": self.file.node_id, "chains": chains})

    async def _balance(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"local_balance": {"msat": str(BALANCE_MSAT)}})

    async def _send(self, request: web.Request) -> web.StreamResponse:
        asked = msgspec.json.decode(await request.read())  # a request that is cut off never comes this far
        invoice = bolt11.decode(asked["payment_request"])
        refused = self._begin(invoice, asked["payment_request"], int(asked["fee_limit_msat"]))
        return refused or await self._stream(request, invoice.payment_hash)

    async def _track(self, request: web.Request) -> web.StreamResponse:
        payment_hash = base64.urlsafe_b64decode(request.match_info["hash"]).hex()
        if self._find(payment_hash) is None:
            return _error(404, 5, "payment isn't initiated")
        return await self._stream(request, payment_hash)

    async def _stream(self, request: web.Request, payment_hash: str) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        last: Outcome | None = None
        while last in (None, Outcome.IN_FLIGHT):
            found = self._find(payment_hash)
            assert found is not None
            if found.state is not last:
                last = found.state
                await answer.write(_line(found))
            await asyncio.sleep(POLL_S)
        await answer.write_eof()
        return answer

    async def _address(self, request: web.Request) -> web.StreamResponse:
        base = f"http://{request.host}"
        return web.json_response(self.wallets.lnurlp(request.match_info["name"], base))

    async def _invoice(self, request: web.Request) -> web.StreamResponse:
        name, amount = request.match_info["name"], int(request.query["amount"])
        text = await self.wallets.invoice(name, amount, made_at_s=clock.unix() - self.older_s)
        return web.json_response({"pr": text, "routes": []})

    def _begin(self, invoice: bolt11.DecodedInvoice, text: str, fee_limit: int) -> web.Response | None:
        now_ms = clock.now_ms()
        with self.file.write() as db:
            sandbox_book.decide_due(db, now_ms)
            seen = sandbox_book.find(db, invoice.payment_hash)
            if seen is not None and seen.state is Outcome.SETTLED:
                return _error(409, 6, "invoice is already paid")
            if seen is not None and seen.state is Outcome.IN_FLIGHT:
                return _error(409, 6, "payment is in transition")
            if invoice.expires_at_ms < now_ms:
                return _error(500, 2, "invoice expired. Valid until then")
            script = sandbox_book.next_fault(db, look_up=False)
            if script is not None:
                sandbox_book.take_fault(db, script)
            fails = fee_limit < FEE_MSAT or (script is not None and script.kind is Fault.FAIL)
            held = script is not None and script.kind is Fault.HANG
            assert invoice.amount_msat is not None
            sandbox_book.put_in_flight(
                db,
                payment_hash=invoice.payment_hash,
                bolt11=text,
                amount_msat=invoice.amount_msat,
                fee_msat=FEE_MSAT,
                now_ms=now_ms,
                due_at_ms=None if held else now_ms + (script.after_ms if script else 0),
                verdict=Outcome.FAILED if fails else Outcome.SETTLED,
                reason="no route" if fails else None,
            )
        return None

    def _find(self, payment_hash: str) -> PaymentRecord | None:
        with self.file.write() as db:
            sandbox_book.decide_due(db, clock.now_ms())
            return sandbox_book.find(db, payment_hash)


def _line(found: PaymentRecord) -> bytes:
    htlc = {Outcome.SETTLED: "SUCCEEDED", Outcome.FAILED: "FAILED"}.get(found.state, "IN_FLIGHT")
    payment: dict[str, Any] = {
        "payment_hash": found.payment_hash,
        "status": STATUS[found.state],
        "payment_preimage": found.preimage or "00" * 32,
        "fee_msat": str(found.fee_msat) if found.state is Outcome.SETTLED else "0",
        "failure_reason": "FAILURE_REASON_NO_ROUTE" if found.state is Outcome.FAILED else "",
        "htlcs": [{"status": htlc}],
    }
    return msgspec.json.encode({"result": payment}) + b"\n"


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "details": []}}, status=status)


async def serve(folder: Path, socket: Path, invoice_seconds: int) -> None:
    """Until killed."""
    runner = web.AppRunner(
        Node(folder, invoice_seconds).application(), handler_cancellation=True, access_log=None
    )
    await runner.setup()
    socket.unlink(missing_ok=True)  # of the life before
    await web.UnixSite(runner, str(socket)).start()
    await asyncio.Event().wait()
