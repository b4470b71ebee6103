"""The rail over the Lightning wallet of an Electrum daemon, by its JSON-RPC. Registered in `connectors/rails/__init__.py`;
set up as told in `connectors/rails/README.md`. `electrum_answers.py` says what its answers mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Self

import msgspec

from connectors.rails import bolt11, node_options
from connectors.rails.electrum_answers import (
    INFLIGHT,
    PAID,
    RECEIVED,
    SENT,
    Channel,
    Entry,
    Info,
    Paid,
    Request,
    SavedInvoice,
    fee_budget_msat,
    judge_history,
    judge_saved,
)
from connectors.rails.electrum_rpc import ElectrumRpc, ElectrumSaid, basic
from connectors.rails.node_checks import failed, is_hash, proves, refusal, unknown
from connectors.rails.node_http import NodeHttp, NodeTrouble, said
from connectors.rails.wallet_checks import too_late
from core import clock
from core.errors import Rejected, Retryable
from core.money import MSAT_PER_SAT, SAT_PER_BTC
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult, Recorded

KNOWN = (
    "4.3."  # what is written to disk before an HTLC leaves, and what a status means, was read in this release
)
NEVER_SEEN = "Request not found"  # the daemon's words for an invoice that it does not have
# The longest that a payment which was sent in time may be held on its way: 2016 blocks (BOLT #4's limit of senders).
LATE_MS = 14 * 24 * 3600 * 1000


class ElectrumOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the electrum rail; `url` and `password` are required. `answer_timeout` limits our waiting for the
    end of a payment: the daemon goes on with it, and it is looked up."""

    url: str
    password: str
    user: Annotated[str, msgspec.Meta(pattern="^[!-9;-~]+$")] = "user"
    tls_cert: str = ""
    network: node_options.Network = "bc"
    node_id: Annotated[str, msgspec.Meta(pattern=node_options.NODE_ID)] = ""
    wallet: str = ""
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=60)] = 15.0


class ElectrumRail:
    """Implements `core.payouts.rail.Rail`, Funded, Recording and Receiving.

    What Electrum 4.3.4 does, and what follows from it:
    - `lnpay` writes the invoice to the wallet's file, with fsync, before it looks for a route (commands.py: save_invoice),
      and the channel's new state before it commits to an HTLC (lnpeer.py: _store_raw_msg_if_local_update). So an invoice
      that the wallet does not have was never sent by it, and a killed daemon knows its HTLCs when it is back.
    - It guards a hash against a second payment only once the first HTLC is out: calls at the same time pay it as often
      as they are made. So this rail never sends a hash that the wallet has, nor two at a time; and the hub has one
      worker at an attempt (`core/payouts/send.py`)."""

    name = "electrum"

    def __init__(self, options: ElectrumOptions, http: NodeHttp):
        self._options = options
        self._http = http
        self._network = options.network
        self._paying: set[str] = set()
        self.capabilities = Capabilities(
            real_money=self._network == "bc", proves_by_preimage=True, network=self._network
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use. Asks nothing of the daemon yet."""
        read = node_options.read(cls.name, options, ElectrumOptions)
        url = node_options.base_url(cls.name, read.url)
        password = node_options.credential(cls.name, "password", read.password)
        pinned = node_options.fingerprint(cls.name, read.tls_cert)
        credential = basic(read.user, password)
        return cls(read, NodeHttp(url, header="Authorization", credential=credential, fingerprint=pinned))

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. A hash that the wallet has is not sent again, whatever became of it."""
        begun = clock.monotonic()
        if invoice.payment_hash in self._paying:
            return unknown("electrum: it is being paid at this moment")
        self._paying.add(invoice.payment_hash)
        try:
            async with self._rpc() as rpc:
                early = await self._before(rpc, invoice, max_fee_msat) or too_late(begun)
                return early or await self._send(rpc, invoice)
        except NodeTrouble as error:
            return unknown(f"electrum: {error}")
        finally:
            self._paying.discard(invoice.payment_hash)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. None is the wallet's word that it does not have the invoice, which it writes down first."""
        if not is_hash(payment_hash):
            return unknown("this is no payment hash")
        try:
            async with self._rpc() as rpc:
                return await self._find(rpc, payment_hash)
        except NodeTrouble as error:
            return unknown(f"electrum: {error}")

    async def balance_msat(self) -> int:
        """See `Funded`. Of all channels that can be used now; a payment that fits none of them alone is not made."""
        async with self._asking() as rpc:
            return sum(channel.spendable_msat for channel in await _channels(rpc) if channel.usable)

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording`. Settled ones and those in flight; of what failed nothing left the wallet. `at_ms` of one in
        flight is when its invoice was made."""
        async with self._asking() as rpc:
            saved = await rpc.wallet("list_invoices", list[SavedInvoice])
            history = await rpc.wallet("lightning_history", list[Entry])
        settled = [entry for entry in history if (entry.type, entry.direction) == ("payment", SENT)]
        for entry in settled:
            if (at_ms := (entry.timestamp or 0) * 1000) >= since_ms:
                yield _recorded(entry, at_ms)
        done = {entry.payment_hash for entry in settled}
        for one in saved:
            at_ms = one.timestamp * 1000
            if one.status == INFLIGHT and one.invoice_id not in done and at_ms >= since_ms:
                yield Recorded(
                    payment_hash=one.invoice_id,
                    outcome=Outcome.IN_FLIGHT,
                    amount_msat=one.amount_msat or 0,
                    fee_msat=0,
                    at_ms=at_ms,
                )

    async def receive(self, amount_msat: int, *, memo: str, expires_seconds: int) -> Invoice:
        """See `Receiving`. Whole satoshis only."""
        sats, rest = divmod(amount_msat, MSAT_PER_SAT)
        if rest or sats <= 0:
            raise Rejected("invoice_amount", "Electrum makes invoices over whole satoshis")
        bitcoin = f"{sats // SAT_PER_BTC}.{sats % SAT_PER_BTC:08d}"
        async with self._asking() as rpc:
            wrong = await self._wrong_wallet(rpc)
            if wrong is not None:
                raise Retryable("rail_wallet", f"electrum: {wrong}")
            # `force`: each request takes an address, and after twenty that nobody paid there would be none left.
            made = await rpc.wallet(
                "add_request", Request, amount=bitcoin, memo=memo, expiration=expires_seconds, force=True
            )
        invoice = _invoice(made)
        problem = refusal(invoice, self._network, clock.now_ms())
        if problem is not None or invoice.amount_msat != amount_msat:
            raise Rejected(
                "invoice_other", f"Electrum made another invoice than asked for: {problem or 'amount'}"
            )
        return invoice

    async def received_msat(self, payment_hash: str) -> int | None:
        """See `Receiving`. Over Lightning only. Electrum takes a payment after the invoice has expired too, so that None
        comes two weeks later."""
        async with self._asking() as rpc:
            try:
                asked = await rpc.wallet("get_request", Request, request_id=payment_hash)
            except ElectrumSaid as error:
                if str(error) != NEVER_SEEN:
                    raise
                wrong = await self._wrong_wallet(rpc)
                if wrong is not None:
                    raise NodeTrouble(wrong) from error
                return None
            if asked.rhash != payment_hash:
                raise NodeTrouble("it answered about another payment hash")
            history = await rpc.wallet("lightning_history", list[Entry]) if asked.status == PAID else []
        arrived = [one for one in history if (one.payment_hash, one.direction) == (payment_hash, RECEIVED)]
        if arrived:
            return sum(one.amount_msat for one in arrived)
        return 0 if clock.now_ms() < asked.expiration * 1000 + LATE_MS else None

    async def _before(self, rpc: ElectrumRpc, invoice: Invoice, max_fee_msat: int) -> PaymentResult | None:
        """What `pay` answers without sending; None when it may send."""
        problem = refusal(invoice, self._network, clock.now_ms())
        if not is_hash(invoice.payment_hash):
            return failed(f"nothing was sent: {problem or 'this is no payment hash'}")
        seen = await self._find(rpc, invoice.payment_hash)
        if seen is not None:
            return seen
        fee = fee_budget_msat(invoice.amount_msat)
        if problem is None and fee > max_fee_msat:
            problem = f"Electrum may spend up to {fee} msat on fees, the limit is {max_fee_msat}"
        if problem is None:
            able = [
                one
                for one in await _channels(rpc)
                if one.usable and one.spendable_msat >= invoice.amount_msat
            ]
            if not able:  # it would be cut into parts of any size, whose fees have no common limit
                problem = f"no channel that is connected can pay {invoice.amount_msat} msat alone"
        return failed(f"nothing was sent: {problem}") if problem else None

    async def _send(self, rpc: ElectrumRpc, invoice: Invoice) -> PaymentResult:
        """Send once, then believe the wallet's record and not the answer: that one has no fee, and its "no success" is
        said of the call."""
        try:
            answer = await rpc.pay(invoice.bolt11, Paid, seconds=self._options.answer_timeout)
        except ElectrumSaid as error:
            seen = await self._find(rpc, invoice.payment_hash)
            return unknown(f"electrum: {error}") if seen is None else seen
        if answer.payment_hash != invoice.payment_hash:
            return unknown("electrum answered about another payment hash")
        if answer.success and not proves(answer.preimage, invoice.payment_hash):
            return unknown("electrum says paid, without a preimage of the payment hash")
        seen = await self._find(rpc, invoice.payment_hash)
        if seen is None:
            return unknown("electrum has no record of what it was just asked to pay")
        if seen.outcome is not Outcome.FAILED:
            return seen
        return (
            unknown("electrum says paid, and its record says no") if answer.success else failed(answer.words)
        )

    async def _find(self, rpc: ElectrumRpc, payment_hash: str) -> PaymentResult | None:
        """The wallet's record of a hash. The history is read after the status, so that it is the younger word. What
        frees the money (None, FAILED) is believed of the right wallet alone."""
        saved: SavedInvoice | None = None
        try:
            saved = await rpc.wallet("get_invoice", SavedInvoice, invoice_id=payment_hash)
        except ElectrumSaid as error:
            if str(error) != NEVER_SEEN:
                raise
        proven = judge_history(await rpc.wallet("lightning_history", list[Entry]), payment_hash)
        if proven is not None:
            return proven
        found = None if saved is None else judge_saved(saved, await _channels(rpc), payment_hash)
        if found is not None and found.outcome is not Outcome.FAILED:
            return found
        wrong = await self._wrong_wallet(rpc)
        return found if wrong is None else unknown(f"electrum: {wrong}")

    async def _wrong_wallet(self, rpc: ElectrumRpc) -> str | None:
        """Why this is not the wallet that is meant, or not in a state to be asked; None when it is. Raises NodeTrouble."""
        info = await rpc.daemon("getinfo", Info)
        node = await rpc.wallet("nodeid", str)  # key@address when it listens
        other = node_options.other_node(
            self.name,
            says=info.network,
            network=self._options.network,
            node=node.partition("@")[0],
            node_id=self._options.node_id,
        )
        if other is not None:
            return other
        if not info.version.startswith(KNOWN):
            return f"release {said(info.version)} is not known here, only {KNOWN}x"
        if not info.connected or not await rpc.wallet("is_synchronized", bool):
            return "its wallet is not synchronized with the chain"
        return None

    @asynccontextmanager
    async def _rpc(self) -> AsyncGenerator[ElectrumRpc]:
        async with self._http.session() as session:
            yield ElectrumRpc(self._http, session, self._options.wallet)

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[ElectrumRpc]:
        """For the questions that raise. Raises Retryable."""
        try:
            async with self._rpc() as rpc:
                yield rpc
        except NodeTrouble as error:
            raise Retryable("rail_unreachable", f"electrum: {error}") from error


async def _channels(rpc: ElectrumRpc) -> list[Channel]:
    return await rpc.wallet("list_channels", list[Channel])


def _recorded(entry: Entry, at_ms: int) -> Recorded:
    fee = entry.fee_msat or 0
    return Recorded(
        payment_hash=entry.payment_hash,
        outcome=Outcome.SETTLED,
        amount_msat=-entry.amount_msat - fee,
        fee_msat=fee,
        at_ms=at_ms,
    )


def _invoice(made: Request) -> Invoice:
    """Raises Rejected when Electrum's invoice is none."""
    try:
        decoded = bolt11.decode(made.lightning_invoice)
    except ValueError as error:
        raise Rejected(
            "invoice_unreadable", f"Electrum made an invoice that cannot be read: {error}"
        ) from error
    return Invoice(
        bolt11=made.lightning_invoice,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat or 0,
        expires_at_ms=decoded.expires_at_ms,
    )
