"""The rail `strike_bank`: pays bank accounts in dollars from a Strike account, by payouts (docs.strike.me/walkthrough/
making-payouts; for the business accounts that Strike lets). Registered in `connectors/rails/__init__.py`; see README.md."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, Self, TypeVar

import msgspec

from connectors.calls import Answer, NoAnswer, NotSent, failure_of, failure_of_status, seconds_to_wait
from connectors.rails import strike_account, wallet_options
from connectors.rails.strike_account import Unread, hint
from connectors.rails.strike_answers import Money, entries, fields, is_id, msat_of, said
from connectors.rails.strike_bank_answers import (
    CURRENCY,
    LONGEST_REFERENCE,
    NEVER_BEGAN,
    TRANSFER_TYPE,
    Method,
    Payout,
    method_of,
    payee_body,
    payout_of,
    result_of,
    same_account,
    wrong_payee,
)
from connectors.rails.strike_http import READ_SECONDS, Budget, StrikeHttp
from connectors.rails.wallet_checks import failed, unknown
from connectors.secret_refs import Secrets
from core.errors import HubError, Rejected, Retryable
from core.payouts.rail import (
    BankAccount,
    Capabilities,
    Invoice,
    Outcome,
    PaymentResult,
    Quote,
    Target,
)
from core.secret import Secret, digest

Value = TypeVar("Value")

REMEMBERED = 1_000
PAGE = 100
MOST_PAGES = 10


class StrikeBankOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `options` of the rail's block in the configuration. `answer_timeout` in seconds. `originator_id` names an
    approved payout originator; empty when the owner of the Strike account is the sender."""

    api_key: Secrets
    url: str = "https://api.strike.me"
    sandbox: bool = False
    originator_id: str = ""
    answer_timeout: Annotated[float, msgspec.Meta(ge=1, le=20)] = 15.0
    requests_per_10_minutes: Annotated[int, msgspec.Meta(ge=20, le=1_000)] = 100
    webhook_secrets: Secrets | None = None


class StrikeBankRail:
    """Implements `core.payouts.rail.Rail`, `Quoting` and `Funded`. A payout is created in `quote`, which moves nothing, and
    initiated in `pay`; one that is never initiated stays NEW and harms nobody."""

    name = "strike_bank"

    def __init__(self, options: StrikeBankOptions):
        self._options = options
        key = wallet_options.secret(
            self.name, "api_key", options.api_key, where="an API key of dashboard.strike.me"
        )
        url = wallet_options.base_url(self.name, options.url).removesuffix("/v1")
        if options.originator_id and not is_id(options.originator_id):
            raise wallet_options.wrong(self.name, "originator_id", "is not the id of a payout originator")
        self._http = StrikeHttp(url, Secret(key), Budget(options.requests_per_10_minutes))
        self._methods: dict[str, str] = {}  # digest of an account -> its payment method
        self._payouts: dict[str, Payout] = {}  # what is to be paid -> a payout that is still NEW
        self.webhook_secrets = options.webhook_secrets or Secrets(())
        self.capabilities = Capabilities(
            real_money=not options.sandbox,
            proves_by_preimage=False,
            network="tb" if options.sandbox else "bc",
            pays=Target.BANK,
            slow=True,
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """Raises Misconfigured for an option that it does not know or cannot use."""
        return cls(wallet_options.read(StrikeBankOptions, cls.name, options))

    async def quote(self, invoice: Invoice, *, max_fee_msat: int) -> Quote:
        """See `Quoting.quote`. Retryable while Strike looks at the bank details. Strike's creation of a payout takes no
        idempotency key: after a restart the same invoice gets a second payout, and the first stays NEW."""
        payee = invoice.payee
        why = wrong_payee(payee, invoice.cents)
        if payee is None or why:
            raise Rejected("bad_payee", why)
        # Of the account too: a worker may have changed it since.
        key = f"{invoice.payment_hash} {invoice.cents} {_account_key(payee)}"
        made = self._payouts.get(key)
        if made is None:
            method_id = await self._ready_method(payee)
            made = await self._create(method_id, payee, invoice)
            _remember(self._payouts, key, made)
        fee_msat = _in_msat(made.fee, invoice)
        if fee_msat > max_fee_msat:
            raise Rejected(
                "too_dear",
                f"Strike takes {made.fee.amount} USD for the payout, {fee_msat} msat; the limit is {max_fee_msat}",
            )
        return Quote(reference=made.id, fee_msat=fee_msat)

    async def pay(self, invoice: Invoice, *, max_fee_msat: int) -> PaymentResult:
        """See `Rail.pay`. Initiates the payout `invoice.reference` once; a payout is never created here."""
        reference = invoice.reference
        if not is_id(reference):
            return unknown("nothing was sent: this attempt has no payout of Strike's")
        try:
            # The reference does not print the verb; PATCH is what clients written against it send, see README.md.
            answer = await self._http.call(
                "PATCH", f"/payouts/{reference}/initiate", seconds=self._options.answer_timeout, paying=True
            )
        except NotSent as error:
            return unknown(f"Strike could not be reached: {error}")
        except NoAnswer as error:
            return unknown(f"Strike did not answer: {error}")
        return await self._initiated(invoice.payment_hash, reference, answer)

    async def look_up(self, payment_hash: str, *, reference: str = "") -> PaymentResult | None:
        """See `Rail.look_up`. By the payout's id; None when it is still NEW: it was never initiated."""
        if not is_id(reference):
            return unknown("this attempt has no payout of Strike's to ask about")
        try:
            answer = await strike_account.ask(self._http, f"/payouts/{reference}")
        except Unread as error:
            return unknown(str(error))
        payout = payout_of(answer.body)
        if payout is None or payout.id != reference:
            return unknown("Strike's record cannot be read, or is of another payout")
        return None if payout.state == "NEW" else await self._result(payout)

    async def balance_msat(self) -> int:
        """See `Funded.balance_msat`."""
        return await strike_account.balance_msat(self._http, CURRENCY)

    async def _initiated(self, payment_hash: str, reference: str, answer: Answer) -> PaymentResult:
        payout = payout_of(answer.body) if answer.status in (200, 202) else None
        if payout is not None and payout.id == reference and payout.state != "NEW":
            return await self._result(payout)
        problem = said(answer)
        if problem.code == "PAYOUT_ALREADY_INITIATED":
            seen = await self.look_up(payment_hash, reference=reference)
            return seen or unknown("Strike says both that the payout was initiated and that it was not")
        if answer.status in (400, 422) and problem.code in NEVER_BEGAN:
            seen = await self.look_up(payment_hash, reference=reference)
            return failed(f"Strike refused: {problem.words}") if seen is None else seen
        return unknown(hint(answer) if problem.code else "Strike's answer to the initiation cannot be read")

    async def _result(self, payout: Payout) -> PaymentResult:
        """The fee is in dollars and the record does not know our rate: Strike's rate of now says what it was worth."""
        result = result_of(payout)
        if result.outcome is not Outcome.SETTLED or not payout.fee.amount:
            return result
        try:
            fee_msat = msat_of(payout.fee, await strike_account.price(self._http, CURRENCY))
        except Unread as error:
            return unknown(f"the payout is completed, its fee cannot be told yet: {error}")
        return msgspec.structs.replace(result, fee_msat=fee_msat or 0)

    async def _ready_method(self, payee: BankAccount) -> str:
        """The payment method of this account, made once. Raises Retryable while it is under review, Rejected when Strike
        will not pay there."""
        key = _account_key(payee)
        method = await self._known_method(key, payee) or await self._create_method(payee)
        _remember(self._methods, key, method.id)
        match method.state:
            case "READY":
                return method.id
            case "PENDING":
                raise Retryable("under_review", "the bank details are under review at Strike", after=3_600)
            case "SUSPENDED" | "INVALID" | "INACTIVE":
                del self._methods[key]
                raise Rejected("bank_details", f"Strike does not pay this bank account: {method.state}")
            case _:
                raise Retryable("unreadable", f"the bank details are {method.state[:30]!r} at Strike")

    async def _known_method(self, key: str, payee: BankAccount) -> Method | None:
        """One that was made before: by this process, or in the list. A number that the list shows in part is none: four
        digits may be somebody else's."""
        known = self._methods.get(key)
        try:
            if known is not None:
                answer = await strike_account.ask(self._http, f"/payment-methods/bank/{known}")
                return _read(method_of(answer.body))
            listed = await self._listed()
        except Unread as error:
            raise Retryable("unreadable", str(error)) from error
        mine = [method for item in listed if same_account(item, payee) and (method := method_of(item))]
        order = ("READY", "PENDING")
        return min(mine, key=lambda one: order.index(one.state) if one.state in order else 2, default=None)

    async def _listed(self) -> list[Mapping[str, Any]]:
        """Every payment method that is in use. One that is overlooked is made a second time, which harms nobody."""
        found: list[Mapping[str, Any]] = []
        for page in range(MOST_PAGES):
            query = {"$skip": str(page * PAGE), "$top": str(PAGE)}
            answer = await strike_account.ask(self._http, "/payment-methods/bank", query)
            body = fields(answer.body)
            if not isinstance(body.get("items"), list):
                raise Unread("Strike's list of payment methods cannot be read")
            items = entries(body["items"])
            found.extend(item for item in items if item.get("state") != "INACTIVE")
            if len(items) < PAGE:
                break
        return found

    async def _create_method(self, payee: BankAccount) -> Method:
        answer = await self._post("/payment-methods/bank", payee_body(payee))
        return _read(method_of(answer.body))

    async def _create(self, method_id: str, payee: BankAccount, invoice: Invoice) -> Payout:
        """A new payout. What comes in `Invoice.reference` is ours and short, for the payee's bank statement."""
        dollars = Decimal(invoice.cents) / 100
        body = {
            "paymentMethodId": method_id,
            "amount": format(dollars, ".2f"),
            "reference": (invoice.reference or "Payout")[: LONGEST_REFERENCE[payee.kind]],
            "feePolicy": "EXCLUSIVE",
        }
        if self._options.originator_id:
            body["originatorId"] = self._options.originator_id
        answer = await self._post("/payouts", body)
        made = payout_of(answer.body)
        if made is None or made.state != "NEW" or made.amount != Money(dollars, CURRENCY):
            raise Retryable("unreadable", "Strike's answer to a new payout cannot be read, or is another's")
        return made

    async def _post(self, path: str, body: Mapping[str, object]) -> Answer:
        """What it makes moves no money, so that a lost answer costs nothing but an orphan."""
        try:
            answer = await self._http.call("POST", path, json=body, seconds=READ_SECONDS, paying=True)
        except (NotSent, NoAnswer) as error:
            raise failure_of(error, "Strike", writes=False) from error
        if answer.ok:
            return answer
        raise _problem(answer)


def _problem(answer: Answer) -> HubError:
    """A refusal for good only with a code of Strike's that says so."""
    problem = said(answer)
    if problem.code in ("PAYMENT_METHOD_NOT_READY", "PAYOUT_ORIGINATOR_NOT_APPROVED"):
        return Retryable("under_review", hint(answer), after=3_600)
    if problem.code == "BALANCE_TOO_LOW":
        return Retryable("balance_too_low", hint(answer), after=300)
    wait = seconds_to_wait(answer.headers, "retry-after")
    if not problem.code or answer.status in (404, 409, 425):
        return Retryable("unreadable", hint(answer), after=wait, status=answer.status)
    return failure_of_status(answer, "Strike", problem.words, writes=False, wait=wait)


def _read(method: Method | None) -> Method:
    if method is None:
        raise Retryable("unreadable", "Strike's answer about a payment method cannot be read")
    return method


def _in_msat(fee: Money, invoice: Invoice) -> int:
    """At the payout's own rate, which its cents and its millisatoshi give; rounded up."""
    msat = fee.amount * 100 * invoice.amount_msat / invoice.cents
    return int(msat.to_integral_value(ROUND_CEILING))


def _account_key(payee: BankAccount) -> str:
    parts = (TRANSFER_TYPE[payee.kind], payee.routing_number, payee.account_number.reveal(), payee.holder)
    return digest("\n".join(parts))


def _remember(kept: dict[str, Value], key: str, value: Value) -> None:
    if len(kept) >= REMEMBERED:
        del kept[next(iter(kept))]
    kept[key] = value
