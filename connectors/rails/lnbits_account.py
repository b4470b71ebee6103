"""A wallet on LNbits beside its payments: the balance, the history, invoices of our own. Used by `lnbits.py` alone. Written
from the API of the release 1.6 (lnbits/lnbits, MIT, read as an interface): amounts in msat, negative when they leave."""

from __future__ import annotations

import datetime
from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from connectors.calls import NoAnswer, NotSent
from connectors.rails import bolt11
from connectors.rails.incoming import own_invoice, read, trouble, whole_sats
from connectors.rails.wallet_http import LOOK_UP_SECONDS, MAX_PAGE, Reply, call
from core import clock
from core.payouts.rail import Invoice, Outcome, Recorded

PAGE = 100  # LNbits gives ten unless asked, a thousand at most
# LNbits hears of a payment from its funding source, which may be away for some time.
LATE_MS = 3_600_000
_OUTCOMES = {"success": Outcome.SETTLED, "pending": Outcome.IN_FLIGHT, "failed": Outcome.FAILED}

FormT = TypeVar("FormT")


class _Wallet(msgspec.Struct, frozen=True):
    balance: int


class _Payment(msgspec.Struct, frozen=True):
    payment_hash: str
    amount: int
    checking_id: str = ""
    fee: int = 0
    status: str = ""
    bolt11: str = ""
    time: str = ""  # ISO 8601; UTC where no zone is said


class _Shown(msgspec.Struct, frozen=True):
    """`GET /api/v1/payments/{hash}`; `details` only for the key of the wallet that it belongs to."""

    paid: bool
    details: _Payment | None = None


class LnbitsAccount:
    def __init__(self, api: str, headers: Mapping[str, str], network: str):
        self._api = api  # …/api/v1
        self._headers = headers
        self._network = network

    async def balance_msat(self) -> int:
        """See `Funded`. LNbits also holds its fee reserve back from it when it pays."""
        return max((await self._get("/wallet", _Wallet)).balance, 0)

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`. Newest first: what is paid meanwhile moves a row to the next page, where it is seen a second
        time, and hides none. `at_ms` is when it was made."""
        seen: set[str] = set()
        offset = 0
        while True:
            query = urlencode({"limit": PAGE, "offset": offset, "sortby": "time", "direction": "desc"})
            page = await self._get(f"/payments?{query}", list[_Payment])
            offset += len(page)
            for one in page:
                at_ms = _at_ms(one.time)
                if at_ms < since_ms:
                    return
                if one.amount < 0 and one.payment_hash not in seen:
                    seen.add(one.payment_hash)
                    yield _recorded(one, at_ms)
            if not page:
                return

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`. Whole satoshis only."""
        body = {
            "out": False,
            "amount": whole_sats("LNbits", amount_msat),
            "unit": "sat",
            "memo": memo,
            "expiry": expires_seconds,
        }
        made = _taken(await self._call("POST", "/payments", json=body), _Payment)
        return own_invoice(
            made.bolt11,
            rail="LNbits",
            network=self._network,
            amount_msat=amount_msat,
            payment_hash=made.payment_hash.lower(),
        )

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`. Of this wallet alone: a record without details may be somebody else's."""
        reply = await self._call("GET", f"/payments/{payment_hash.lower()}")
        # 404 is also "Wallet not found." (a wrong key), and what a proxy says of a path it does not know.
        if reply.status == 404 and reply.body.get("detail") == "Payment does not exist.":
            return None
        shown = _taken(reply, _Shown)
        row = shown.details
        if row is None or row.payment_hash.lower() != payment_hash.lower() or row.amount <= 0:
            raise trouble("LNbits", "it does not show an incoming payment of this hash in full")
        if row.status not in _OUTCOMES or shown.paid != (row.status == "success"):
            raise trouble("LNbits", "its record says neither success, pending nor failed")
        if shown.paid:
            return row.amount
        try:
            ends_ms = bolt11.decode(row.bolt11).expires_at_ms
        except ValueError as error:
            raise trouble("LNbits", "its record of an invoice cannot be read") from error
        return 0 if clock.now_ms() <= ends_ms + LATE_MS else None

    async def _get(self, path: str, form: type[FormT]) -> FormT:
        return _taken(await self._call("GET", path), form)

    async def _call(self, method: str, path: str, *, json: Mapping[str, Any] | None = None) -> Reply:
        try:
            return await call(
                method,
                self._api + path,
                headers=self._headers,
                seconds=LOOK_UP_SECONDS,
                json=json,
                limit=MAX_PAGE,
            )
        except (NotSent, NoAnswer) as error:
            raise trouble("LNbits", error) from error


def _taken(reply: Reply, form: type[FormT]) -> FormT:
    if reply.status not in (200, 201):
        raise trouble("LNbits", f"answered {reply.status}: {reply.words}")
    return read("LNbits", reply.text, form)


def _recorded(one: _Payment, at_ms: int) -> Recorded:
    outcome = _OUTCOMES.get(one.status, Outcome.UNKNOWN)
    return Recorded(
        payment_hash=one.payment_hash.lower(),
        outcome=outcome,
        amount_msat=-one.amount,
        fee_msat=abs(one.fee) if outcome is Outcome.SETTLED else 0,
        at_ms=at_ms,
    )


def _at_ms(text: str) -> int:
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise trouble("LNbits", "its list of payments says no time") from error
    at = at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC)
    return (at - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(milliseconds=1)
