"""The rail `lnbits`: a wallet on an LNbits server, 1.6 or newer. Registered in `connectors/rails/__init__.py`; set up as
README.md beside this file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self, cast

import msgspec

from connectors.calls import NoAnswer, NotSent
from connectors.rails import wallet_options
from connectors.rails.lnbits_account import LnbitsAccount
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
from core.payouts.rail import Capabilities, Invoice, Outcome, PaymentResult

_PAYMENT_ERROR = 520  # LNbits' status for every PaymentError


class LnbitsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the rail's block in the configuration. `answer_timeout` in seconds; longer than LNbits' own
    `lnbits_funding_source_pay_invoice_wait_seconds`, after which it answers "pending"."""

    admin_key: Secrets
    url: str = "http://127.0.0.1:5000"
    network: Literal["bc", "tb", "tbs", "bcrt"] = "bc"
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=20)] = 15.0


class LnbitsRail(WithAccount):
    """Implements `core.payouts.rail.Rail`, `Funded`, `Recording` and `Receiving`."""

    name = "lnbits"

    def __init__(self, options: LnbitsOptions):
        self._options = options
        api = wallet_options.base_url(self.name, options.url) + "/api/v1"
        self._payments = f"{api}/payments"
        key = wallet_options.secret(
            self.name, "admin_key", options.admin_key, where="the wallet's Admin key (not its Invoice key)"
        )
        self._headers = {"X-Api-Key": key}
        self._account = LnbitsAccount(api, self._headers, options.network)
        self.capabilities = Capabilities(
            real_money=options.network == "bc",
            proves_by_preimage=True,
            network=options.network,
            exact_balance=True,
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use."""
        return cls(wallet_options.read(LnbitsOptions, cls.name, options))

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. LNbits goes on paying when we hang up after `answer_timeout`; that is UNKNOWN."""
        begun = clock.monotonic()
        early = await look_first(self, invoice) or await self._over_limit(invoice, max_fee_msat)
        early = early or too_late(begun)
        if early is not None:
            return early
        try:
            reply = await call(
                "POST",
                self._payments,
                headers=self._headers,
                json={"out": True, "bolt11": invoice.bolt11},
                seconds=self._options.answer_timeout,
            )
        except NotSent as error:
            return unknown(f"LNbits could not be reached: {error}")
        except NoAnswer as error:
            return unknown(f"LNbits did not answer: {error}")
        return await self._paid(invoice.payment_hash, reply)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. None is certain: LNbits commits its row before it asks its funding source. While LNbits pays
        it may not answer at all, for one connection to its database serves both."""
        try:
            reply = await call(
                "GET",
                f"{self._payments}/{payment_hash.lower()}",
                headers=self._headers,
                seconds=LOOK_UP_SECONDS,
            )
        except (NotSent, NoAnswer) as error:
            return unknown(f"LNbits could not be asked: {error}")
        # 404 is also "Wallet not found." (a wrong key), and what a proxy says of a path it does not know.
        if reply.status == 404 and reply.body.get("detail") == "Payment does not exist.":
            return None
        if reply.status != 200:
            return unknown(_refused(reply))
        return recorded(reply.body, payment_hash)

    async def _over_limit(self, invoice: Invoice, max_fee_msat: int) -> PaymentResult | None:
        """LNbits takes no fee limit with a payment: it lets its funding source spend its own fee reserve, and adds its
        service fee. None when both together stay within the limit."""
        try:
            reply = await call(
                "GET",
                f"{self._payments}/fee-reserve?invoice={invoice.bolt11}",
                headers=self._headers,
                seconds=LOOK_UP_SECONDS,
            )
        except (NotSent, NoAnswer) as error:
            return unknown(f"nothing was sent: LNbits did not tell its fee reserve: {error}")
        reserve = amount(reply.body.get("fee_reserve"))
        if reply.status != 200 or reserve is None:
            return unknown(f"nothing was sent: LNbits did not tell its fee reserve: {_refused(reply)}")
        if reserve > max_fee_msat:
            return failed(
                f"nothing was sent: LNbits would spend up to {reserve} msat on fees, the limit is {max_fee_msat}"
            )
        return None

    async def _paid(self, payment_hash: str, reply: Reply) -> PaymentResult:
        if reply.status in (200, 201):
            result = answered(reply.body, payment_hash)
            if result.outcome is Outcome.FAILED:
                return await confirmed(self, payment_hash, result.reason or "LNbits gave no reason")
            return result
        # The status "failed" also stands beside "Internal invoice already paid.", so that the record decides.
        if reply.status == _PAYMENT_ERROR and reply.body.get("status") == "failed":
            return await confirmed(self, payment_hash, f"LNbits: {_detail(reply)}")
        return unknown(_refused(reply))


def answered(body: Mapping[str, object], payment_hash: str) -> PaymentResult:
    """What the body of a 201 to `POST /api/v1/payments` says: the payment itself, `amount` and `fee` in msat, both
    negative when they leave."""
    if not same_hash(body.get("payment_hash"), payment_hash):
        return unknown("LNbits' answer cannot be read, or is about another payment")
    match body.get("status"):
        case "success":
            return _settled(body, payment_hash, body.get("preimage"))
        case "pending":
            return IN_FLIGHT
        case "failed":
            return failed("LNbits says that the payment failed")
        case _:
            return unknown("LNbits' answer says neither success, pending nor failed")


def recorded(body: Mapping[str, object], payment_hash: str) -> PaymentResult:
    """What `GET /api/v1/payments/{hash}` says. `details` is there only when the key is of the wallet that paid; without
    it the record may be of somebody else's wallet on the same server. Releases before 1.0 wrote `paid: true` for a
    failed payment too (`"paid": not payment.pending`) and had no `status`."""
    details = body.get("details")
    if not isinstance(details, dict):
        return unknown("LNbits does not show this payment in full: is the key of the wallet that paid it?")
    row = cast("dict[str, object]", details)
    if not same_hash(row.get("payment_hash"), payment_hash):
        return unknown("LNbits' record cannot be read, or is of another payment")
    sent = amount(row.get("amount"))
    if sent is None or sent >= 0:
        return unknown("LNbits shows an incoming payment of this hash: the wallet would pay itself")
    paid, status = body.get("paid"), row.get("status")
    if paid is True and status == "success":
        return _settled(row, payment_hash, row.get("preimage") or body.get("preimage"))
    if paid is False and status == "pending":
        return IN_FLIGHT
    if paid is False and status == "failed":
        return failed("LNbits says that the payment failed")
    return unknown("LNbits' record says neither success, pending nor failed")


def _settled(row: Mapping[str, object], payment_hash: str, preimage: object) -> PaymentResult:
    fee = amount(row.get("fee"))
    if fee is None:
        return unknown("LNbits says paid, but its fee cannot be read")
    return settled(preimage, payment_hash, fee_msat=abs(fee), wallet="LNbits")


def _detail(reply: Reply) -> str:
    detail = reply.body.get("detail")
    return detail[:200] if isinstance(detail, str) else reply.words


def _refused(reply: Reply) -> str:
    said = _detail(reply)
    if reply.status in (401, 403) or (reply.status == 404 and "allet" in said):
        return f"LNbits refuses the key ({reply.status}: {said}); put the wallet's Admin key into its secret"
    return f"LNbits answered {reply.status}: {said}"
