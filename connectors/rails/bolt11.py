"""Lightning invoices: decoding with every check of BOLT #11 that a payer must make. Used by the sandbox rail and by
`lightning_address.py`; `bolt11_encode.py` writes what this reads.

Where the text of BOLT #11 leaves room we take the strict reading. Two readers that disagree about which of two payment
hashes counts have cost a payout service its money (lightning/bolts#1357, 2026-09); so a field that may stand once is
refused twice, and `p`, `h`, `s`, `n` of a wrong length are refused (lightning/bolts#1243, and the published vectors)
where the older text had them skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import coincurve
import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from connectors.rails import bech32
from connectors.rails.bech32 import Bech32Error
from core.money import MSAT_PER_BTC, SUPPLY_MSAT

__all__ = [
    "BadAmount",
    "BadField",
    "BadSignature",
    "Bech32Error",
    "DecodedInvoice",
    "Hop",
    "UnknownFeature",
    "UnknownNetwork",
    "decode",
]

MAX_LENGTH = 7_089  # what one QR code holds; LND refuses longer ones too (zpay32)
TIMESTAMP_GROUPS = 7
SIGNATURE_GROUPS = 104
DEFAULT_EXPIRY_S = 3_600
DEFAULT_FINAL_CLTV = 18

# Multiplier -> msat for one unit, as (numerator, denominator): a pico-bitcoin is a tenth of a msat.
MULTIPLIERS: dict[str, tuple[int, int]] = {
    "": (MSAT_PER_BTC, 1),
    "m": (MSAT_PER_BTC // 10**3, 1),
    "u": (MSAT_PER_BTC // 10**6, 1),
    "n": (MSAT_PER_BTC // 10**9, 1),
    "p": (1, 10),
}
TAGS = {letter: bech32.CHARSET.index(letter) for letter in "psdhnxcfrm9"}

# Features that an invoice may demand of the payer (BOLT #9, context 9) and that every node behind a rail of ours has:
# var_onion_optin, payment_secret, basic_mpp, option_route_blinding, option_payment_metadata.
KNOWN_FEATURES = frozenset({8, 14, 16, 24, 48})
FEATURE_NEEDS = {16: 14}  # basic_mpp rests on payment_secret

_HRP = re.compile(r"ln(bcrt|tbs|bc|tb)(.*)", re.DOTALL)
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,19})([munp]?)")
_NAME_OF = {value: letter for letter, value in TAGS.items()}
_ONCE = "psdhnxcm9"
_FIXED = {"p": 52, "s": 52, "h": 52, "n": 53}
_HOP_LENGTH = 51
_LONGEST_NUMBER = 10  # groups; 50 bits of seconds stay far inside a BIGINT of milliseconds


class UnknownNetwork(ValueError):
    """The prefix is not one of lnbc, lntb, lntbs, lnbcrt."""


class BadAmount(ValueError):
    """The amount in the human-readable part is not one that can be paid to the millisatoshi."""


class BadField(ValueError):
    """A tagged field is missing, doubled, cut off or of the wrong length."""


class UnknownFeature(ValueError):
    """The invoice demands something of the payer that we do not know (an even feature bit)."""


class BadSignature(ValueError):
    """Nobody's signature, or not that of the node named in `n`."""


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a route hint. `node` is the public key where the channel begins, `channel` its short id, in hex."""

    node: str
    channel: str
    fee_base_msat: int
    fee_ppm: int
    cltv_delta: int


class DecodedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """A checked invoice. Hashes, keys and metadata in lower-case hex; `timestamp` in UTC seconds; `amount_msat` None
    when the payer may choose; `payee` named in `n` or else recovered from the signature."""

    network: str
    amount_msat: int | None
    timestamp: int
    payment_hash: str
    payment_secret: str
    payee: str
    description: str | None
    description_hash: str | None
    expiry_s: int
    min_final_cltv: int
    features: tuple[int, ...]
    fallbacks: tuple[tuple[int, str], ...]  # (version, program); version 17 is a P2PKH hash, 18 a P2SH hash
    routes: tuple[tuple[Hop, ...], ...]
    metadata: str | None

    @property
    def expires_at_ms(self) -> int:
        return (self.timestamp + self.expiry_s) * 1000


def decode(text: str) -> DecodedInvoice:
    """Read and check an invoice. Raises Bech32Error, UnknownNetwork, BadAmount, BadField, UnknownFeature or
    BadSignature, all of them ValueError, each with a sentence that may be shown. Expiry is left to the caller."""
    if len(text) > MAX_LENGTH:
        raise BadField(f"an invoice of more than {MAX_LENGTH} characters is not taken")
    hrp, groups = bech32.decode(text)
    network, amount_msat = read_hrp(hrp)
    if len(groups) < TIMESTAMP_GROUPS + SIGNATURE_GROUPS:
        raise BadField("the invoice is too short to hold a time and a signature")
    signed, signature = groups[:-SIGNATURE_GROUPS], groups[-SIGNATURE_GROUPS:]
    fields = _Fields(signed[TIMESTAMP_GROUPS:])
    return DecodedInvoice(
        network=network,
        amount_msat=amount_msat,
        timestamp=bech32.number_of(signed[:TIMESTAMP_GROUPS]),
        payment_hash=fields.must("p").hex(),
        payment_secret=fields.must("s").hex(),
        description=fields.description(),
        description_hash=_hex(fields.bytes_in("h")),
        expiry_s=fields.number("x", DEFAULT_EXPIRY_S),
        min_final_cltv=fields.number("c", DEFAULT_FINAL_CLTV),
        features=fields.features(),
        fallbacks=fields.fallbacks(),
        routes=fields.routes(),
        metadata=_hex(fields.bytes_in("m")),
        payee=_payee(signed_bytes(hrp, signed), bech32.bytes_of(signature), fields.bytes_in("n")),
    )


def read_hrp(hrp: str) -> tuple[str, int | None]:
    """Network and amount in msat (None when absent). Raises UnknownNetwork or BadAmount."""
    match = _HRP.fullmatch(hrp)
    if match is None:
        raise UnknownNetwork("this is no Lightning invoice of a network we know (lnbc, lntb, lntbs, lnbcrt)")
    network, amount = match.groups()
    return network, _amount(amount) if amount else None


def _amount(text: str) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise BadAmount(
            f"{text[:30]!r} is not an amount: a whole number without leading zero, then m, u, n, p or nothing"
        )
    numerator, denominator = MULTIPLIERS[match[2]]
    msat, rest = divmod(int(match[1]) * numerator, denominator)
    if rest:
        raise BadAmount(f"{text!r} asks for a part of a millisatoshi, which cannot be paid")
    if not 0 < msat <= SUPPLY_MSAT:
        raise BadAmount(f"{text!r} is nothing, or more than all bitcoin there is")
    return msat


def signed_bytes(hrp: str, groups: Sequence[int]) -> bytes:
    """What the signature covers: the human-readable part and the data before the signature, filled up with zero bits."""
    spare = -len(groups) * 5 % 8
    return hrp.encode("ascii") + (bech32.number_of(groups) << spare).to_bytes(-(-len(groups) * 5 // 8), "big")


def _payee(message: bytes, signature: bytes, named: bytes | None) -> str:
    """The public key that signed. With `n` that key decides and a high S is refused, as libsecp256k1 does in
    verification; without it the key is recovered, and a high S recovers as well (the vectors want both)."""
    try:
        if named is None:
            return coincurve.PublicKey.from_signature_and_message(signature, message).format().hex()
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        good = coincurve.PublicKey(named).verify(encode_dss_signature(r, s), message)
    except ValueError as error:
        raise BadSignature("the signature of the invoice belongs to no key") from error
    if not good:
        raise BadSignature("the signature of the invoice is not that of the node it names")
    return named.hex()


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


class _Fields:
    """The tagged fields by letter, each still in groups; unknown tags are left out."""

    def __init__(self, groups: Sequence[int]):
        self._fields: dict[str, list[Sequence[int]]] = {letter: [] for letter in TAGS}
        for tag, content in _tagged(groups):
            letter = _NAME_OF.get(tag)
            if letter is not None:
                self._fields[letter].append(content)
        self._check()

    def _check(self) -> None:
        for letter, length in _FIXED.items():
            if any(len(content) != length for content in self._fields[letter]):
                raise BadField(f"the field {letter} of the invoice has the wrong length")
        for letter in _ONCE:
            if len(self._fields[letter]) > 1:
                raise BadField(f"the invoice has the field {letter} more than once")
        if len(self._fields["d"]) + len(self._fields["h"]) != 1:
            raise BadField("the invoice must have a description (d) or the hash of one (h), and not both")

    def bytes_in(self, letter: str) -> bytes | None:
        found = self._fields[letter]
        return bech32.bytes_of(found[0]) if found else None

    def must(self, letter: str) -> bytes:
        value = self.bytes_in(letter)
        if value is None:
            raise BadField(f"the invoice has no field {letter}")
        return value

    def description(self) -> str | None:
        value = self.bytes_in("d")
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            raise BadField("the description of the invoice is not UTF-8") from None

    def number(self, letter: str, default: int) -> int:
        found = self._fields[letter]
        if not found:
            return default
        if len(found[0]) > _LONGEST_NUMBER:
            raise BadField(f"the field {letter} of the invoice is too large")
        return bech32.number_of(found[0])

    def features(self) -> tuple[int, ...]:
        found = self._fields["9"]
        value = bech32.number_of(found[0]) if found else 0
        bits = tuple(bit for bit in range(value.bit_length()) if value >> bit & 1)
        for bit in bits:
            if bit % 2 == 0 and bit not in KNOWN_FEATURES:
                raise UnknownFeature(f"the invoice demands feature {bit}, which this hub does not know")
            needed = FEATURE_NEEDS.get(bit & ~1)
            if needed is not None and not value >> needed & 3:
                raise UnknownFeature(
                    f"the invoice offers feature {bit} without feature {needed}, on which it rests"
                )
        return bits

    def fallbacks(self) -> tuple[tuple[int, str], ...]:
        known = (field for field in self._fields["f"] if field and field[0] <= 18)
        return tuple((field[0], bech32.bytes_of(field[1:]).hex()) for field in known)

    def routes(self) -> tuple[tuple[Hop, ...], ...]:
        return tuple(tuple(_hops(bech32.bytes_of(field))) for field in self._fields["r"])


def _tagged(groups: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    at = 0
    while at < len(groups):
        if at + 3 > len(groups):
            raise BadField("the invoice ends in the middle of a field")
        tag, length = groups[at], groups[at + 1] * 32 + groups[at + 2]
        at += 3 + length
        if at > len(groups):
            raise BadField("a field of the invoice is longer than the invoice")
        yield tag, groups[at - length : at]


def _hops(data: bytes) -> Iterator[Hop]:
    if not data or len(data) % _HOP_LENGTH:
        raise BadField("a route hint of the invoice has the wrong length")
    for at in range(0, len(data), _HOP_LENGTH):
        hop = data[at : at + _HOP_LENGTH]
        yield Hop(
            node=hop[:33].hex(),
            channel=hop[33:41].hex(),
            fee_base_msat=int.from_bytes(hop[41:45], "big"),
            fee_ppm=int.from_bytes(hop[45:49], "big"),
            cltv_delta=int.from_bytes(hop[49:51], "big"),
        )
