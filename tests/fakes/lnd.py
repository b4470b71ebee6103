"""lnd v0.21's REST side with state, from lnrpc/lightning.proto, routerrpc/router.proto and payments/db: a payment is
written down before it is sent, a hash is refused twice unless it failed, sending goes on when the caller hangs up."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from connectors.rails import bolt11
from core import clock
from tests.fakes.own_invoices import OwnInvoice, OwnInvoices
from tests.fakes.payee import Payee, Verdict
from tests.fakes.tls_node import CREDENTIAL, Fault, Reply, Request, TlsNode

FEE_MSAT = 1_234
NODE_ID = "02" + "ab" * 32
SEND, TRACK, INFO = "/v2/router/send", "/v2/router/track/", "/v1/getinfo"
BALANCE, PAYMENTS = "/v1/balance/channels", "/v1/payments?"
ADD_INVOICE, INVOICE = "/v1/invoices", "/v1/invoice/"


def grpc_error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "details": []}


class FakeLnd(TlsNode):
    def __init__(self, folder: Path, *, network: str = "regtest"):
        self.payee = Payee()
        self.own = OwnInvoices()
        self.balance_msat = 100_000_000
        self.network = network
        self.verdicts: deque[Verdict] = deque()
        self.refusals: deque[dict[str, Any]] = deque()  # errors that `send` answers before it begins
        self.payments: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        super().__init__(folder)

    def is_payment(self, request: Request) -> bool:
        return request.path == SEND

    def is_look_up(self, request: Request) -> bool:
        return request.path.startswith(TRACK)

    def answer(self, request: Request) -> Reply:
        if request.credential != CREDENTIAL:
            return _refuse(
                500, grpc_error(2, "verification failed: signature mismatch after caveat verification")
            )
        if request.path == INFO:
            info = {
                "identity_pubkey": NODE_ID,
                "synced_to_chain": True,
                "chains": [{"chain": "bitcoin", "network": self.network}],
            }
            return Reply(200, iter([msgspec.json.encode(info)]))
        if request.path == SEND:
            return self._send(request.body)
        if request.path.startswith(TRACK):
            return self._track(request.path.removeprefix(TRACK))
        return self._account(request)

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        """So many payments that are settled already; their hashes."""
        invoices = [bolt11.decode(self.payee.invoice(amount_msat)) for _ in range(count)]
        with self._changed:
            for invoice in invoices:
                self._begin(invoice, FEE_MSAT)
        return [invoice.payment_hash for invoice in invoices]

    def release(self, *, settle: bool) -> None:
        with self._changed:
            for payment in self.payments.values():
                if payment["status"] == "IN_FLIGHT":
                    self._end(payment, settle=settle)
            self._changed.notify_all()

    def twist(self, line: bytes, fault: Fault) -> bytes:
        read = msgspec.json.decode(line)
        key = "payment_hash" if fault is Fault.WRONG_HASH else "payment_preimage"
        read["result"][key] = "77" * 32
        return msgspec.json.encode(read) + b"\n"

    def _send(self, body: dict[str, Any]) -> Reply:
        if self.refusals:
            return _refuse(500, self.refusals.popleft(), stream=True)
        invoice = bolt11.decode(body["payment_request"])
        if invoice.expires_at_ms < clock.now_ms():
            return _refuse(500, grpc_error(2, "invoice expired. Valid until then"), stream=True)
        with self._changed:
            known = self.payments.get(invoice.payment_hash)
            if known is not None and known["status"] == "SUCCEEDED":
                return _refuse(409, grpc_error(6, "invoice is already paid"), stream=True)
            if known is not None and known["status"] == "IN_FLIGHT":
                return _refuse(409, grpc_error(6, "payment is in transition"), stream=True)
            payment = self._begin(invoice, int(body["fee_limit_msat"]))
        return Reply(200, self._watch(payment))

    def _begin(self, invoice: bolt11.DecodedInvoice, fee_limit_msat: int) -> dict[str, Any]:
        payment = {
            "payment_hash": invoice.payment_hash,
            "value_msat": str(invoice.amount_msat),
            "status": "IN_FLIGHT",
            "payment_preimage": "00" * 32,
            "fee_msat": "0",
            "failure_reason": "FAILURE_REASON_NONE",
            "htlcs": [{"status": "IN_FLIGHT", "attempt_id": "1"}],
            "payment_index": str(len(self.payments) + 1),
            "creation_time_ns": str(clock.now_ms() * 1_000_000),
        }
        self.payments[invoice.payment_hash] = payment
        verdict = self.verdicts.popleft() if self.verdicts else Verdict.SETTLE
        if verdict is not Verdict.HOLD:
            self._end(payment, settle=verdict is Verdict.SETTLE and fee_limit_msat >= FEE_MSAT)
        return payment

    def _end(self, payment: dict[str, Any], *, settle: bool) -> None:
        if settle:
            preimage = self.payee.take(payment["payment_hash"], int(payment["value_msat"]))
            payment.update(
                status="SUCCEEDED",
                payment_preimage=preimage,
                fee_msat=str(FEE_MSAT),
                htlcs=[{"status": "SUCCEEDED"}],
            )
        else:
            payment.update(
                status="FAILED", failure_reason="FAILURE_REASON_NO_ROUTE", htlcs=[{"status": "FAILED"}]
            )

    def _watch(self, payment: dict[str, Any]) -> Iterator[bytes]:
        """The state now, then each change, to the end; or until the caller has had enough."""
        while True:
            with self._changed:
                line, over = _line(payment), payment["status"] != "IN_FLIGHT"
            yield line
            if over:
                return
            with self._changed:
                while payment["status"] == "IN_FLIGHT" and not self.closing.is_set():
                    self._changed.wait(0.05)
            if self.closing.is_set():
                return

    def _account(self, request: Request) -> Reply:
        """Everything that is no payment: lnrpc's own paths."""
        if request.path == BALANCE:
            said: Any = {
                "balance": str(self.balance_msat // 1000),
                "local_balance": {"sat": str(self.balance_msat // 1000), "msat": str(self.balance_msat)},
            }
        elif request.path.startswith(PAYMENTS):
            said = self._page(parse_qs(urlsplit(request.path).query))
        elif request.path == ADD_INVOICE and request.method == "POST":
            body = request.body
            made = self.own.make(int(body["value_msat"]), memo=body["memo"], expiry_s=int(body["expiry"]))
            said = {"r_hash": _shown(made)["r_hash"], "payment_request": made.text, "add_index": "1"}
        elif request.path.startswith(INVOICE):
            found = self.own.find(request.path.removeprefix(INVOICE))
            if found is None:
                return _refuse(404, grpc_error(5, "unable to locate invoice"))
            said = _shown(found)
        else:
            return _refuse(404, grpc_error(5, "Not Found"))
        return Reply(200, iter([msgspec.json.encode(said)]))

    def _page(self, asked: dict[str, list[str]]) -> dict[str, Any]:
        """`index_offset` is exclusive, `creation_date_start` inclusive, in seconds; 0 is the offset of an empty page."""
        after, most, since = (
            int(asked[key][0]) for key in ("index_offset", "max_payments", "creation_date_start")
        )
        with self._changed:
            known = sorted(self.payments.values(), key=lambda one: int(one["payment_index"]))
            wanted = [
                one
                for one in known
                if int(one["payment_index"]) > after
                and int(one["creation_time_ns"]) // 1_000_000_000 >= since
                and (asked["include_incomplete"] == ["true"] or one["status"] == "SUCCEEDED")
            ]
            page = [dict(one) for one in wanted[:most]]
        last = page[-1]["payment_index"] if page else "0"
        return {"payments": page, "first_index_offset": "0", "last_index_offset": last}

    def _track(self, text: str) -> Reply:
        payment = self.payments.get(base64.b64decode(text, altchars=b"-_", validate=True).hex())
        if payment is None:
            return _refuse(404, grpc_error(5, "payment isn't initiated"), stream=True)
        return Reply(200, self._watch(payment))


def _shown(invoice: OwnInvoice) -> dict[str, Any]:
    state = "SETTLED" if invoice.received_msat else "CANCELED" if invoice.over else "OPEN"
    return {
        "memo": "",
        "r_hash": base64.b64encode(bytes.fromhex(invoice.payment_hash)).decode(),
        "value_msat": str(invoice.amount_msat),
        "payment_request": invoice.text,
        "state": state,
        "amt_paid_msat": str(invoice.received_msat),
    }


def _line(payment: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"result": payment}) + b"\n"


def _refuse(status: int, error: dict[str, Any], *, stream: bool = False) -> Reply:
    return Reply(status, iter([msgspec.json.encode({"error": error} if stream else error)]))
