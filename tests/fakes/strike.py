"""A simulated Strike account with state, written from the published interface (docs.strike.me/api, read 2026-11): quotes by
idempotency key, payments, balances, error documents. `GET /v1/payments` is not published; `listing` has its forms.
Payouts to banks are in `strike_payouts.py`. No live account was asked: what this says beyond those pages is inferred."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.rails import bolt11
from core import clock
from core.money import MSAT_PER_BTC
from tests.fakes.strike_payouts import StrikePayouts, error
from tests.fakes.wallet_faults import Faults, Payee, serve

API_KEY = "F4C0FFEE" * 8
USD_PER_BTC = Decimal("67000.00")
PLACES = {"BTC": Decimal("0.00000001"), "USD": Decimal("0.01")}


class QuoteRow(msgspec.Struct, kw_only=True):
    id: str
    invoice: str
    payment_hash: str
    amount_msat: int
    currency: str
    amount: Decimal
    fee: Decimal
    valid_until_ms: int


class PaymentRow(msgspec.Struct, kw_only=True):
    id: str
    quote: QuoteRow
    state: str
    created_ms: int
    preimage: str | None = None


class Strike:
    """`fates` of the next executions: "settle" (default), "hang" (PENDING until `release`) or "fail". `refusals` of the next
    quotes and executions: (status, code), answered before anything is done. `listing`: "items", "array", "nameless"
    (payments do not name their invoice), "absent" (404) or "hidden" (payments in flight are left out)."""

    def __init__(self) -> None:
        self.url = ""
        self.payee = Payee()
        self.faults = Faults(self.payee, lambda request: request.method == "PATCH")
        self.fates: deque[str] = deque()
        self.quote_refusals: deque[tuple[int, str]] = deque()
        self.execute_refusals: deque[tuple[int, str]] = deque()
        self.listing = "items"
        self.page_most = 100
        self.ignores_skip = False
        self.overcharge = Decimal(0)
        self.gives_preimages = True
        self.balances = {"USD": Decimal("1000.00"), "BTC": Decimal("0.05000000")}
        self.fees = {"USD": Decimal("0.00"), "BTC": Decimal("0.00000001")}
        self.quote_seconds = 60
        self.requests_left: int | None = None
        self.retry_after: str | None = "7"
        self.quotes: dict[str, QuoteRow] = {}
        self.keys: dict[str, str] = {}
        self.payments: dict[str, PaymentRow] = {}
        self.payouts = StrikePayouts(self.balances)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware, self._guard])
        app.add_routes(
            [
                web.post("/v1/payment-quotes/lightning", self._quote),
                web.patch("/v1/payment-quotes/{id}/execute", self._execute),
                web.get("/v1/payments/{id}", self._payment),
                web.get("/v1/payments", self._list),
                web.get("/v1/balances", self._balances),
                web.get("/v1/rates/ticker", self._ticker),
                *self.payouts.routes(),
            ]
        )
        return app

    def release(self, *, settle: bool) -> None:
        """Let every payment in flight end."""
        for row in self.payments.values():
            if row.state == "PENDING":
                self._end(row, settle=settle)

    def executions(self) -> int:
        return sum(request.endswith("/execute") for request in self.faults.requests)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.requests_left is not None:
            if self.requests_left <= 0:
                response = error(429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded.")
                if self.retry_after is not None:
                    response.headers["Retry-After"] = self.retry_after
                return response
            self.requests_left -= 1
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return error(401, "UNAUTHORIZED", "Unauthorized.")
        return await handler(request)

    async def _quote(self, request: web.Request) -> web.Response:
        if self.quote_refusals:
            return error(*self.quote_refusals.popleft(), "Refused.")
        data, key = await request.json(), request.headers["idempotency-key"]
        assert key[14] == "4"
        if key in self.keys:
            return error(
                422, "DUPLICATE_PAYMENT_QUOTE", "Duplicate quote.", {"paymentQuoteId": self.keys[key]}
            )
        try:
            invoice = bolt11.decode(data["lnInvoice"])
        except ValueError:
            return error(422, "INVALID_LN_INVOICE", "Invalid invoice.")
        if self._paid(invoice.payment_hash):
            return error(422, "LN_INVOICE_PROCESSED", "Invoice already processed.")
        assert invoice.amount_msat is not None
        currency = data["sourceCurrency"]
        btc = Decimal(invoice.amount_msat) / MSAT_PER_BTC + self.overcharge
        row = QuoteRow(
            id=str(uuid4()),
            invoice=data["lnInvoice"],
            payment_hash=invoice.payment_hash,
            amount_msat=invoice.amount_msat,
            currency=currency,
            amount=(btc if currency == "BTC" else btc * USD_PER_BTC).quantize(
                PLACES[currency], ROUND_HALF_UP
            ),
            fee=self.fees[currency],
            valid_until_ms=clock.now_ms() + self.quote_seconds * 1000,
        )
        self.quotes[row.id], self.keys[key] = row, row.id
        until = clock.iso(clock.from_ms(row.valid_until_ms)).replace("Z", "4567+00:00")
        return web.json_response({"paymentQuoteId": row.id, "validUntil": until, **_amounts(row)}, status=201)

    async def _execute(self, request: web.Request) -> web.Response:
        assert not await request.read()
        if self.execute_refusals:
            return error(*self.execute_refusals.popleft(), "Refused.")
        quote = self.quotes.get(request.match_info["id"])
        if quote is None:
            return error(404, "NOT_FOUND", "Payment quote not found.")
        refusal = self._refusal(quote)
        if refusal is not None:
            return error(422, refusal, "The quote was not executed.")
        row = PaymentRow(id=str(uuid4()), quote=quote, state="PENDING", created_ms=clock.now_ms())
        self.payments[row.id] = row
        self.balances[quote.currency] -= quote.amount + quote.fee
        fate = self.fates.popleft() if self.fates else "settle"
        if fate != "hang":
            self._end(row, settle=fate == "settle")
        return web.json_response(self._shown(row), status=202 if row.state == "PENDING" else 200)

    def _refusal(self, quote: QuoteRow) -> str | None:
        mine = next((row for row in self.payments.values() if row.quote.id == quote.id), None)
        if mine is not None:
            return "PROCESSING_PAYMENT" if mine.state == "PENDING" else "PAYMENT_PROCESSED"
        if self._paid(quote.payment_hash):
            return "LN_INVOICE_PROCESSED"
        if quote.valid_until_ms <= clock.now_ms():
            return "PAYMENT_QUOTE_EXPIRED"
        if bolt11.decode(quote.invoice).expires_at_ms <= clock.now_ms():
            return "INVALID_LN_INVOICE"
        return "BALANCE_TOO_LOW" if self.balances[quote.currency] < quote.amount + quote.fee else None

    def _paid(self, payment_hash: str) -> bool:
        return any(
            row.quote.payment_hash == payment_hash and row.state != "FAILED" for row in self.payments.values()
        )

    def _end(self, row: PaymentRow, *, settle: bool) -> None:
        row.state = "COMPLETED" if settle else "FAILED"
        if settle:
            row.preimage = self.payee.take(row.quote.payment_hash, row.quote.amount_msat)
        else:
            self.balances[row.quote.currency] += row.quote.amount + row.quote.fee

    async def _payment(self, request: web.Request) -> web.Response:
        row = self.payments.get(request.match_info["id"])
        if row is None:
            return error(404, "NOT_FOUND", "Payment not found.")
        return web.json_response(self._shown(row))

    async def _list(self, request: web.Request) -> web.Response:
        if self.listing == "absent":
            return error(404, "NOT_FOUND", "Not found.")
        rows = [row for row in self.payments.values() if self.listing != "hidden" or row.state != "PENDING"]
        skip, top = (
            0 if self.ignores_skip else int(request.query["$skip"]),
            min(int(request.query["$top"]), self.page_most),
        )
        shown = [self._in_list(row) for row in rows[::-1][skip : skip + top]]
        return web.json_response(
            shown
            if self.listing == "array"
            else {"items": shown, "count": len(rows), "isCountUnknown": False}
        )

    def _in_list(self, row: PaymentRow) -> dict[str, Any]:
        shown: dict[str, Any] = self._shown(row) | {"created": clock.iso(clock.from_ms(row.created_ms))}
        shown["lightning"] |= {"paymentHash": row.quote.payment_hash}
        if self.listing == "nameless":
            shown["lightning"] = {"networkFee": shown["lightning"]["networkFee"]}
        return shown

    def _shown(self, row: PaymentRow) -> dict[str, Any]:
        fee = _money(row.quote.fee, row.quote.currency)
        lightning: dict[str, Any] = {"networkFee": fee}
        if self.gives_preimages and row.preimage is not None:
            lightning["preImage"] = row.preimage
        ended = {} if row.state == "PENDING" else {"completed": clock.iso(clock.from_ms(row.created_ms))}
        shown: dict[str, Any] = {
            "paymentId": row.id,
            "state": row.state,
            "result": {"PENDING": "PENDING", "COMPLETED": "SUCCESS", "FAILED": "FAILURE"}[row.state],
            **ended,
            **_amounts(row.quote),
            "lightning": lightning,
        }
        return shown

    async def _balances(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {"currency": currency, "outgoing": "0", "available": str(amount), "total": str(amount)}
                for currency, amount in self.balances.items()
            ]
        )

    async def _ticker(self, _: web.Request) -> web.Response:
        return web.json_response([_RATE | {"sourceCurrency": "EUR"}, _RATE])


_RATE = {"amount": str(USD_PER_BTC), "sourceCurrency": "BTC", "targetCurrency": "USD"}


@asynccontextmanager
async def strike() -> AsyncIterator[Strike]:
    fake = Strike()
    async with serve(fake.app(), fake.faults) as fake.url:
        yield fake


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"amount": format(amount, "f"), "currency": currency}


def _amounts(quote: QuoteRow) -> dict[str, Any]:
    converted = {} if quote.currency == "BTC" else {"conversionRate": _RATE}
    return converted | {
        "amount": _money(quote.amount, quote.currency),
        "totalFee": _money(quote.fee, quote.currency),
        "lightningNetworkFee": _money(quote.fee, quote.currency),
        "totalAmount": _money(quote.amount + quote.fee, quote.currency),
    }
