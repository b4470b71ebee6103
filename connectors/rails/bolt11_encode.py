"""Lightning invoices: writing and signing (BOLT #11). The sandbox makes its invoices with this, tests make hostile ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import coincurve
import msgspec

from connectors.rails import bech32
from connectors.rails.bolt11 import MULTIPLIERS, TAGS, TIMESTAMP_GROUPS, BadAmount, BadField, signed_bytes

VAR_ONION, PAYMENT_SECRET = 8, 14


class NewInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """What to sign. Hashes, secret and metadata in hex, `timestamp` in UTC seconds; one of `description` and
    `description_hash`; None for `expiry_s` and `min_final_cltv` leaves the field out (3600 s, 18 blocks)."""

    network: str
    payment_hash: str
    payment_secret: str
    timestamp: int
    amount_msat: int | None = None
    description: str | None = None
    description_hash: str | None = None
    expiry_s: int | None = None
    min_final_cltv: int | None = None
    features: tuple[int, ...] = (VAR_ONION, PAYMENT_SECRET)
    metadata: str | None = None
    name_payee: bool = False  # write the field n


def encode(invoice: NewInvoice, key: bytes) -> str:
    """The signed invoice in lower case; `key` is the 32-byte private key. Raises BadAmount or BadField."""
    fields = [
        *_field("s", _hex_groups(invoice.payment_secret, 32)),
        *_field("p", _hex_groups(invoice.payment_hash, 32)),
        *_purpose(invoice),
    ]
    if invoice.expiry_s is not None:
        fields += _field("x", bech32.number_groups(invoice.expiry_s))
    if invoice.min_final_cltv is not None:
        fields += _field("c", bech32.number_groups(invoice.min_final_cltv))
    if invoice.metadata is not None:
        fields += _field("m", bech32.groups_of(bytes.fromhex(invoice.metadata)))
    if invoice.features:
        fields += _field("9", bech32.number_groups(sum(1 << bit for bit in set(invoice.features))))
    if invoice.name_payee:
        fields += _field("n", bech32.groups_of(coincurve.PrivateKey(key).public_key.format()))
    hrp = f"ln{invoice.network}{write_amount(invoice.amount_msat)}"
    return seal(hrp, [*_timestamp(invoice.timestamp), *fields], key)


def seal(hrp: str, groups: Sequence[int], key: bytes) -> str:
    """Sign any data (time and fields, in groups), right or wrong, and write the whole as bech32."""
    private = coincurve.PrivateKey(key)
    signature = private.sign_recoverable(signed_bytes(hrp, groups))  # pyright: ignore[reportUnknownMemberType]  coincurve leaves its nonce untyped
    return bech32.encode(hrp, [*groups, *bech32.groups_of(signature)])


def write_amount(msat: int | None) -> str:
    """The shortest form: the largest multiplier that leaves a whole number. Empty for None; raises BadAmount below 1."""
    if msat is None:
        return ""
    if msat < 1:
        raise BadAmount("an invoice asks for at least one millisatoshi, or names no amount")
    for letter, (numerator, denominator) in MULTIPLIERS.items():
        units, rest = divmod(msat * denominator, numerator)
        if not rest:
            return f"{units}{letter}"
    raise BadAmount(f"{msat} msat cannot be written")


def _timestamp(seconds: int) -> list[int]:
    groups = bech32.number_groups(seconds)
    if seconds < 0 or len(groups) > TIMESTAMP_GROUPS:
        raise BadField("the time of an invoice must fit 35 bits")
    return [0] * (TIMESTAMP_GROUPS - len(groups)) + groups


def _purpose(invoice: NewInvoice) -> list[int]:
    if (invoice.description is None) == (invoice.description_hash is None):
        raise BadField("an invoice has a description or the hash of one, and not both")
    if invoice.description_hash is not None:
        return _field("h", _hex_groups(invoice.description_hash, 32))
    return _field("d", bech32.groups_of((invoice.description or "").encode()))


def _field(letter: str, content: Iterable[int]) -> list[int]:
    groups = list(content)
    if len(groups) > 1023:
        raise BadField(f"the field {letter} is longer than its length can say")
    return [TAGS[letter], *divmod(len(groups), 32), *groups]


def _hex_groups(text: str, length: int) -> list[int]:
    data = bytes.fromhex(text)
    if len(data) != length:
        raise BadField(f"{text!r} is not {length} bytes in hex")
    return bech32.groups_of(data)
