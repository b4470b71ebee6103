"""What Core Lightning's answers mean. Pure; used by `cln.py`. Written from doc/schemas (xpay, pay, listpays,
listsendpays, getinfo), common/jsonrpc_errors.h and plugins/rest-plugin of v26.06: amounts are whole millisatoshi."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

from connectors.rails import bolt11
from connectors.rails.node_checks import IN_FLIGHT, proves, settled, unknown
from connectors.rails.node_http import NodeAnswer, NodeTrouble, said
from core.payouts.rail import PaymentResult

CREATED = 201  # the one status that clnrest gives a call that worked
UNKNOWN_METHOD = -32601
# 203 the payee refuses for good, 205 no route, 206 too expensive, 207 expired. All others (200 in progress, 209 and
# 210 gave up, 219 already paid, -1 anything) say nothing about what is still under way.
FINAL = frozenset({203, 205, 206, 207})
_BAD_RUNE = frozenset({1501, 1502})

Count = Annotated[int, msgspec.Meta(ge=0)]
FormT = TypeVar("FormT", bound=msgspec.Struct)


class RpcError(msgspec.Struct, frozen=True):
    code: int
    message: str = ""


class Paid(msgspec.Struct, frozen=True):
    """The answer of `xpay`, and of `pay`, which alone has `status` and `payment_hash`."""

    payment_preimage: str
    amount_msat: Count
    amount_sent_msat: Count
    status: str = "complete"
    payment_hash: str | None = None


class Pay(msgspec.Struct, frozen=True):
    """One entry of `listpays`: a payment, its parts added up."""

    payment_hash: str
    status: str
    preimage: str | None = None
    amount_msat: Count | None = None
    amount_sent_msat: Count | None = None
    bolt11: str | None = None


class Part(msgspec.Struct, frozen=True):
    """One entry of `listsendpays`."""

    payment_hash: str
    status: str
    id: int
    payment_preimage: str | None = None


class Pays(msgspec.Struct, frozen=True):
    pays: list[Pay]


class Parts(msgspec.Struct, frozen=True):
    payments: list[Part]


class NodeInfo(msgspec.Struct, frozen=True):
    id: str
    network: str


class AllFailed(msgspec.Struct, frozen=True):
    """Every part that there is has failed. `newest` is the id of the youngest: another one means that the node went on
    trying. 0 when only `listpays` knows of them."""

    newest: int


def read(answer: NodeAnswer, form: type[FormT]) -> FormT | RpcError:
    """The answer as `form`, or the RPC's error. Raises NodeTrouble when it is neither (HTML, half a body, another
    shape, a status that does not fit)."""
    try:
        if answer.status == CREATED:
            return msgspec.json.decode(answer.body, type=form)
        return msgspec.json.decode(answer.body, type=RpcError)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NodeTrouble(f"its answer ({answer.status}) cannot be read") from error


def judge_paid(paid: Paid, payment_hash: str) -> PaymentResult:
    """What the paying command says when it worked. `xpay` may say so while parts are "anticipated to succeed": the
    preimage is the proof all the same."""
    if paid.payment_hash not in (None, payment_hash):
        return unknown("cln answered about another payment hash")
    if paid.status == "pending":
        return IN_FLIGHT
    if paid.status != "complete":
        return unknown(f"cln answered with a state that is not the end: {said(paid.status)}")
    return settled(paid.payment_preimage, payment_hash, paid.amount_sent_msat - paid.amount_msat)


def judge_records(
    pays: Sequence[Pay], parts: Sequence[Part], payment_hash: str
) -> PaymentResult | AllFailed | None:
    """What the node's two lists say together; None when neither knows the hash. A part that is pending in either keeps
    the payment in flight: some versions leave it so when it has failed, and that needs an operator, not a guess."""
    if any(entry.payment_hash != payment_hash for entry in (*pays, *parts)):
        return unknown("cln answered about another payment hash")
    states = {entry.status for entry in (*pays, *parts)}
    if "complete" in states:
        return _complete(pays, parts, payment_hash)
    if "pending" in states:
        return IN_FLIGHT
    if states - {"failed"}:
        return unknown(f"cln answered with a state that is not known: {said(', '.join(sorted(states)))}")
    if not states:
        return None
    return AllFailed(newest=max((part.id for part in parts), default=0))


def _complete(pays: Sequence[Pay], parts: Sequence[Part], payment_hash: str) -> PaymentResult:
    """Parts that are still pending behind a known preimage will be paid too; only then can the fee be booked."""
    whole = next((pay for pay in pays if pay.status == "complete"), None)
    if whole is None:
        proven = any(proves(part.payment_preimage, payment_hash) for part in parts)
        return IN_FLIGHT if proven else unknown("cln says paid, without a preimage of the payment hash")
    amount = whole.amount_msat if whole.amount_msat is not None else _amount(whole.bolt11)
    fee = None if amount is None or whole.amount_sent_msat is None else whole.amount_sent_msat - amount
    pending = any(part.status == "pending" for part in parts)
    if fee is not None and fee < 0 and pending and proves(whole.preimage, payment_hash):
        return IN_FLIGHT
    return settled(whole.preimage, payment_hash, fee)


def _amount(invoice: str | None) -> int | None:
    """`listpays` may leave the amount out; the invoice then says it."""
    try:
        return None if invoice is None else bolt11.decode(invoice).amount_msat
    except ValueError:
        return None  # the caller answers UNKNOWN with its reason


def doubt(error: RpcError) -> PaymentResult:
    """UNKNOWN with the node's own words."""
    words = f"cln refused ({error.code}): {said(error.message)}"
    if error.code in _BAD_RUNE:
        words += "; make the rune as told in connectors/rails/README.md"
    return unknown(words)
