"""Strike's payouts to bank accounts, a part of the simulated account in `strike.py`: payment methods under review, payouts
that are created, then initiated, then sent by the bank or taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web

from core import clock

MOST_REFERENCE = {"ACH": 10, "US_DOMESTIC_WIRE": 15}


class PayoutRow(msgspec.Struct, kw_only=True):
    id: str
    method: str
    amount: Decimal
    fee: Decimal
    reference: str
    originator: str | None
    state: str = "NEW"


class StrikePayouts:
    """`sent` is what left the account for banks, in dollars by payout. `method_state` is what a new payment method gets.
    `masks` shows account numbers as dots and four digits."""

    def __init__(self, balances: dict[str, Decimal]) -> None:
        self._balances = balances
        self.methods: dict[str, dict[str, Any]] = {}
        self.payouts: dict[str, PayoutRow] = {}
        self.sent: dict[str, Decimal] = {}
        self.method_state = "READY"
        self.originators: dict[str, str] = {}
        self.fee = Decimal("0.00")
        self.masks = False
        self.create_refusals: deque[tuple[int, str]] = deque()
        self.initiate_refusals: deque[tuple[int, str]] = deque()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/payment-methods/bank", self._create_method),
            web.get("/v1/payment-methods/bank", self._methods),
            web.get("/v1/payment-methods/bank/{id}", self._method),
            web.post("/v1/payouts", self._create),
            web.get("/v1/payouts/{id}", self._payout),
            web.patch("/v1/payouts/{id}/initiate", self._initiate),
        ]

    def bank(self, state: str) -> None:
        """What the bank made of everything that was initiated, or of what it had sent: REVERSED."""
        before = "COMPLETED" if state == "REVERSED" else "INITIATED"
        for row in self.payouts.values():
            if row.state == before:
                row.state = state
                if state in ("FAILED", "REVERSED"):
                    self._balances["USD"] += self.sent.pop(row.id)

    async def _create_method(self, request: web.Request) -> web.Response:
        data = await request.json()
        row = {"id": str(uuid4()), "state": self.method_state, "created": clock.iso(clock.now()), **data}
        self.methods[row["id"]] = row
        return web.json_response(self._shown(row), status=201)

    async def _methods(self, request: web.Request) -> web.Response:
        skip, top = int(request.query["$skip"]), int(request.query["$top"])
        shown = [self._shown(row) for row in self.methods.values()]
        return web.json_response({"items": shown[skip : skip + top], "count": len(shown)})

    async def _method(self, request: web.Request) -> web.Response:
        row = self.methods.get(request.match_info["id"])
        return web.json_response(self._shown(row)) if row else error(404, "NOT_FOUND", "Not found.")

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        return row | {"accountNumber": f"••••{row['accountNumber'][-4:]}"} if self.masks else row

    async def _create(self, request: web.Request) -> web.Response:
        if self.create_refusals:
            return error(*self.create_refusals.popleft(), "Refused.")
        data = await request.json()
        method = self.methods[data["paymentMethodId"]]
        if len(data["reference"]) > MOST_REFERENCE[method["transferType"]]:
            return error(400, "INVALID_DATA", "The reference is too long.")
        if method["state"] != "READY":
            return error(422, "PAYMENT_METHOD_NOT_READY", "The payment method is not ready.")
        originator = data.get("originatorId")
        if originator is not None and self.originators.get(originator) != "APPROVED":
            return error(422, "PAYOUT_ORIGINATOR_NOT_APPROVED", "The originator is not approved.")
        row = PayoutRow(
            id=str(uuid4()),
            method=data["paymentMethodId"],
            amount=Decimal(data["amount"]),
            fee=self.fee,
            reference=data["reference"],
            originator=originator,
        )
        self.payouts[row.id] = row
        return web.json_response(_payout(row), status=201)

    async def _initiate(self, request: web.Request) -> web.Response:
        if self.initiate_refusals:
            return error(*self.initiate_refusals.popleft(), "Refused.")
        return self._with(request, self._initiated)

    async def _payout(self, request: web.Request) -> web.Response:
        return self._with(request, lambda row: web.json_response(_payout(row)))

    def _with(self, request: web.Request, then: Callable[[PayoutRow], web.Response]) -> web.Response:
        row = self.payouts.get(request.match_info["id"])
        return then(row) if row else error(404, "NOT_FOUND", "Payout not found.")

    def _initiated(self, row: PayoutRow) -> web.Response:
        if row.state != "NEW":
            return error(422, "PAYOUT_ALREADY_INITIATED", "The payout was initiated before.")
        if self._balances["USD"] < row.amount + row.fee:
            return error(422, "BALANCE_TOO_LOW", "The balance is too low.")
        self._balances["USD"] -= row.amount + row.fee
        self.sent[row.id] = row.amount + row.fee
        row.state = "INITIATED"
        return web.json_response(_payout(row))


def error(status: int, code: str, message: str, values: dict[str, str] | None = None) -> web.Response:
    """Strike's error document (docs.strike.me/api/introduction)."""
    data = {"status": status, "code": code, "message": message, "values": values or {}}
    return web.json_response({"traceId": "0HMPV1OFE04R1:00000002", "data": data}, status=status)


def _payout(row: PayoutRow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row.id,
        "state": row.state,
        "created": clock.iso(clock.now()),
        "paymentMethodId": row.method,
        "amount": {"amount": str(row.amount), "currency": "USD"},
        "fee": {"amount": str(row.fee), "currency": "USD"},
        "feePolicy": "EXCLUSIVE",
        "reference": row.reference,
    }
    return shown if row.originator is None else shown | {"originatorId": row.originator}
