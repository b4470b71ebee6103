"""phoenixd beside its payments: the balance, the history, invoices of our own. Used by `phoenixd.py` alone. Written from
its published API (phoenix.acinq.co/server/api, ACINQ/phoenixd `Api.kt`, read as an interface)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, TypeVar
from urllib.parse import urlencode

import msgspec

from connectors.calls import NoAnswer, NotSent
from connectors.rails import bolt11
from connectors.rails.incoming import own_invoice, read, trouble, whole_sats
from connectors.rails.wallet_http import LOOK_UP_SECONDS, MAX_PAGE, Reply, call
from core import clock
from core.money import MSAT_PER_SAT
from core.payouts.rail import Invoice, Outcome, Recorded

PAGE = 100
MEMO_CHARACTERS = 128  # phoenixd refuses a longer description
# Its clock may not be ours, and the parts of one payment may take a minute to come together.
LATE_MS = 600_000

Count = Annotated[int, msgspec.Meta(ge=0)]
FormT = TypeVar("FormT")


class _Balance(msgspec.Struct, frozen=True, rename="camel"):
    balance_sat: Count


class _Made(msgspec.Struct, frozen=True, rename="camel"):
    payment_hash: str
    serialized: str


class _Incoming(msgspec.Struct, frozen=True, rename="camel"):
    """`receivedSat` is what became ours: what ACINQ takes for opening a channel is taken off already."""

    payment_hash: str
    is_paid: bool
    received_sat: Count = 0
    invoice: str = ""


class _Outgoing(msgspec.Struct, frozen=True, rename="camel"):
    """A payment over Lightning; one on the chain has no `paymentHash`. `sent` is in whole satoshis, fees included, cut
    off; `fees` in millisatoshi."""

    payment_id: str
    created_at: int
    is_paid: bool
    payment_hash: str = ""
    preimage: str | None = None
    completed_at: int | None = None
    sent: Count = 0
    fees: Count = 0
    invoice: str = ""


class PhoenixdAccount:
    def __init__(self, url: str, headers: Mapping[str, str], network: str):
        self._url = url
        self._headers = headers
        self._network = network

    async def balance_msat(self) -> int:
        """See `Funded`. phoenixd counts the reserves off; it says whole satoshis."""
        return (await self._get("/getbalance", _Balance)).balance_sat * MSAT_PER_SAT

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`. The window ends now, so that what is paid meanwhile moves no page. `at_ms` is when it was
        made. An empty page is the end."""
        until_ms = clock.now_ms()
        seen: set[str] = set()
        offset = 0
        while True:
            query = {"from": since_ms, "to": until_ms, "limit": PAGE, "offset": offset, "all": "true"}
            page = await self._get(f"/payments/outgoing?{urlencode(query)}", list[_Outgoing])
            if not page:
                return
            new = [one for one in page if one.payment_id not in seen]
            if not new:
                raise trouble("phoenixd", "its list of payments repeats itself")
            seen.update(one.payment_id for one in new)
            offset += len(page)
            for one in new:
                if one.payment_hash and one.created_at >= since_ms:
                    yield _recorded(one)

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`. Whole satoshis only."""
        form = {
            "amountSat": str(whole_sats("phoenixd", amount_msat)),
            "description": memo[:MEMO_CHARACTERS],
            "expirySeconds": str(expires_seconds),
        }
        made = _taken(await self._call("POST", "/createinvoice", form=form), _Made)
        return own_invoice(
            made.serialized,
            rail="phoenixd",
            network=self._network,
            amount_msat=amount_msat,
            payment_hash=made.payment_hash.lower(),
        )

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`. What phoenixd kept for a channel has not arrived. A record that it does not have was made by
        another phoenixd, or never."""
        reply = await self._call("GET", f"/payments/incoming/{payment_hash.lower()}")
        # A proxy's 404 is a page, and an endpoint that is not there says "Unknown endpoint (check api doc)".
        if reply.status == 404 and reply.text.strip().lower() == "not found":
            return None
        found = _taken(reply, _Incoming)
        if found.payment_hash.lower() != payment_hash.lower():
            raise trouble("phoenixd", "it answered about another payment hash")
        if found.is_paid:
            return found.received_sat * MSAT_PER_SAT
        try:
            ends_ms = bolt11.decode(found.invoice).expires_at_ms
        except ValueError as error:
            raise trouble("phoenixd", "its record of an invoice cannot be read") from error
        return 0 if clock.now_ms() <= ends_ms + LATE_MS else None

    async def _get(self, path: str, form: type[FormT]) -> FormT:
        return _taken(await self._call("GET", path), form)

    async def _call(self, method: str, path: str, *, form: Mapping[str, str] | None = None) -> Reply:
        try:
            return await call(
                method,
                self._url + path,
                headers=self._headers,
                seconds=LOOK_UP_SECONDS,
                form=form,
                limit=MAX_PAGE,
            )
        except (NotSent, NoAnswer) as error:
            raise trouble("phoenixd", error) from error


def _taken(reply: Reply, form: type[FormT]) -> FormT:
    if reply.status != 200:
        raise trouble("phoenixd", f"answered {reply.status}: {reply.words}")
    return read("phoenixd", reply.text, form)


def _recorded(one: _Outgoing) -> Recorded:
    """Early versions wrote `isPaid: true` for what had ended, failed ones too: the preimage proves one."""
    if one.is_paid and one.preimage:
        outcome = Outcome.SETTLED
    elif one.is_paid:
        outcome = Outcome.UNKNOWN
    else:
        outcome = Outcome.IN_FLIGHT if one.completed_at is None else Outcome.FAILED
    return Recorded(
        payment_hash=one.payment_hash.lower(),
        outcome=outcome,
        amount_msat=_amount(one),
        fee_msat=one.fees if outcome is Outcome.SETTLED else 0,
        at_ms=one.created_at,
    )


def _amount(one: _Outgoing) -> int:
    """Exactly what the invoice says; where it cannot be read, what left without the fees."""
    try:
        asked = bolt11.decode(one.invoice).amount_msat
    except ValueError:
        asked = None
    return asked if asked is not None else max(one.sent * MSAT_PER_SAT - one.fees, 0)
