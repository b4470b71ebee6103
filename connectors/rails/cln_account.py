"""Core Lightning beside its payments: the balance, the history, invoices of our own. Used by `cln.py` alone. Written from
doc/schemas (listpeerchannels, listsendpays, invoice, listinvoices) of v26.06: amounts are whole millisatoshi."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import aiohttp
import msgspec

from connectors.rails.cln_answers import RpcError, doubt
from connectors.rails.cln_answers import read as read_answer
from connectors.rails.incoming import own_invoice, trouble
from connectors.rails.node_checks import is_hash
from connectors.rails.node_http import MAX_ANSWER, NodeHttp, NodeTrouble
from core.payouts.rail import Invoice, Outcome, Recorded

ASK_TIMEOUT = 10.0  # seconds
PAGE = 500  # parts of payments, of about 1 KB each

Count = Annotated[int, msgspec.Meta(ge=0)]
FormT = TypeVar("FormT", bound=msgspec.Struct)


class _Channel(msgspec.Struct, frozen=True):
    state: str
    peer_connected: bool
    spendable_msat: Count = 0


class _Channels(msgspec.Struct, frozen=True):
    channels: list[_Channel]


class _Part(msgspec.Struct, frozen=True):
    """One entry of `listsendpays`: a part of a payment."""

    payment_hash: str
    status: str
    created_index: Count
    created_at: Count
    amount_sent_msat: Count = 0
    amount_msat: Count | None = None  # what arrives, "if known"


class _Parts(msgspec.Struct, frozen=True):
    payments: list[_Part]


class _Made(msgspec.Struct, frozen=True):
    """The answer of `invoice`."""

    bolt11: str
    payment_hash: str


class _Invoice(msgspec.Struct, frozen=True):
    """One entry of `listinvoices`."""

    payment_hash: str
    status: str
    amount_received_msat: Count = 0


class _Invoices(msgspec.Struct, frozen=True):
    invoices: list[_Invoice]


class ClnAccount:
    """`wrong_node` says why this is not the node that is meant, None when it is."""

    def __init__(
        self,
        http: NodeHttp,
        network: str,
        wrong_node: Callable[[aiohttp.ClientSession], Awaitable[str | None]],
    ):
        self._http = http
        self._network = network
        self._wrong_node = wrong_node

    async def balance_msat(self) -> int:
        """See `Funded`. The node's own estimate for each channel whose peer is there, reserves and fees taken off."""
        async with self._asking() as session:
            found = await self._ask(session, "listpeerchannels", {}, _Channels)
        return sum(
            channel.spendable_msat
            for channel in found.channels
            if channel.state == "CHANNELD_NORMAL" and channel.peer_connected
        )

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`. `listpays` by pages says too little of payments whose parts lie on two of them
        (lightning-listpays(7)), so the parts are read and added up here. `at_ms` is when the first part was made."""
        parts: dict[str, list[_Part]] = {}
        start = 1
        async with self._asking() as session:
            while True:
                asked = {"index": "created", "start": start, "limit": PAGE}
                page = (await self._ask(session, "listsendpays", asked, _Parts)).payments
                if not page:
                    break
                newest = max(part.created_index for part in page)
                if newest < start:
                    raise trouble("cln", "its list of payments repeats itself")
                start = newest + 1
                for part in page:
                    parts.setdefault(part.payment_hash, []).append(part)
        for payment_hash, of_it in parts.items():
            recorded = _recorded(payment_hash, of_it)
            if recorded.at_ms >= since_ms:
                yield recorded

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`. The label, which must be new, says whose invoice it is."""
        async with self._asking() as session:
            await self._check(session)
            asked = {
                "amount_msat": amount_msat,
                "label": f"hub-{secrets.token_hex(16)}",
                "description": memo,
                "expiry": expires_seconds,
            }
            made = await self._ask(session, "invoice", asked, _Made)
        return own_invoice(
            made.bolt11,
            rail="cln",
            network=self._network,
            amount_msat=amount_msat,
            payment_hash=made.payment_hash,
        )

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`. An expired invoice is refused by the node for ever, and may be deleted (autoclean)."""
        if not is_hash(payment_hash):
            raise trouble("cln", "this is no payment hash")
        async with self._asking() as session:
            found = await self._ask(session, "listinvoices", {"payment_hash": payment_hash}, _Invoices)
            if not found.invoices:
                await self._check(session)
                return None
        invoice = found.invoices[0]
        if invoice.payment_hash != payment_hash:
            raise trouble("cln", "it answered about another payment hash")
        match invoice.status:
            case "paid":
                return invoice.amount_received_msat
            case "unpaid":
                return 0
            case "expired":
                return None
            case _:
                raise trouble("cln", "it answered with a state of an invoice that is not known")

    async def _check(self, session: aiohttp.ClientSession) -> None:
        """Money must not go to a stranger's node, nor a stranger's "never seen" be believed."""
        wrong = await self._wrong_node(session)
        if wrong is not None:
            raise NodeTrouble(wrong)

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        params: Mapping[str, object],
        form: type[FormT],
    ) -> FormT:
        answer = await self._http.call(
            session, "POST", f"/v1/{method}", params, timeout=ASK_TIMEOUT, limit=MAX_ANSWER
        )
        said = read_answer(answer, form)
        if isinstance(said, RpcError):
            raise trouble("cln", doubt(said).reason)
        return said

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[aiohttp.ClientSession]:
        try:
            async with self._http.session() as session:
                yield session
        except NodeTrouble as error:
            raise trouble("cln", error) from error


def _recorded(payment_hash: str, parts: Sequence[_Part]) -> Recorded:
    """A hash's parts as one payment: what left when a part is complete, else what is out there, else the last try."""
    by_state = {state: [one for one in parts if one.status == state] for state in ("complete", "pending")}
    counted = by_state["complete"] or by_state["pending"] or [max(parts, key=lambda one: one.created_index)]
    amount_msat = sum(one.amount_sent_msat if one.amount_msat is None else one.amount_msat for one in counted)
    fee_msat = sum(one.amount_sent_msat for one in counted) - amount_msat
    if by_state["complete"] and not by_state["pending"]:
        outcome = Outcome.SETTLED
    elif by_state["complete"] or by_state["pending"]:
        outcome = Outcome.IN_FLIGHT
    else:
        outcome = Outcome.FAILED
    return Recorded(
        payment_hash=payment_hash,
        outcome=outcome,
        amount_msat=amount_msat,
        fee_msat=max(fee_msat, 0) if outcome is Outcome.SETTLED else 0,
        at_ms=min(one.created_at for one in parts) * 1000,
    )
