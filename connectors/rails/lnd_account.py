"""lnd beside its payments: the balance, the history, invoices of our own. Used by `lnd.py` alone. Written from
lnrpc/lightning.proto of lnd v0.21: int64 as texts, hashes in base64 unless the field says otherwise."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import aiohttp
import msgspec

from connectors.rails.incoming import own_invoice, read, trouble
from connectors.rails.lnd_answers import NOT_FOUND, Payment, Refusal, doubt, judge, read_line
from connectors.rails.node_checks import is_hash
from connectors.rails.node_http import MAX_ANSWER, NodeHttp, NodeTrouble
from core.payouts.rail import Invoice, Outcome, Recorded

ASK_TIMEOUT = 10.0  # seconds
PAGE = 100  # payments; one in 16 parts with all its routes is about 100 KB
NS_PER_MS = 1_000_000

Count = Annotated[int, msgspec.Meta(ge=0)]
FormT = TypeVar("FormT")


class _Amount(msgspec.Struct, frozen=True):
    msat: Count = 0


class _Balance(msgspec.Struct, frozen=True):
    """lnrpc.ChannelBalanceResponse."""

    local_balance: _Amount


class _Payment(Payment, frozen=True):
    value_msat: Count = 0
    creation_time_ns: Count = 0


class _Payments(msgspec.Struct, frozen=True):
    """lnrpc.ListPaymentsResponse. The offset of an empty page is 0."""

    payments: list[_Payment] = []
    last_index_offset: Count = 0


class _Added(msgspec.Struct, frozen=True):
    """lnrpc.AddInvoiceResponse."""

    payment_request: str


class _Invoice(msgspec.Struct, frozen=True):
    """lnrpc.Invoice."""

    payment_request: str
    state: str
    amt_paid_msat: Count = 0


class LndAccount:
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
        """See `Funded`. All that is ours in open channels; lnd keeps about a hundredth of each back as its reserve."""
        async with self._asking() as session:
            return (await self._get(session, "/v1/balance/channels", _Balance)).local_balance.msat

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`. By the index of each payment, which never changes, so that no page can hide one. `at_ms` is
        when it was made."""
        after = 0
        async with self._asking() as session:
            while True:
                # `creation_date_start` is in whole seconds and inclusive.
                path = f"/v1/payments?include_incomplete=true&index_offset={after}&max_payments={PAGE}"
                page = await self._get(
                    session, f"{path}&creation_date_start={since_ms // 1000}", _Payments, limit=MAX_ANSWER
                )
                if not page.payments:
                    return
                if page.last_index_offset <= after:
                    raise trouble("lnd", "its list of payments repeats itself")
                after = page.last_index_offset
                for payment in page.payments:
                    if payment.creation_time_ns // NS_PER_MS >= since_ms:
                        yield _recorded(payment)

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`."""
        async with self._asking() as session:
            await self._check(session)
            body = {"value_msat": str(amount_msat), "memo": memo, "expiry": str(expires_seconds)}
            answer = await self._http.call(session, "POST", "/v1/invoices", body, timeout=ASK_TIMEOUT)
            made = _taken(answer.status, answer.body, _Added)
        return own_invoice(made.payment_request, rail="lnd", network=self._network, amount_msat=amount_msat)

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`. lnd cancels an invoice by itself when it has expired, and may then forget it."""
        if not is_hash(payment_hash):
            raise trouble("lnd", "this is no payment hash")
        async with self._asking() as session:
            answer = await self._http.call(session, "GET", f"/v1/invoice/{payment_hash}", timeout=ASK_TIMEOUT)
            refused = read_line(answer.body) if answer.status != 200 else None
            if isinstance(refused, Refusal) and _no_such_invoice(refused):
                await self._check(session)
                return None
            found = _taken(answer.status, answer.body, _Invoice)
        match found.state:
            case "SETTLED":
                return found.amt_paid_msat
            case "OPEN" | "ACCEPTED":
                return 0
            case "CANCELED":
                return None
            case _:
                raise trouble("lnd", "it answered with a state of an invoice that is not known")

    async def _check(self, session: aiohttp.ClientSession) -> None:
        """Money must not go to a stranger's node, nor a stranger's "never seen" be believed."""
        wrong = await self._wrong_node(session)
        if wrong is not None:
            raise NodeTrouble(wrong)

    async def _get(
        self, session: aiohttp.ClientSession, path: str, form: type[FormT], *, limit: int = MAX_ANSWER
    ) -> FormT:
        answer = await self._http.call(session, "GET", path, timeout=ASK_TIMEOUT, limit=limit)
        return _taken(answer.status, answer.body, form)

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[aiohttp.ClientSession]:
        try:
            async with self._http.session() as session:
                yield session
        except NodeTrouble as error:
            raise trouble("lnd", error) from error


def _taken(status: int, body: bytes, form: type[FormT]) -> FormT:
    if status != 200:
        refused = read_line(body)
        raise trouble("lnd", doubt(refused).reason if isinstance(refused, Refusal) else f"answered {status}")
    return read("lnd", body, form, strict=False)


def _no_such_invoice(refused: Refusal) -> bool:
    """invoices/interface.go: ErrInvoiceNotFound and ErrNoInvoicesCreated. The code alone is also a wrong path's."""
    words = ("unable to locate invoice", "there are no existing invoices")
    return any(word in refused.message for word in words) and refused.code in (2, NOT_FOUND)


def _recorded(payment: _Payment) -> Recorded:
    outcome = judge(payment, payment.payment_hash).outcome
    return Recorded(
        payment_hash=payment.payment_hash,
        outcome=outcome,
        amount_msat=payment.value_msat,
        fee_msat=payment.fee_msat or 0 if outcome is Outcome.SETTLED else 0,
        at_ms=payment.creation_time_ns // NS_PER_MS,
    )
