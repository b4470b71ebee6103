"""Core Lightning's clnrest with state, from doc/schemas, common/jsonrpc_errors.h and plugins/rest-plugin of v26.06: 201 for
what worked, an RPC error in the body of a 500, `xpay` and `pay` with their different words for what is paid already, a
command that goes on when its caller hangs up."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from connectors.rails import bolt11
from core import clock
from tests.fakes.own_invoices import OwnInvoice, OwnInvoices
from tests.fakes.payee import Payee, Verdict
from tests.fakes.tls_node import CREDENTIAL, Fault, Reply, Request, TlsNode

FEE_MSAT = 1_234
NODE_ID = "03" + "cd" * 32
PAYING = ("/v1/xpay", "/v1/pay")


class RpcFailure(Exception):
    def __init__(self, code: int, message: str, status: int = 500):
        self.error = {"code": code, "message": message}
        self.status = status


class FakeCln(TlsNode):
    pay_status = 201

    def __init__(self, folder: Path, *, network: str = "regtest", has_xpay: bool = True):
        self.payee = Payee()
        self.own = OwnInvoices()
        self.balance_msat = 100_000_000
        self.network = network
        self.has_xpay = has_xpay
        self.verdicts: deque[Verdict] = deque()
        self.failures: deque[RpcFailure] = deque()  # what the paying command says before it sends anything
        self.fail_code = 205
        self.parts: list[dict[str, Any]] = []
        self._running: set[str] = set()
        self._changed = threading.Condition()
        super().__init__(folder)

    def is_payment(self, request: Request) -> bool:
        return request.path in PAYING

    def is_look_up(self, request: Request) -> bool:
        return request.path == "/v1/listpays"

    def answer(self, request: Request) -> Reply:
        try:
            return Reply(201, iter([msgspec.json.encode(self._call(request))]))
        except RpcFailure as failure:
            return Reply(failure.status, iter([msgspec.json.encode(failure.error)]))

    def paid_before(self, count: int, amount_msat: int) -> list[str]:
        """So many payments that are settled already; their hashes. Each has a first part that failed, and two that
        arrived."""
        texts = [self.payee.invoice(amount_msat) for _ in range(count)]
        hashes = [bolt11.decode(text).payment_hash for text in texts]
        with self._changed:
            for status in ("failed", "complete", "complete"):
                for payment_hash, text in zip(hashes, texts, strict=True):
                    part = self._add(payment_hash, amount_msat // 2, text)
                    part["status"] = status
        return hashes

    def release(self, *, settle: bool) -> None:
        """Decide what is held; a node that was looking for another way finds one, or gives up."""
        with self._changed:
            for payment_hash in list(self._running):
                parts = self._of(payment_hash)
                if settle and parts[-1]["status"] == "failed":
                    parts.append(self._add(payment_hash, parts[-1]["amount_msat"], parts[-1]["bolt11"]))
                if parts[-1]["status"] == "pending":
                    self._end(parts[-1], settle=settle)
                self._running.discard(payment_hash)
            self._changed.notify_all()

    def twist(self, line: bytes, fault: Fault) -> bytes:
        read = msgspec.json.decode(line)
        if fault is Fault.WRONG_HASH and "code" not in read:
            read["payment_hash"] = "77" * 32
        elif fault is Fault.WRONG_PREIMAGE:
            read["payment_preimage"] = "77" * 32
        return msgspec.json.encode(read)

    def _call(self, request: Request) -> Any:
        method, asked = request.path.removeprefix("/v1/"), request.body.get("payment_hash", "")
        if request.credential != CREDENTIAL:
            raise RpcFailure(1502, "Invalid rune: unauthorized", status=401)
        match method:
            case "getinfo":
                return {"id": NODE_ID, "network": self.network, "version": "v26.06.6"}
            case "listpays":
                return {"pays": self._pays(asked)}
            case "listsendpays" if "index" in request.body:
                start, most = request.body["start"], request.body["limit"]
                with self._changed:
                    found = [part for part in self.parts if part["created_index"] >= start]
                    return {"payments": [dict(part) for part in found[:most]]}
            case "listpeerchannels":
                return {"channels": self._channels()}
            case "invoice":
                body = request.body
                made = self.own.make(body["amount_msat"], memo=body["description"], expiry_s=body["expiry"])
                return {"bolt11": made.text, "payment_hash": made.payment_hash, "expires_at": made.ends_s}
            case "listinvoices":
                own = self.own.find(asked)
                return {"invoices": [] if own is None else [_shown(own)]}
            case "listsendpays":
                with self._changed:
                    return {"payments": [dict(part) for part in self._of(asked)]}
            case "xpay" if self.has_xpay:
                return self._pay(request.body["invstring"], request.body["maxfee"], by_xpay=True)
            case "pay":
                return self._pay(request.body["bolt11"], request.body["maxfee"], by_xpay=False)
            case _:
                raise RpcFailure(-32601, f"Unknown command '{method}'", status=404)

    def _pay(self, text: str, max_fee_msat: int, *, by_xpay: bool) -> dict[str, Any]:
        invoice = bolt11.decode(text)
        payment_hash = invoice.payment_hash
        if self.failures:
            raise self.failures.popleft()
        if invoice.expires_at_ms < clock.now_ms():
            raise RpcFailure(207, "Invoice expired")
        with self._changed:
            done = next((part for part in self._of(payment_hash) if part["status"] == "complete"), None)
            if done is not None:
                if by_xpay:
                    raise RpcFailure(219, "Already paid")
                return self._paid(done, by_xpay=False)
            if payment_hash in self._running:
                raise RpcFailure(200, "Payment already in progress")
            self._running.add(payment_hash)
            part = self._add(payment_hash, invoice.amount_msat or 0, text)
            verdict = self.verdicts.popleft() if self.verdicts else Verdict.SETTLE
            if verdict in (Verdict.HOLD, Verdict.RETRY):
                if verdict is Verdict.RETRY:
                    self._end(part, settle=False)
                while payment_hash in self._running and not self.closing.is_set():
                    self._changed.wait(0.05)
                part = self._of(payment_hash)[-1]
            else:
                self._end(part, settle=verdict is Verdict.SETTLE and max_fee_msat >= FEE_MSAT)
                self._running.discard(payment_hash)
        if part["status"] != "complete":
            raise RpcFailure(self.fail_code, "Could not find a route")
        return self._paid(part, by_xpay=by_xpay)

    def _add(self, payment_hash: str, amount_msat: int, text: str) -> dict[str, Any]:
        number = len(self.parts) + 1
        part = {
            "id": number,
            "created_index": number,
            "groupid": 1,
            "partid": number,
            "payment_hash": payment_hash,
            "status": "pending",
            "amount_msat": amount_msat,
            "amount_sent_msat": amount_msat + FEE_MSAT,
            "created_at": clock.unix(),
            "bolt11": text,
        }
        self.parts.append(part)
        return part

    def _end(self, part: dict[str, Any], *, settle: bool) -> None:
        if settle:
            preimage = self.payee.take(part["payment_hash"], part["amount_msat"])
            part.update(status="complete", payment_preimage=preimage, completed_at=clock.unix())
        else:
            part.update(status="failed", completed_at=clock.unix())

    def _channels(self) -> list[dict[str, Any]]:
        """One that can be used, one whose peer is away, one that is being closed."""
        states = (("CHANNELD_NORMAL", True), ("CHANNELD_NORMAL", False), ("CLOSINGD_COMPLETE", True))
        return [
            {"state": state, "peer_connected": there, "spendable_msat": self.balance_msat}
            for state, there in states
        ]

    def _of(self, payment_hash: str) -> list[dict[str, Any]]:
        return [part for part in self.parts if part["payment_hash"] == payment_hash]

    def _pays(self, payment_hash: str) -> list[dict[str, Any]]:
        """The parts of a hash added up, as `listpays` does it."""
        with self._changed:
            parts = self._of(payment_hash)
            if not parts:
                return []
            by_state = {part["status"]: part for part in parts}
            state = next(state for state in ("complete", "pending", "failed") if state in by_state)
            part = by_state[state]
            keys = ("payment_hash", "created_at", "created_index", "bolt11")
            pay = {key: part[key] for key in keys} | {"status": state}
            if state == "complete":
                pay |= {"preimage": part["payment_preimage"], "amount_msat": part["amount_msat"]}
            if state != "pending":
                pay["amount_sent_msat"] = part["amount_sent_msat"]
            return [pay]

    def _paid(self, part: dict[str, Any], *, by_xpay: bool) -> dict[str, Any]:
        paid = {
            "payment_preimage": part["payment_preimage"],
            "amount_msat": part["amount_msat"],
            "amount_sent_msat": part["amount_sent_msat"],
        }
        if by_xpay:
            return paid | {"failed_parts": 0, "successful_parts": 1}
        return paid | {"payment_hash": part["payment_hash"], "status": "complete", "parts": 1}


def _shown(invoice: OwnInvoice) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "label": "hub",
        "bolt11": invoice.text,
        "payment_hash": invoice.payment_hash,
        "amount_msat": invoice.amount_msat,
        "status": "expired" if invoice.over else "unpaid",
        "expires_at": invoice.ends_s,
    }
    if invoice.received_msat:
        shown |= {"status": "paid", "amount_received_msat": invoice.received_msat}
    return shown
