"""The rail `strike`: pays BOLT11 invoices from the balance of a Strike account, by quotes (docs.strike.me). Registered in
`connectors/rails/__init__.py`; set up as README.md beside this file says, which also names what is not verified."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import msgspec

from connectors.calls import Answer, NoAnswer, NotSent, seconds_to_wait
from connectors.rails import strike_account, wallet_options
from connectors.rails.strike_account import Unread, hint
from connectors.rails.strike_answers import (
    NOTHING_LEFT,
    QUOTE_REFUSED,
    Quoted,
    Unreadable,
    WrongQuote,
    fields,
    floor_msat,
    hash_of,
    is_id,
    moment_ms,
    money,
    quoted,
    rate,
    refused,
    result_of,
    said,
    tolerance,
)
from connectors.rails.strike_http import READ_SECONDS, Budget, StrikeHttp
from connectors.rails.strike_payment_ids import PaymentIds
from connectors.rails.wallet_checks import failed, refusal, unknown
from connectors.secret_refs import Secrets
from core import clock
from core.errors import Misconfigured, Rejected, Retryable
from core.payouts.rail import Capabilities, Invoice, PaymentResult, Quote, Recorded
from core.secret import Secret

Value = TypeVar("Value")

LEAST_LEFT_MS = 10_000  # a quote must live at least so long, else it ends before it is executed
REMEMBERED = 1_000
# The quote, or the invoice, has been executed or is being: what became of it stands in the history alone.
_BEFORE = frozenset(
    {"PAYMENT_PROCESSED", "LN_INVOICE_PROCESSED", "PROCESSING_PAYMENT", "PROCESSING_CONFLICT"}
)


class StrikeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the rail's block in the configuration. `answer_timeout` in seconds. `payment_list_complete` says
    that you have seen `GET /v1/payments` of this account show every payment at once; without it an absence there proves
    nothing, and a payment whose answer was lost waits for a person."""

    api_key: Secrets
    url: str = "https://api.strike.me"
    network: Literal["bc", "tb", "tbs", "bcrt"] = "bc"
    source_currency: Literal["USD", "BTC"] = "USD"
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=20)] = 15.0
    requests_per_10_minutes: Annotated[int, msgspec.Meta(ge=20, le=1_000)] = 800
    payment_list_complete: bool = False
    webhook_secrets: Secrets | None = None


class StrikeRail:
    """Implements `core.payouts.rail.Rail`, `Quoting`, `Funded` and `Recording`."""

    name = "strike"

    def __init__(self, data_dir: Path, options: StrikeOptions):
        self._options = options
        key = wallet_options.secret(
            self.name, "api_key", options.api_key, where="an API key of dashboard.strike.me"
        )
        url = wallet_options.base_url(self.name, options.url).removesuffix("/v1")
        self._http = StrikeHttp(url, Secret(key), Budget(options.requests_per_10_minutes))
        self._quotes: dict[str, Quoted] = {}  # by invoice; a duplicate is answered without its price
        self._payments = PaymentIds(data_dir)
        self.webhook_secrets = options.webhook_secrets or Secrets(())
        self.capabilities = Capabilities(
            real_money=options.network == "bc", proves_by_preimage=False, network=options.network
        )

    @classmethod
    def from_options(cls, data_dir: Path, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use."""
        return cls(data_dir, wallet_options.read(StrikeOptions, cls.name, options))

    async def quote(self, invoice: Invoice, *, max_fee_msat: int) -> Quote:
        """See `Quoting.quote`. There is no fee limit on an execution, so the limit is held against the quote's `totalFee`.
        Also raises Misconfigured for a key that Strike refuses."""
        why = refusal(invoice, self.capabilities.network, clock.now_ms())
        if why:
            raise Rejected("not_payable", f"Strike is not asked: {why}")
        made = self._quotes.get(invoice.bolt11) or await self._quoted(invoice)
        if made.fee_msat > max_fee_msat:
            raise Rejected(
                "too_dear", f"Strike takes {made.fee_msat} msat of fees, the limit is {max_fee_msat}"
            )
        if made.valid_until_ms < clock.now_ms() + LEAST_LEFT_MS:
            raise Retryable(
                "quote_ends", "Strike's quote ends too soon; a new invoice gets a new one", after=5
            )
        await self._afford(made)
        return Quote(reference=made.id, fee_msat=made.fee_msat, valid_until_ms=made.valid_until_ms)

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. Executes the quote `invoice.reference` once. `max_fee_msat` was held against the quote, whose
        price is fixed; a quote is never made here."""
        payment_hash, reference = invoice.payment_hash, invoice.reference
        if not is_id(reference):
            return unknown("nothing was sent: this attempt has no quote of Strike's")
        why = refusal(invoice, self.capabilities.network, clock.now_ms())
        if why:
            return await self._unless_seen(payment_hash, f"nothing was sent: {why}")
        try:
            answer = await self._http.call(
                "PATCH",
                f"/payment-quotes/{reference}/execute",
                seconds=self._options.answer_timeout,
                paying=True,
            )
        except NotSent as error:
            return unknown(f"Strike could not be reached: {error}")
        except NoAnswer as error:
            return unknown(f"Strike did not answer: {error}")
        return await self._executed(payment_hash, reference, answer)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. By the payment's id where the execution told it, else by the hash in the list of payments.
        A quote past its end says nothing: it may have been executed before. None only as `payment_list_complete` says."""
        payment_id = await asyncio.to_thread(self._payments.find, reference)
        if is_id(payment_id):
            return await self._payment(payment_id, payment_hash)
        history = await strike_account.history(self._http, payment_hash)
        if history.found is not None:
            return history.found
        if history.gap:
            return unknown(history.gap)
        if not self._options.payment_list_complete:
            return unknown(
                "Strike's list of payments does not have it, which proves nothing until payment_list_complete is set"
            )
        return None

    async def balance_msat(self) -> int:
        """See `Funded.balance_msat`."""
        return await strike_account.balance_msat(self._http, self._options.source_currency)

    async def payments(self, since_ms: int) -> AsyncGenerator[Recorded]:
        """See `Recording.payments`. From a dollar balance `amount_msat` is Strike's dollars at its own rate, to within a
        cent; from a bitcoin balance it is exact."""
        try:
            async for item in strike_account.listed(self._http):
                at_ms = moment_ms(item.get("completed")) or moment_ms(item.get("created"))
                payment_hash = hash_of(item)
                if payment_hash is None or at_ms is None:
                    raise Unread("Strike's list of payments does not say which invoices were paid, or when")
                if payment_hash and at_ms >= since_ms:
                    yield self._recorded(item, payment_hash, at_ms)
        except Unread as error:
            raise Retryable("unreadable_history", str(error)) from error

    def _recorded(self, item: Mapping[str, object], payment_hash: str, at_ms: int) -> Recorded:
        amount = money(item.get("amount"))
        at = rate(item.get("conversionRate"))
        msat = None if amount is None else floor_msat(amount, at)
        if amount is None or msat is None:
            raise Unread("the amount of a payment in Strike's list cannot be read")
        result = result_of(item, payment_hash)
        return Recorded(
            payment_hash=payment_hash,
            outcome=result.outcome,
            amount_msat=msat,
            fee_msat=result.fee_msat,
            at_ms=at_ms,
            within_msat=0 if amount.currency == "BTC" else tolerance(amount, at, msat),
        )

    async def _quoted(self, invoice: Invoice) -> Quoted:
        """A new quote. Raises as `quote` does."""
        budget = self._http.budget
        if budget.left(paying=True) < 2:  # the execution must find room too
            raise Retryable("rate_limited", "Strike's rate limits are used up", after=budget.wait())
        try:
            answer = await self._http.call(
                "POST",
                "/payment-quotes/lightning",
                json={"lnInvoice": invoice.bolt11, "sourceCurrency": self._options.source_currency},
                headers={"idempotency-key": idempotency_key(invoice.bolt11)},
                seconds=READ_SECONDS,
                paying=True,
            )
        except (NotSent, NoAnswer) as error:
            raise Retryable("unreachable", f"Strike could not be asked for a quote: {error}") from error
        if answer.status not in (200, 201):
            return self._quoted_before(invoice.bolt11, answer)
        try:
            made = quoted(answer.body, amount_msat=invoice.amount_msat, source=self._options.source_currency)
        except Unreadable as error:
            raise Retryable("unreadable_quote", str(error)) from error
        except WrongQuote as error:
            raise Rejected("wrong_quote", str(error)) from error
        _remember(self._quotes, invoice.bolt11, made)
        return made

    def _quoted_before(self, bolt11: str, answer: Answer) -> Quoted:
        """Strike's refusal. A duplicate carries the id of the first quote, but neither price nor end: without them, as
        after a restart, it must not be executed. No harm: the payout goes on with another invoice."""
        problem = said(answer)
        if problem.code == "DUPLICATE_PAYMENT_QUOTE":
            first = self._quotes.get(bolt11)
            if first is not None and first.id == problem.values.get("paymentQuoteId"):
                return first
            raise Retryable(
                "quote_unpriced", "Strike has quoted this invoice, at a price that was lost", after=5
            )
        if refused(answer, QUOTE_REFUSED):
            raise Rejected("refused", f"Strike refuses the invoice: {problem.words}")
        if answer.status in (401, 403):
            raise Misconfigured("credentials_refused", hint(answer))
        raise Retryable(
            "no_quote",
            hint(answer),
            after=seconds_to_wait(answer.headers, "retry-after"),
            status=answer.status,
        )

    async def _afford(self, made: Quoted) -> None:
        """Raises Retryable when the balance does not cover the quote: before an attempt that is a wait, after it a failure.
        A balance that cannot be read is left to the execution."""
        try:
            balance = await strike_account.balance(self._http, made.total.currency)
        except Unread:
            return
        if balance.amount < made.total.amount:
            raise Retryable(
                "balance_too_low",
                f"the Strike account has {balance.amount} {balance.currency}, the quote takes {made.total.amount}",
                after=300,
            )

    async def _executed(self, payment_hash: str, reference: str, answer: Answer) -> PaymentResult:
        if answer.status in (200, 202):
            payment_id = fields(answer.body).get("paymentId")
            if not is_id(payment_id):
                return unknown("Strike's answer to the execution cannot be read")
            first = await asyncio.to_thread(self._payments.find, reference)
            if first not in (
                None,
                payment_id,
            ):  # against all that is inferred; the first stays the one to ask about
                return unknown(f"Strike made a second payment of one quote: {payment_id} after {first}")
            await asyncio.to_thread(self._payments.remember, reference, str(payment_id))
            return result_of(answer.body, payment_hash)
        if refused(answer, NOTHING_LEFT):
            return await self._unless_seen(payment_hash, f"Strike refused: {said(answer).words}")
        if said(answer).code in _BEFORE:
            seen = await self.look_up(payment_hash, reference=reference)
            return seen or unknown(f"{hint(answer)}; its list of payments does not have it yet")
        return unknown(hint(answer))

    async def _unless_seen(self, payment_hash: str, reason: str) -> PaymentResult:
        """FAILED when the history has no payment of this hash: a refusal may be about a second execution, whose first one
        paid. Where the history cannot be read it is UNKNOWN."""
        history = await strike_account.history(self._http, payment_hash)
        if history.found is not None:
            return history.found
        return unknown(f"{reason}; {history.gap}") if history.gap else failed(reason)

    async def _payment(self, payment_id: str | None, payment_hash: str) -> PaymentResult:
        try:
            answer = await strike_account.ask(self._http, f"/payments/{payment_id}")
        except Unread as error:
            return unknown(str(error))
        if fields(answer.body).get("paymentId") != payment_id:
            return unknown("Strike's record cannot be read, or is of another payment")
        return result_of(answer.body, payment_hash)


def idempotency_key(bolt11: str) -> str:
    """A UUID in the form of version 4, which Strike asks for; always the same for one invoice, so that a repeated request
    makes no second quote. Of the whole invoice, not of its payment hash alone: two invoices of one hash may ask for
    different amounts, and the quote of the dear one must not come back for the cheap one."""
    digest = hashlib.sha256(f"strike quote {bolt11.lower()}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _remember(kept: dict[str, Value], key: str, value: Value) -> None:
    """The oldest goes when there are too many; what is forgotten is asked again or stays in doubt."""
    if len(kept) >= REMEMBERED:
        del kept[next(iter(kept))]
    kept[key] = value
