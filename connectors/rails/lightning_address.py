"""From a worker's Lightning address to an invoice for an exact amount: LUD-16, LUD-06, LUD-12, and every check that
a payer owes itself. Implements `core.payouts.rail.PayoutAddress`; the address, the server behind it and the invoice
are all a stranger's."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit

import msgspec

from connectors.rails import bolt11
from connectors.rails.bolt11 import DecodedInvoice
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable
from core.money import MSAT_PER_SAT, Currency, from_msat
from core.payouts.rail import Invoice

log = logging.getLogger(__name__)

_T = TypeVar("_T")

Fetch = Callable[[str], Awaitable[bytes]]
"""A capped GET without redirects, behind the target guard. Raises Retryable or Rejected."""

MIN_SECONDS_LEFT = 60  # to send in; LND's default time to find a route
MAX_SECONDS_AHEAD = 600  # how far a wallet's clock may run before ours
LONGEST_EXPIRY_MS = 365 * 86_400_000
MAX_FINAL_CLTV = 288  # two days of blocks; the usual are 18 to 147, more is a way to lock up our money
LONGEST_URL = 2_048

_ADDRESS = re.compile(r"(?P<user>[a-z0-9._+-]{1,64})@(?P<domain>[a-z0-9.-]{1,253})")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LAST_LABEL = re.compile(
    r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
)  # begins with a letter: 10.0.0.1 and 0x7f.1 do not
_OURS = ("amount", "comment")
_URL_TEXT = re.compile(r"[!-\[\]-~]+")  # printable ASCII but the backslash


class Address(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    domain: str


class PayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """LUD-06's first answer; amounts in msat, `metadata` JSON in a string. `status` and `reason` are LUD-01's error."""

    status: str | None = None
    reason: str | None = None
    tag: str = ""
    callback: str = ""
    minSendable: int = 0
    maxSendable: int = 0
    metadata: str = ""
    commentAllowed: int | None = None


class PayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """LUD-06's second answer."""

    status: str | None = None
    reason: str | None = None
    pr: str = ""


async def _nobody_knows(payment_hash: str) -> bool:
    return False


class LightningAddresses:
    """Resolves Lightning addresses on one network.

    `domains`: the operator's exceptions, domain -> base URL, which may be http and local
    (`{"sandbox.test": "http://127.0.0.1:8000"}`). `own_nodes`: public keys (hex) that pay for this hub; an invoice of
    theirs is refused, so leave it empty for the sandbox, which is payer and payee. `known_hash`: says whether a payment
    hash is already in our books (the unique column stays the last word)."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        network: str,
        domains: Mapping[str, str] | None = None,
        own_nodes: Collection[str] = (),
        known_hash: Callable[[str], Awaitable[bool]] = _nobody_knows,
    ):
        self._fetch = fetch
        self._network = network
        self._bases = {domain.lower(): _base(domain, url) for domain, url in (domains or {}).items()}
        self._own_nodes = frozenset(own_nodes)
        self._known_hash = known_hash

    def parse(self, text: str) -> Address:
        """`user@domain`, lower case. Raises Rejected with a sentence for the person who typed it."""
        if "@" not in text and text.lower().startswith(("ln", "lightning:")):
            raise Rejected(
                "not_an_address",
                "this is a single invoice or code; a Lightning address looks like name@wallet.com",
            )
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise Rejected("bad_address", "a Lightning address looks like name@wallet.com, in lower case")
        address = Address(user=match["user"], domain=match["domain"])
        if address.domain not in self._bases and not _is_name(address.domain):
            raise Rejected("bad_address", "what stands after the @ is not the name of a site on the internet")
        return address

    async def invoice_for(self, address: str, *, amount_msat: int, comment: str) -> Invoice:
        """See `PayoutAddress.invoice_for`. Two GETs; the answer has passed every check, and is not yet committed."""
        who = self.parse(address)
        base = self._bases.get(who.domain)
        root = base or f"https://{who.domain}"
        request = _read(await self._get(f"{root}/.well-known/lnurlp/{who.user}"), PayRequest)
        if _is_error(request.status):
            raise Rejected(
                "wallet_refused", "the wallet says that it has no such address", reason=_tame(request.reason)
            )
        _check_request(request, amount_msat)
        url = _callback_url(request, base, amount_msat=amount_msat, comment=comment)
        answer = _read(await self._get(url), PayAnswer)
        if _is_error(answer.status):
            # Name and amount were accepted a moment ago: what is left is the state of the wallet's own node.
            raise Retryable(
                "wallet_busy", "the wallet gives no invoice just now", reason=_tame(answer.reason)
            )
        decoded = self._decode(answer.pr)
        self._check_invoice(decoded, amount_msat)
        if await self._known_hash(decoded.payment_hash):
            raise Rejected("used_invoice", "the wallet gave an invoice that was used before")
        _note_metadata(decoded, request.metadata)
        return _payable(answer.pr, decoded, amount_msat)

    async def _get(self, url: str) -> bytes:
        """What the client says about a server is for the operator, in brackets: no address and no status of a strange
        network is told to who typed it (`core.payouts.words.tidy` takes the brackets away)."""
        try:
            return await self._fetch(url)
        except Retryable as error:
            words = "the wallet's server does not answer just now; the hub tries again by itself"
            raise Retryable(error.code, _with_detail(words, error), after=error.after) from error
        except Rejected as error:
            words = "the server of this address gives no invoice; look at the address, or name another one"
            raise Rejected(error.code, _with_detail(words, error)) from error

    async def own_invoice(self, text: str, *, amount_msat: int) -> Invoice:
        """See `PayoutAddress.own_invoice`. The same checks as of an address's invoice, in words for who pasted it."""
        tidy = re.sub(r"(?i)\Alightning:", "", "".join(text.split()))
        try:
            decoded = bolt11.decode(tidy)
        except ValueError as error:
            raise Rejected(
                "bad_invoice", f"this invoice cannot be paid: {error}; copy all of it from your wallet again"
            ) from error
        try:
            self._check_invoice(decoded, amount_msat)
        except Rejected as error:
            raise Rejected(error.code, _to_the_owner(decoded, error, self._network, amount_msat)) from error
        if await self._known_hash(decoded.payment_hash):
            raise Rejected(
                "used_invoice",
                "this invoice was used before, or is one of this hub's own; make a new one in your wallet",
            )
        return _payable(tidy, decoded, amount_msat)

    def _decode(self, text: str) -> DecodedInvoice:
        try:
            return bolt11.decode(text)
        except ValueError as error:
            raise Rejected("bad_invoice", f"the wallet gave no valid invoice: {error}") from error

    def _check_invoice(self, invoice: DecodedInvoice, amount_msat: int) -> None:
        """The checks of an invoice that its form and signature do not answer."""
        now_ms = clock.now_ms()
        if invoice.network != self._network:
            raise Rejected(
                "wrong_network",
                f"the wallet is on network {invoice.network}, this hub pays on {self._network}",
            )
        if invoice.amount_msat != amount_msat:
            raise Rejected(
                "wrong_amount",
                "the wallet gave an invoice for another amount",
                asked_msat=amount_msat,
                got_msat=invoice.amount_msat,
            )
        if invoice.timestamp * 1000 > now_ms + MAX_SECONDS_AHEAD * 1000:
            raise Rejected("future_invoice", "the wallet gave an invoice dated in the future")
        if invoice.expires_at_ms < now_ms + MIN_SECONDS_LEFT * 1000:
            raise Rejected(
                "short_invoice", f"the wallet's invoice ends in less than {MIN_SECONDS_LEFT} seconds"
            )
        if invoice.min_final_cltv > MAX_FINAL_CLTV:
            raise Rejected(
                "long_hold", f"the wallet wants to hold the payment for {invoice.min_final_cltv} blocks"
            )
        if invoice.payee in self._own_nodes:
            raise Rejected("own_invoice", "this invoice is one of the hub's own node")


def _payable(text: str, decoded: DecodedInvoice, amount_msat: int) -> Invoice:
    return Invoice(
        bolt11=text.lower(),
        payment_hash=decoded.payment_hash,
        amount_msat=amount_msat,
        # A wallet may set any end, also one that no calendar holds; an earlier end is always safe.
        expires_at_ms=min(decoded.expires_at_ms, clock.now_ms() + LONGEST_EXPIRY_MS),
    )


def _to_the_owner(invoice: DecodedInvoice, why: Rejected, network: str, amount_msat: int) -> str:
    """Why an invoice that somebody made themselves is refused, and what to do about it."""
    sats = f"{amount_msat // MSAT_PER_SAT:,} sat"
    again = f"make a new one for exactly {sats} in your wallet"
    asks = "names no amount"
    if invoice.amount_msat is not None:
        asks = f"asks for {from_msat(invoice.amount_msat, Currency.SATS, None):,f} sat"
    sentences = {
        "wrong_network": f"this invoice is for the network {invoice.network}, and this hub pays on {network}; "
        "use a wallet on that network",
        "wrong_amount": f"this invoice {asks}; {again}",
        "future_invoice": f"this invoice is dated in the future: set the clock of your wallet right, then {again}",
        "short_invoice": f"this invoice has run out, or is about to; {again}",
        "long_hold": f"this invoice may hold the payment for {invoice.min_final_cltv} blocks; use another wallet",
        "own_invoice": f"this invoice is one of the hub's own; {again}",
    }
    return sentences.get(why.code, why.message)


def _base(domain: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise Misconfigured(
            "lightning_domains", f"the base URL of {domain} is not an http or https address: {url}"
        )
    return url.rstrip("/")


def _is_name(domain: str) -> bool:
    labels = domain.split(".")
    return (
        len(labels) > 1
        and all(_LABEL.fullmatch(label) for label in labels[:-1])
        and _LAST_LABEL.fullmatch(labels[-1]) is not None
    )


def _read(body: bytes, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected("not_a_wallet", "the site behind this address does not speak LNURL") from error


def _check_request(request: PayRequest, amount_msat: int) -> None:
    if request.tag != "payRequest":
        raise Rejected("not_a_wallet", "this address does not take payments (no payRequest)")
    try:
        entries = msgspec.json.decode(request.metadata, type=list[list[object]])
    except (msgspec.DecodeError, RecursionError):
        entries = []
    if not any(
        entry[:1] == ["text/plain"] and len(entry) > 1 and isinstance(entry[1], str) for entry in entries
    ):
        raise Rejected("not_a_wallet", "the wallet's answer has no text/plain description (LUD-06)")
    if not request.minSendable <= amount_msat <= request.maxSendable:
        raise Rejected(
            "amount_out_of_range",
            "the wallet does not take this amount",
            min_msat=request.minSendable,
            max_msat=request.maxSendable,
        )


def _callback_url(request: PayRequest, base: str | None, *, amount_msat: int, comment: str) -> str:
    """The server's own callback, checked like an address, with our amount in place of any that it carries."""
    text = request.callback
    if len(text) > LONGEST_URL or not _URL_TEXT.fullmatch(text):
        raise Rejected("bad_callback", "the wallet's answer points to no usable address")
    try:
        parts = urlsplit(text)
        if not (_is_public(parts) or (base is not None and _same_origin(parts, base))):
            raise Rejected("bad_callback", "the wallet's answer points to an address that we do not call")
    except ValueError as error:
        raise Rejected("bad_callback", "the wallet's answer points to no usable address") from error
    # The rest of the query is the server's own and goes back byte for byte.
    query = [
        part for part in parts.query.split("&") if part and unquote_plus(part.partition("=")[0]) not in _OURS
    ]
    query.append(f"amount={amount_msat}")
    room = max(request.commentAllowed or 0, 0)
    if comment[:room]:
        query.append(f"comment={quote(comment[:room])}")
    return parts._replace(query="&".join(query), fragment="").geturl()


def _is_public(parts: SplitResult) -> bool:
    named = parts.hostname is not None and _is_name(parts.hostname)
    return parts.scheme == "https" and named and parts.username is None and parts.port in (None, 443)


def _same_origin(parts: SplitResult, base: str) -> bool:
    own = urlsplit(base)
    return (parts.scheme, parts.netloc) == (own.scheme, own.netloc)


def _note_metadata(invoice: DecodedInvoice, metadata: str) -> None:
    """LUD-06 no longer asks that the hash match (lnurl/luds#234, many wallets do not): worth a line, no refusal."""
    expected = hashlib.sha256(metadata.encode()).hexdigest()
    if invoice.description_hash not in (None, expected):
        log.info("invoice %s does not carry the hash of its metadata", invoice.payment_hash)


def _with_detail(words: str, error: HubError) -> str:
    return f"{words} [{error.message.replace('[', '(').replace(']', ')')}]"


def _is_error(status: str | None) -> bool:
    """LUD-01: an error comes with HTTP 200 and this word."""
    return status is not None and status.upper() == "ERROR"


def _tame(reason: str | None) -> str:
    """A stranger's words, short and printable, for the operator's log alone."""
    return "".join(character for character in (reason or "")[:200] if character.isprintable())
