"""Electrum's daemon with state, as release 4.3.4 behaves (seen in `tests/lightning/test_electrum.py`): errors come with
status 200, an invoice is saved before a way is looked for, and until its first HTLC is out it is paid again when asked."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from connectors.rails import bolt11
from connectors.rails.electrum_rpc import basic
from core import clock
from core.secret import Secret
from tests.fakes.payee import Payee, Verdict
from tests.fakes.tls_node import CREDENTIAL, Fault, Reply, Request, TlsNode

FEE_MSAT = 1_234
NODE_ID = "03" + "ef" * 32
USER = "hub"
UNPAID, EXPIRED, PAID, INFLIGHT, FAILED = 0, 1, 3, 4, 5
ROUTE_SECONDS = 0.02  # to find a way, during which a second call is not refused
CHANNEL = {
    "type": "CHANNEL",
    "state": "OPEN",
    "peer_state": "GOOD",
    "local_balance": 14_000_000,
    "local_reserve": 150_000,
    "local_unsettled_sent": 0,
}


class CommandError(Exception):
    """What the daemon says in `error.message`."""


class FakeElectrum(TlsNode):
    def __init__(self, folder: Path, *, network: str = "regtest"):
        self.payee = Payee()
        self.network = network
        self.version = "4.3.4"
        self.connected = self.synchronized = self.loaded = True
        self.verdicts: deque[Verdict] = deque()
        self.errors: deque[str] = deque()  # what `lnpay` says before it does anything
        self.invoices: dict[str, dict[str, Any]] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = [{"type": "channel_opening", "amount_msat": 15_000_000_000}]
        self.channels: list[dict[str, Any]] = [dict(CHANNEL)]
        self.has_addresses = True
        self._held: set[str] = set()
        self._changed = threading.Condition()
        super().__init__(folder)

    def is_payment(self, request: Request) -> bool:
        return request.body.get("method") == "lnpay"

    def is_look_up(self, request: Request) -> bool:
        return request.body.get("method") == "get_invoice"

    def answer(self, request: Request) -> Reply:
        if request.credential != basic(USER, Secret(CREDENTIAL)).reveal():
            return Reply(403, iter([b"Forbidden"]))
        answer: dict[str, Any] = {"id": request.body["id"], "jsonrpc": "2.0"}
        try:
            answer["result"] = self._call(request.body["method"], request.body["params"])
        except CommandError as error:
            answer["error"] = {"code": 1, "message": str(error)}
        return Reply(200, iter([msgspec.json.encode(answer)]))

    def twist(self, line: bytes, fault: Fault) -> bytes:
        read = msgspec.json.decode(line)
        read["result"]["payment_hash" if fault is Fault.WRONG_HASH else "preimage"] = "77" * 32
        return msgspec.json.encode(read)

    def release(self, *, settle: bool) -> None:
        """Decide what is held."""
        with self._changed:
            for payment_hash in list(self._held):
                self._held.discard(payment_hash)
                self._end(payment_hash, settle=settle)
            self._changed.notify_all()

    def restart(self) -> None:
        """What is not on disk is gone: that an attempt has failed."""
        for invoice in self.invoices.values():
            if invoice["status"] == FAILED:
                invoice["status"] = UNPAID

    def receive(self, payment_hash: str) -> None:
        """Somebody pays an invoice of ours."""
        self.made[payment_hash]["status"] = PAID
        amount = self.made[payment_hash]["amount_msat"]
        self._remember(payment_hash, amount, None, direction=1)

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        if method == "getinfo":
            return {"network": self.network, "version": self.version, "connected": self.connected}
        if not self.loaded or params.get("wallet", "") != "":
            raise CommandError("wallet not loaded")
        match method:
            case "nodeid":
                return f"{NODE_ID}@127.0.0.1:9735"
            case "is_synchronized":
                return self.synchronized
            case "list_channels":
                return self.channels
            case "lightning_history":
                return self.history
            case "list_invoices":
                return list(self.invoices.values())
            case "get_invoice":
                return _found(self.invoices, params["invoice_id"])
            case "get_request":
                return _found(self.made, params["request_id"])
            case "add_request":
                return self._make(params)
            case "lnpay":
                return self._pay(params["invoice"])
            case _:
                raise CommandError(f"attempting to use unregistered method: {method}")

    def _pay(self, text: str) -> dict[str, Any]:
        if self.errors:
            raise CommandError(self.errors.popleft())
        invoice = bolt11.decode(text)
        payment_hash = invoice.payment_hash
        if invoice.expires_at_ms < clock.now_ms():
            raise CommandError("This invoice has expired")
        with self._changed:
            known = self.invoices.get(payment_hash)
            if known is not None and known["status"] == PAID:
                raise CommandError("This invoice has been paid already")
            if payment_hash in self._held:
                raise CommandError("A previous attempt to pay this invoice did not clear")
            self.invoices[payment_hash] = {
                "invoice_id": payment_hash,
                "status": INFLIGHT,
                "timestamp": clock.unix(),
                "amount_msat": invoice.amount_msat,
            }
            self._changed.wait(ROUTE_SECONDS)
            verdict = self.verdicts.popleft() if self.verdicts else Verdict.SETTLE
            if verdict is Verdict.HOLD:
                self._held.add(payment_hash)
                while payment_hash in self._held and not self.closing.is_set():
                    self._changed.wait(0.05)
            else:
                self._end(payment_hash, settle=verdict is Verdict.SETTLE)
            return self._paid(payment_hash)

    def _end(self, payment_hash: str, *, settle: bool) -> None:
        invoice = self.invoices[payment_hash]
        if settle:
            preimage = self.payee.take(payment_hash, invoice["amount_msat"])
            invoice["status"] = PAID
            self._remember(payment_hash, -invoice["amount_msat"] - FEE_MSAT, FEE_MSAT, preimage=preimage)
        else:
            invoice["status"] = FAILED

    def _paid(self, payment_hash: str) -> dict[str, Any]:
        entry = next((one for one in self.history if one.get("payment_hash") == payment_hash), None)
        word = "TEMPORARY_CHANNEL_FAILURE" if entry is None else "Success"
        return {
            "payment_hash": payment_hash,
            "success": entry is not None,
            "preimage": None if entry is None else entry["preimage"],
            "log": [["1", "536x1x0", word]],
        }

    def _remember(
        self, payment_hash: str, amount_msat: int, fee: int | None, *, direction: int = 0, preimage: str = ""
    ) -> None:
        entry = {
            "type": "payment",
            "payment_hash": payment_hash,
            "preimage": preimage,
            "amount_msat": amount_msat,
            "fee_msat": fee,
            "direction": direction,
            "timestamp": clock.unix(),
        }
        self.history.append(entry)

    def _make(self, params: dict[str, Any]) -> dict[str, Any] | bool:
        if not self.has_addresses and not params["force"]:
            return False
        whole, _, part = params["amount"].partition(".")
        amount_msat = (int(whole) * 10**8 + int(part.ljust(8, "0"))) * 1000
        text = self.payee.invoice(amount_msat)
        decoded = bolt11.decode(text)
        self.made[decoded.payment_hash] = {
            "rhash": decoded.payment_hash,
            "lightning_invoice": text,
            "status": UNPAID,
            "expiration": clock.unix() + params["expiration"],
            "amount_msat": amount_msat,
        }
        return self.made[decoded.payment_hash]


def _found(things: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    if key not in things:
        raise CommandError("Request not found")
    return things[key]
