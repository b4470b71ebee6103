"""What Strike's answers mean, as pure functions: money, quotes, payments and error codes. Read from the pages of
docs.strike.me/api named at each; used by the rails `strike` and `strike_bank`."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, cast

import msgspec

from connectors.calls import Answer
from connectors.rails.wallet_checks import IN_FLIGHT, failed, same_hash, unknown
from core import clock
from core.money import MSAT_PER_BTC, MSAT_PER_SAT
from core.payouts.rail import Outcome, PaymentResult

# An amount is text with a decimal point, never a number of JSON; shorter than any that could overflow.
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,18})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX_32 = re.compile(r"[0-9a-fA-F]{64}")

# Codes with which Strike refuses an execution before anything leaves the account. Each is believed only when the history
# shows no payment of the hash either. Not here, because they may also be said of a payment that is under way or made:
# PROCESSING_PAYMENT, PROCESSING_CONFLICT, PAYMENT_PROCESSED, LN_INVOICE_PROCESSED (it was executed before), LN_UNAVAILABLE,
# EXCHANGE_RATE_NOT_AVAILABLE, TOO_MANY_TRANSACTIONS, UNPROCESSABLE_ENTITY (at which step is not told), NOT_FOUND (also
# what another account's key is told), and every 401, 403, 409, 425, 429 and 5xx.
NOTHING_LEFT = frozenset(
    {
        "BALANCE_TOO_LOW",
        "INVALID_AMOUNT",
        "AMOUNT_TOO_HIGH",
        "AMOUNT_TOO_LOW",
        "INVALID_LN_INVOICE",
        "INVALID_RECIPIENT",
        "LN_ROUTE_NOT_FOUND",
        "PAYMENT_QUOTE_EXPIRED",
        "SELF_PAYMENT_NOT_ALLOWED",
    }
)
# Quoting moves no money: these say that this invoice, or its amount, will not be paid from here.
QUOTE_REFUSED = NOTHING_LEFT - {"BALANCE_TOO_LOW", "PAYMENT_QUOTE_EXPIRED"} | {"LN_INVOICE_PROCESSED"}


class Unreadable(ValueError):
    """The answer is none that the published interface describes."""


class WrongQuote(ValueError):
    """A whole quote that is not for this invoice."""


class Money(msgspec.Struct, frozen=True):
    amount: Decimal
    currency: str


class Rate(msgspec.Struct, frozen=True):
    """One `source` is `amount` of `target`."""

    amount: Decimal
    source: str
    target: str


class Quoted(msgspec.Struct, frozen=True, kw_only=True):
    """A payment quote. `total` is what would leave the account, fees included."""

    id: str
    fee_msat: int
    valid_until_ms: int
    total: Money


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An error document: `{traceId, data: {status, code, message, values, validationErrors}}`. `code` is empty when the
    answer is not one of Strike's (a proxy's page, half a body)."""

    code: str
    words: str
    values: Mapping[str, Any]


def fields(value: object) -> Mapping[str, Any]:
    """A JSON object, empty when it is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def is_id(value: object) -> bool:
    """Ids are put into paths."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def decimal_text(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, str) and _AMOUNT.fullmatch(value) else None


def money(value: object) -> Money | None:
    """`{amount: "0.35", currency: "USD"}`; None when it is no such thing."""
    body = fields(value)
    amount, currency = decimal_text(body.get("amount")), body.get("currency")
    return Money(amount, currency) if amount is not None and isinstance(currency, str) else None


def rate(value: object) -> Rate | None:
    """`{amount, sourceCurrency, targetCurrency}`, as `conversionRate` and each entry of `GET /rates/ticker` have it."""
    body = fields(value)
    amount = decimal_text(body.get("amount"))
    source, target = body.get("sourceCurrency"), body.get("targetCurrency")
    if not amount or not isinstance(source, str) or not isinstance(target, str):
        return None
    return Rate(amount, source, target)


def msat_of(value: Money, at: Rate | None, rounding: str = ROUND_CEILING) -> int | None:
    """`value` in msat. Strike's pages show rates in both directions, so both are read; None without a rate that fits."""
    if value.currency == "BTC":
        btc = value.amount
    elif not value.amount:
        btc = Decimal(0)
    elif at is not None and (at.source, at.target) == ("BTC", value.currency):
        btc = value.amount / at.amount
    elif at is not None and (at.source, at.target) == (value.currency, "BTC"):
        btc = value.amount * at.amount
    else:
        return None
    return int((btc * MSAT_PER_BTC).to_integral_value(rounding))


def moment_ms(value: object) -> int | None:
    """A date-time as UTC milliseconds; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return clock.to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def fee_of(body: Mapping[str, Any]) -> Money | None:
    """All fees of a quote or payment: `totalFee`, or what `totalAmount` is above `amount`, whichever is more. None when it
    cannot be told."""
    told, amount, total = (money(body.get(key)) for key in ("totalFee", "amount", "totalAmount"))
    if amount is None or total is None or amount.currency != total.currency:
        return told
    above = Money(max(total.amount - amount.amount, Decimal(0)), total.currency)
    if told is None:
        return above
    return told if told.currency != above.currency or told.amount >= above.amount else above


def quoted(value: object, *, amount_msat: int, source: str) -> Quoted:
    """The body of a 201 to `POST /payment-quotes/lightning` (docs.strike.me/api/create-lightning-payment-quote). Raises
    Unreadable, and WrongQuote for one over another amount than the invoice's or in another currency."""
    body = fields(value)
    quote_id, until = body.get("paymentQuoteId"), moment_ms(body.get("validUntil"))
    amount, total, fee = money(body.get("amount")), money(body.get("totalAmount")), fee_of(body)
    if not is_id(quote_id) or until is None or amount is None or total is None or fee is None:
        raise Unreadable("Strike's quote cannot be read")
    if amount.currency != source or total.currency != source:
        raise WrongQuote(f"Strike's quote is in {amount.currency}, not in {source}")
    at = rate(body.get("conversionRate"))
    receives, fee_msat = msat_of(amount, at), msat_of(fee, at)
    if receives is None or fee_msat is None:
        raise Unreadable("Strike's quote has no conversion rate that fits")
    if abs(receives - amount_msat) > tolerance(amount, at, amount_msat):
        raise WrongQuote(f"Strike's quote is over {receives} msat, the invoice over {amount_msat}")
    return Quoted(id=str(quote_id), fee_msat=fee_msat, valid_until_ms=until, total=total)


def tolerance(amount: Money, at: Rate | None, amount_msat: int) -> int:
    """In msat. Bitcoin is quoted to the satoshi; of dollars a cent is rounded, and the rate to some digits."""
    if amount.currency == "BTC":
        return MSAT_PER_SAT
    return (msat_of(Money(Decimal("0.01"), amount.currency), at) or 0) + amount_msat // 100


def result_of(value: object, payment_hash: str) -> PaymentResult:
    """What a payment says (docs.strike.me/api/get-payment-by-id, the answer to an execution too). PENDING: not completed,
    but the account was charged. FAILED: failed, and the account was not charged. A preimage is not promised; one that is
    there must be the invoice's."""
    body = fields(value)
    lightning = fields(body.get("lightning"))
    named, preimage = lightning.get("paymentHash"), lightning.get("preImage")
    if named is not None and not same_hash(named, payment_hash):
        return unknown("Strike's answer is about another payment")
    proof = preimage.lower() if isinstance(preimage, str) and _HEX_32.fullmatch(preimage) else None
    if proof is not None and not _proves(proof, payment_hash):
        return unknown("Strike gives a preimage that is not that of the invoice")
    state, old = body.get("state"), body.get("result")
    if old not in (None, _OLD_WORDS.get(str(state))):
        return unknown("Strike's answer contradicts itself: state and result differ")
    match state:
        case "COMPLETED":
            return _settled(body, proof)
        case "PENDING":
            return IN_FLIGHT
        case "FAILED" if proof is None:
            return failed("Strike says that the payment failed; the account was not charged")
        case _:
            return unknown("Strike's answer says neither completed, pending nor failed")


# `result` is obsolete and still sent.
_OLD_WORDS = {"COMPLETED": "SUCCESS", "PENDING": "PENDING", "FAILED": "FAILURE"}


def _settled(body: Mapping[str, Any], preimage: str | None) -> PaymentResult:
    fee = fee_of(body)
    fee_msat = None if fee is None else msat_of(fee, rate(body.get("conversionRate")))
    if fee_msat is None:
        return unknown("Strike says completed, but its fee cannot be read")
    return PaymentResult(outcome=Outcome.SETTLED, preimage=preimage, fee_msat=fee_msat)


def _proves(preimage: str, payment_hash: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(bytes.fromhex(preimage)).hexdigest(), payment_hash.lower())


def together(results: list[PaymentResult]) -> PaymentResult | None:
    """Several payments of one hash: one that left outweighs those that failed. None for none."""
    order = (Outcome.SETTLED, Outcome.IN_FLIGHT, Outcome.UNKNOWN, Outcome.FAILED)
    return min(results, key=lambda result: order.index(result.outcome), default=None)


def said(answer: Answer) -> Said:
    data = fields(fields(answer.body).get("data"))
    code, message = data.get("code"), data.get("message")
    if not isinstance(code, str) or not re.fullmatch(r"[A-Z_]{3,60}", code):
        return Said(code="", words=f"{answer.status}, in no form of Strike's", values={})
    text = " ".join(message.split())[:200] if isinstance(message, str) else "no message"
    return Said(code=code, words=f"{answer.status} {code}: {text}", values=fields(data.get("values")))


def refused(answer: Answer, codes: frozenset[str]) -> bool:
    """A whole error document with one of these codes, under the status that belongs to it."""
    return answer.status in (400, 422) and said(answer).code in codes


def hash_of(item: Mapping[str, Any]) -> str | None:
    """Which invoice a payment in the list is for: named, or proven by its preimage. Empty for a payment on the chain, None
    when it cannot be told: then the list proves no absence."""
    lightning = fields(item.get("lightning"))
    named, preimage = lightning.get("paymentHash"), lightning.get("preImage")
    if isinstance(named, str) and _HEX_32.fullmatch(named):
        return named.lower()
    if isinstance(preimage, str) and _HEX_32.fullmatch(preimage):
        return hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
    return "" if not lightning and fields(item.get("onchain")) else None


def available(body: object, currency: str) -> Money | None:
    """What `GET /balances` says of one currency, a list of `{currency, available, ...}`; None when it does not."""
    for entry in entries(body):
        amount = decimal_text(entry.get("available"))
        if entry.get("currency") == currency and amount is not None:
            return Money(amount, currency)
    return None


def ticker(body: object, currency: str) -> Rate | None:
    """The rate between bitcoin and `currency` in the answer to `GET /rates/ticker`."""
    rates = (rate(entry) for entry in entries(body))
    return next((one for one in rates if one and {one.source, one.target} == {"BTC", currency}), None)


def entries(body: object) -> list[Mapping[str, Any]]:
    """The objects of a JSON list; empty when it is none."""
    return [fields(entry) for entry in cast("list[object]", body)] if isinstance(body, list) else []


def floor_msat(value: Money, at: Rate | None) -> int | None:
    return msat_of(value, at, ROUND_FLOOR)
