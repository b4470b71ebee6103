"""The rail over one's own lnd, by REST: `POST /v2/router/send`, looked up by hash at `GET /v2/router/track`. lnd writes a
payment down before it sends and refuses a hash twice. Registered in `connectors/rails/__init__.py`; set up as told in
`connectors/rails/README.md`. `lnd_answers.py` says what its answers mean, `lnd_account.py` has all that is no payment."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping
from typing import Annotated, Self

import aiohttp
import msgspec

from connectors.rails import node_options
from connectors.rails.lnd_account import LndAccount
from connectors.rails.lnd_answers import (
    Payment,
    Refusal,
    doubt,
    judge,
    never_begun,
    never_seen,
    read_info,
    read_line,
)
from connectors.rails.node_checks import failed, is_hash, refusal, unknown
from connectors.rails.node_http import NodeHttp, NodeTrouble, said
from connectors.rails.with_account import WithAccount
from core import clock
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult

ASK_TIMEOUT = 10.0  # seconds for a question that moves no money
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")


class LndOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the lnd rail; `url` and `macaroon` are required. `timeout_seconds` limits lnd's search for a
    route, `answer_timeout` our waiting for its answer: an HTLC that is under way then stays so, and is looked up."""

    url: str
    macaroon: str
    tls_cert: str = ""
    network: node_options.Network = "bc"
    node_id: Annotated[str, msgspec.Meta(pattern=node_options.NODE_ID)] = ""
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 15
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=60)] = 20.0
    cltv_limit: Annotated[int, msgspec.Meta(ge=150, le=2016)] = 1008
    max_parts: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16


class LndRail(WithAccount):
    """Implements `core.payouts.rail.Rail`, `Funded`, `Recording` and `Receiving`."""

    name = "lnd"

    def __init__(self, options: LndOptions, http: NodeHttp):
        self._options = options
        self._http = http
        self._network = options.network
        self._checked = False  # the node said once that it is the one we mean
        self._account = LndAccount(http, self._network, self._wrong_node)
        self.capabilities = Capabilities(
            real_money=self._network == "bc", proves_by_preimage=True, network=self._network
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use. Asks nothing of the node yet."""
        read = node_options.read(cls.name, options, LndOptions)
        url = node_options.base_url(cls.name, read.url)
        macaroon = node_options.credential(cls.name, "macaroon", read.macaroon)
        if not _HEX.fullmatch(macaroon.reveal()):
            fix = "`lncli bakemacaroon` prints hex; for a file of lnd's: xxd -p -c 9999 x.macaroon"
            raise node_options.wrong(cls.name, "macaroon", f"{read.macaroon} is not in hex; {fix}")
        return cls(
            read,
            NodeHttp(
                url,
                header="Grpc-Metadata-macaroon",
                credential=macaroon,
                fingerprint=node_options.fingerprint(cls.name, read.tls_cert),
            ),
        )

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. FAILED is lnd's own FAILED, or an invoice that was refused and that lnd has never seen."""
        try:
            async with self._http.session() as session:
                refused = refusal(invoice, self._network, clock.now_ms())
                if refused is not None:
                    return await self._unless_seen(session, invoice.payment_hash, refused)
                wrong = None if self._checked else await self._wrong_node(session)
                if wrong is not None:
                    return unknown(wrong)
                return await self._send(session, invoice, max_fee_msat)
        except NodeTrouble as error:
            return unknown(f"lnd: {error}")

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. None is lnd's "payment isn't initiated", said by the node that we mean."""
        try:
            async with self._http.session() as session:
                return await self._track(session, payment_hash)
        except NodeTrouble as error:
            return unknown(f"lnd: {error}")

    async def _send(
        self, session: aiohttp.ClientSession, invoice: Invoice, max_fee_msat: int
    ) -> PaymentResult:
        """Send once and read the stream to its end: its last state counts. A stream that breaks after "in flight" is
        in flight; any other broken one is UNKNOWN, even after "failed"."""
        result: PaymentResult | None = None
        lines = self._http.lines(
            session,
            "POST",
            "/v2/router/send",
            {
                "payment_request": invoice.bolt11,
                "timeout_seconds": self._options.timeout_seconds,
                "fee_limit_msat": str(max_fee_msat),  # 0, the default, finds only free routes
                "cltv_limit": self._options.cltv_limit,
                "max_parts": self._options.max_parts,
            },
            timeout=self._options.answer_timeout,
        )
        try:
            async with contextlib.aclosing(lines):
                async for line in lines:
                    if not line.body.strip():
                        continue
                    read = read_line(line.body)
                    if isinstance(read, Refusal):
                        if never_begun(read):
                            return await self._unless_seen(session, invoice.payment_hash, said(read.message))
                        return doubt(read)
                    if read is None or line.status != 200:
                        return unknown(f"lnd's answer ({line.status}) cannot be read")
                    result = judge(read, invoice.payment_hash)
                    if result.outcome is Outcome.SETTLED:
                        return result  # proven; nothing that follows can undo it
        except NodeTrouble as error:
            if result is not None and result.outcome is Outcome.IN_FLIGHT:
                return result
            return unknown(f"lnd: {error}")
        return result or unknown("lnd's answer is empty")

    async def _unless_seen(
        self, session: aiohttp.ClientSession, payment_hash: str, reason: str
    ) -> PaymentResult:
        """FAILED for an invoice that was refused before it was sent, unless lnd has a payment of its hash: then that."""
        if not is_hash(payment_hash):
            return failed(reason)
        seen = await self._track(session, payment_hash)
        return failed(reason) if seen is None else seen

    async def _track(self, session: aiohttp.ClientSession, payment_hash: str) -> PaymentResult | None:
        """The first line is the state of now; lnd would keep the stream open until the payment ends."""
        if not is_hash(payment_hash):
            return unknown("this is no payment hash")
        path = base64.urlsafe_b64encode(bytes.fromhex(payment_hash)).decode()  # lnd wants the padding
        lines = self._http.lines(session, "GET", f"/v2/router/track/{path}", timeout=ASK_TIMEOUT)
        async with contextlib.aclosing(lines):
            line = await anext(lines)
        read = read_line(line.body)
        if isinstance(read, Payment) and line.status == 200:
            return judge(read, payment_hash)
        if isinstance(read, Refusal) and never_seen(read):
            wrong = await self._wrong_node(session)  # asked each time: "never seen" sends the invoice again
            return None if wrong is None else unknown(wrong)
        if isinstance(read, Refusal):
            return doubt(read)
        return unknown(f"lnd's answer ({line.status}) cannot be read")

    async def _wrong_node(self, session: aiohttp.ClientSession) -> str | None:
        """Why this is not the node that is meant, or None. Raises NodeTrouble."""
        answer = await self._http.call(session, "GET", "/v1/getinfo", timeout=ASK_TIMEOUT)
        info = read_info(answer.body) if answer.status == 200 else None
        if info is None:
            read = read_line(answer.body)
            words = doubt(read).reason if isinstance(read, Refusal) else f"getinfo answered {answer.status}"
            raise NodeTrouble(f"it does not say who it is: {words}")
        other = node_options.other_node(
            self.name,
            says=", ".join(chain.network for chain in info.chains),
            network=self._options.network,
            node=info.identity_pubkey,
            node_id=self._options.node_id,
        )
        self._checked = other is None
        return other
