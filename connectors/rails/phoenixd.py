"""The rail `phoenixd`: ACINQ's phoenixd, one person's Lightning node with an HTTP API (phoenix.acinq.co/server/api).
Registered in `connectors/rails/__init__.py`; set up as README.md beside this file says."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import msgspec

from connectors.calls import NoAnswer, NotSent
from connectors.rails import wallet_options
from connectors.rails.phoenixd_account import PhoenixdAccount
from connectors.rails.wallet_checks import (
    IN_FLIGHT,
    amount,
    confirmed,
    failed,
    look_first,
    same_hash,
    settled,
    too_late,
    unknown,
)
from connectors.rails.wallet_http import LOOK_UP_SECONDS, Reply, call
from connectors.rails.with_account import WithAccount
from connectors.secret_refs import Secrets
from core import clock
from core.money import MSAT_PER_SAT
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult

# Words of lightning-kmp's FinalFailure that say nothing against an earlier payment of the same hash.
_NOT_ABOUT_THE_FIRST = ("another payment is in progress", "already been paid", "payment ID must be unique")


class PhoenixdOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the rail's block in the configuration. `answer_timeout` in seconds. phoenixd takes no fee limit:
    it pays what its LSP asks, 4 sat + 0.4 % (`Lsp.kt`), so that this is held against the limit before sending."""

    password: Secrets
    url: str = "http://127.0.0.1:9740"
    network: Literal["bc", "tb", "tbs", "bcrt"] = "bc"
    fee_base_msat: Annotated[int, msgspec.Meta(ge=0)] = 4_000
    fee_ppm: Annotated[int, msgspec.Meta(ge=0)] = 4_000
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=20)] = 15.0


class PhoenixdRail(WithAccount):
    """Implements `core.payouts.rail.Rail`, `Funded`, `Recording` and `Receiving`."""

    name = "phoenixd"

    def __init__(self, options: PhoenixdOptions):
        self._options = options
        self._url = wallet_options.base_url(self.name, options.url)
        password = wallet_options.secret(
            self.name, "password", options.password, where="`http-password` of ~/.phoenix/phoenix.conf"
        )
        # Any user name will do; the password is what phoenixd compares.
        token = base64.b64encode(f"hub:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}
        self._account = PhoenixdAccount(self._url, self._headers, options.network)
        self.capabilities = Capabilities(
            real_money=options.network == "bc",
            proves_by_preimage=True,
            network=options.network,
            exact_balance=True,
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use."""
        return cls(wallet_options.read(PhoenixdOptions, cls.name, options))

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. `/payinvoice` answers when the payment has ended, or never: after `answer_timeout` we hang up,
        which does not stop it, and it is UNKNOWN."""
        begun = clock.monotonic()
        early = await look_first(self, invoice) or too_late(begun)
        if early is not None:
            return early
        fee = self._options.fee_base_msat + invoice.amount_msat * self._options.fee_ppm // 1_000_000
        if fee > max_fee_msat:
            return failed(f"nothing was sent: phoenixd pays {fee} msat of fees, the limit is {max_fee_msat}")
        try:
            # No `amountSat`: it would override the amount of the invoice, and in whole satoshis.
            reply = await call(
                "POST",
                f"{self._url}/payinvoice",
                headers=self._headers,
                form={"invoice": invoice.bolt11},
                seconds=self._options.answer_timeout,
            )
        except NotSent as error:
            return unknown(f"phoenixd could not be reached: {error}")
        except NoAnswer as error:
            return unknown(f"phoenixd did not answer: {error}")
        return await self._paid(invoice.payment_hash, reply)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. None is certain: lightning-kmp writes a payment down before it sends."""
        try:
            reply = await call(
                "GET",
                f"{self._url}/payments/outgoingbyhash/{payment_hash.lower()}",
                headers=self._headers,
                seconds=LOOK_UP_SECONDS,
            )
        except (NotSent, NoAnswer) as error:
            return unknown(f"phoenixd could not be asked: {error}")
        # A proxy's 404 is a page, and a phoenixd without this endpoint says "Unknown endpoint (check api doc)".
        if reply.status == 404 and reply.text.strip().lower() == "not found":
            return None
        if reply.status != 200:
            return unknown(_refused(reply))
        return recorded(reply.body, payment_hash)

    async def _paid(self, payment_hash: str, reply: Reply) -> PaymentResult:
        if reply.status != 200:
            return unknown(_refused(reply))
        result = answered(reply.body, payment_hash)
        if result.outcome is Outcome.FAILED:
            return await confirmed(self, payment_hash, result.reason or "phoenixd gave no reason")
        if result.outcome is Outcome.SETTLED:
            # This answer has the fee in whole satoshis, cut off; the record has it in millisatoshi.
            exact = await self.look_up(payment_hash)
            return exact if exact is not None and exact.outcome is Outcome.SETTLED else result
        return result


def answered(body: Mapping[str, object], payment_hash: str) -> PaymentResult:
    """What the body of a 200 to `/payinvoice` says: `paymentPreimage` with success, `reason` with failure. Some versions
    add a `type`, so the keys decide."""
    if not same_hash(body.get("paymentHash"), payment_hash):
        return unknown("phoenixd's answer cannot be read, or is about another payment")
    reason = body.get("reason")
    if "paymentPreimage" in body and reason is None:
        fee = amount(body.get("routingFeeSat"))
        if fee is None or fee < 0:
            return unknown("phoenixd says paid, but its fee cannot be read")
        return settled(body["paymentPreimage"], payment_hash, fee_msat=fee * MSAT_PER_SAT, wallet="phoenixd")
    if not isinstance(reason, str) or "paymentPreimage" in body:
        return unknown("phoenixd's answer says neither paid nor failed")
    if any(words in reason for words in _NOT_ABOUT_THE_FIRST):
        return unknown(f"phoenixd: {reason[:200]}")
    return failed(f"phoenixd: {reason[:200]}")


def recorded(body: Mapping[str, object], payment_hash: str) -> PaymentResult:
    """What phoenixd's record of an outgoing payment says. Pending has no `completedAt`. Early versions wrote
    `isPaid: true` for a payment that had *ended*, failed ones too: only the preimage proves one."""
    if not same_hash(body.get("paymentHash"), payment_hash):
        return unknown("phoenixd's record cannot be read, or is of another payment")
    ended, paid, fee = body.get("completedAt"), body.get("isPaid"), amount(body.get("fees"))
    if paid is True:
        if fee is None or fee < 0:
            return unknown("phoenixd says paid, but its fee cannot be read")
        return settled(body.get("preimage"), payment_hash, fee_msat=fee, wallet="phoenixd")
    if paid is False and ended is None and body.get("preimage") is None:
        return IN_FLIGHT
    if paid is False and amount(ended) is not None and body.get("preimage") is None:
        return failed("phoenixd says that the payment failed")
    return unknown("phoenixd's record says neither paid, pending nor failed")


def _refused(reply: Reply) -> str:
    if reply.status == 401:
        return (
            "phoenixd refuses the password (401); put `http-password`, not the limited one, into its secret"
        )
    if reply.status == 404:
        return "phoenixd has no such endpoint, or something in between answered (404); 0.8 or newer is needed"
    return f"phoenixd answered {reply.status}: {reply.words}"
