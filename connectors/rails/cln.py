"""The rail over one's own Core Lightning, by clnrest: `xpay` (`pay` where the node has none), looked up by hash in
`listpays` and `listsendpays`. Registered in `connectors/rails/__init__.py`; set up as told in
`connectors/rails/README.md`. `cln_answers.py` says what its answers mean, `cln_account.py` has all that
is no payment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Self, TypeVar

import aiohttp
import msgspec

from connectors.rails import node_options
from connectors.rails.cln_account import ClnAccount
from connectors.rails.cln_answers import (
    FINAL,
    UNKNOWN_METHOD,
    AllFailed,
    NodeInfo,
    Paid,
    Parts,
    Pays,
    RpcError,
    doubt,
    judge_paid,
    judge_records,
)
from connectors.rails.cln_answers import read as read_answer
from connectors.rails.node_checks import IN_FLIGHT, failed, is_hash, refusal, unknown
from connectors.rails.node_http import NodeHttp, NodeTrouble, said
from connectors.rails.with_account import WithAccount
from core import clock
from core.payouts.rail import Capabilities, Invoice, PaymentResult

ASK_TIMEOUT = 10.0  # seconds for a question that moves no money
QUIET_SECONDS = 10.0  # beyond `retry_seconds`: for the last part that a command had begun to send
REMEMBERED = 10_000  # hashes

FormT = TypeVar("FormT", bound=msgspec.Struct)


class ClnOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the cln rail; `url` and `rune` are required. `retry_seconds` limits the node's attempts (well
    below the two minutes after which an invoice may be sent again), `answer_timeout` our waiting for its answer."""

    url: str
    rune: str
    tls_cert: str = ""
    network: node_options.Network = "bc"
    node_id: Annotated[str, msgspec.Meta(pattern=node_options.NODE_ID)] = ""
    retry_seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 15
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=60)] = 20.0
    max_delay: Annotated[int, msgspec.Meta(ge=150, le=2016)] = 1008


class _Grave(msgspec.Struct, frozen=True, kw_only=True):
    """A hash all of whose parts have failed: the newest part, since when (monotonic seconds) we have seen nothing newer,
    and the last word of the command that sent them, if we heard it; without that word the node may still be trying."""

    newest: int
    since: float
    verdict: str | None = None


class ClnRail(WithAccount):
    """Implements `core.payouts.rail.Rail`, `Funded`, `Recording` and `Receiving`.

    Two traps decide the form of this class. A command that pays goes on when its caller hangs up, and between two of
    its attempts every part there is has failed: that is FAILED only when we heard the command end, or when nothing new
    was seen for longer than it may try. And the words "already paid" and "in progress" come as errors."""

    name = "cln"

    def __init__(self, options: ClnOptions, http: NodeHttp, *, quiet_seconds: float = QUIET_SECONDS):
        self._options = options
        self._http = http
        self._quiet_seconds = options.retry_seconds + quiet_seconds
        self._network = options.network
        self._checked = False  # the node said once that it is the one we mean
        self._account = ClnAccount(http, self._network, self._wrong_node)
        self._pays_with = "xpay"
        self._graves: OrderedDict[str, _Grave] = OrderedDict()
        self.capabilities = Capabilities(
            real_money=self._network == "bc", proves_by_preimage=True, network=self._network
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object], *, quiet_seconds: float = QUIET_SECONDS) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use. Asks nothing of the node yet."""
        read = node_options.read(cls.name, options, ClnOptions)
        url = node_options.base_url(cls.name, read.url)
        rune = node_options.credential(cls.name, "rune", read.rune)
        pinned = node_options.fingerprint(cls.name, read.tls_cert)
        http = NodeHttp(url, header="Rune", credential=rune, fingerprint=pinned)
        return cls(read, http, quiet_seconds=quiet_seconds)

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. FAILED is a final word of the command together with records that agree."""
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
            return unknown(f"cln: {error}")

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. None is an empty answer of both lists by the node that we mean. A command that looks for
        its first route is in neither: the caller waits out its grace before it acts on None."""
        try:
            async with self._http.session() as session:
                return await self._find(session, payment_hash)
        except NodeTrouble as error:
            return unknown(f"cln: {error}")

    async def _send(
        self, session: aiohttp.ClientSession, invoice: Invoice, max_fee_msat: int
    ) -> PaymentResult:
        """Send once. A node without `xpay` says so before it does anything; then it is asked by `pay`."""
        self._graves.pop(invoice.payment_hash, None)
        answer = await self._pay_command(session, invoice, max_fee_msat)
        if isinstance(answer, RpcError) and answer.code == UNKNOWN_METHOD and self._pays_with == "xpay":
            self._pays_with = "pay"
            answer = await self._pay_command(session, invoice, max_fee_msat)
        if isinstance(answer, Paid):
            return judge_paid(answer, invoice.payment_hash)
        return await self._after_error(session, invoice.payment_hash, answer)

    async def _pay_command(
        self, session: aiohttp.ClientSession, invoice: Invoice, max_fee_msat: int
    ) -> Paid | RpcError:
        params = {
            "invstring" if self._pays_with == "xpay" else "bolt11": invoice.bolt11,
            "maxfee": max_fee_msat,
            "retry_for": self._options.retry_seconds,
            "maxdelay": self._options.max_delay,
        }
        return await self._ask(session, self._pays_with, params, Paid, timeout=self._options.answer_timeout)

    async def _after_error(
        self, session: aiohttp.ClientSession, payment_hash: str, error: RpcError
    ) -> PaymentResult:
        """The records decide what an error means: with a final code and no part alive it is FAILED."""
        found = await self._records(session, payment_hash)
        if isinstance(found, PaymentResult):
            return found
        if error.code not in FINAL:
            return doubt(error)
        verdict = f"cln ({error.code}): {said(error.message)}"
        if found is not None:
            self._remember(
                payment_hash, _Grave(newest=found.newest, since=clock.monotonic(), verdict=verdict)
            )
        return failed(verdict)

    async def _unless_seen(
        self, session: aiohttp.ClientSession, payment_hash: str, reason: str
    ) -> PaymentResult:
        """FAILED for an invoice that was refused before it was sent, unless the node has a payment of its hash."""
        if not is_hash(payment_hash):
            return failed(reason)
        seen = await self._find(session, payment_hash)
        return failed(reason) if seen is None else seen

    async def _find(self, session: aiohttp.ClientSession, payment_hash: str) -> PaymentResult | None:
        if not is_hash(payment_hash):
            return unknown("this is no payment hash")
        found = await self._records(session, payment_hash)
        if isinstance(found, AllFailed):
            return self._judge_grave(payment_hash, found)
        if found is None:
            wrong = await self._wrong_node(session)  # asked each time: "never seen" sends the invoice again
            return None if wrong is None else unknown(wrong)
        return found

    def _judge_grave(self, payment_hash: str, found: AllFailed) -> PaymentResult:
        """Our own monotonic clock measures the quiet: the node's may be an hour off."""
        now = clock.monotonic()
        grave = self._graves.get(payment_hash)
        if grave is None or grave.newest != found.newest:
            self._remember(payment_hash, _Grave(newest=found.newest, since=now))
            return IN_FLIGHT
        if grave.verdict is not None:
            return failed(grave.verdict)
        if now - grave.since < self._quiet_seconds:
            return IN_FLIGHT
        return failed("cln: every part failed, and it has stopped trying")

    def _remember(self, payment_hash: str, grave: _Grave) -> None:
        self._graves[payment_hash] = grave
        while len(self._graves) > REMEMBERED:
            self._graves.popitem(last=False)

    async def _records(
        self, session: aiohttp.ClientSession, payment_hash: str
    ) -> PaymentResult | AllFailed | None:
        """What both lists say. The parts are read last, so that they are the younger word."""
        asked = {"payment_hash": payment_hash}
        pays = await self._ask(session, "listpays", asked, Pays, timeout=ASK_TIMEOUT)
        if isinstance(pays, RpcError):
            return doubt(pays)
        parts = await self._ask(session, "listsendpays", asked, Parts, timeout=ASK_TIMEOUT)
        if isinstance(parts, RpcError):
            return doubt(parts)
        return judge_records(pays.pays, parts.payments, payment_hash)

    async def _wrong_node(self, session: aiohttp.ClientSession) -> str | None:
        """Why this is not the node that is meant, or None. Raises NodeTrouble."""
        info = await self._ask(session, "getinfo", {}, NodeInfo, timeout=ASK_TIMEOUT)
        if isinstance(info, RpcError):
            raise NodeTrouble(f"it does not say who it is: {doubt(info).reason}")
        other = node_options.other_node(
            self.name,
            says=info.network,
            network=self._options.network,
            node=info.id,
            node_id=self._options.node_id,
        )
        self._checked = other is None
        return other

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        params: Mapping[str, object],
        form: type[FormT],
        *,
        timeout: float,
    ) -> FormT | RpcError:
        answer = await self._http.call(session, "POST", f"/v1/{method}", params, timeout=timeout)
        return read_answer(answer, form)
