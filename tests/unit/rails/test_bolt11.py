"""The invoice reader against BOLT #11's own vectors, and against what the vectors leave out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.rails import bech32, bolt11
from connectors.rails.bolt11 import BadAmount, BadField, BadSignature, UnknownFeature, UnknownNetwork
from connectors.rails.bolt11_encode import NewInvoice, encode, seal, write_amount

FILE: dict[str, Any] = msgspec.json.decode(Path(__file__).with_name("bolt11_vectors.json").read_bytes())
VALID = [vector for vector in FILE["vectors"] if vector["valid"]]
INVALID = [vector for vector in FILE["vectors"] if not vector["valid"]]
KEY = bytes.fromhex(FILE["signing_key"])
PAYMENT_HASH = "0001020304050607080900010203040506070809000102030405060708090102"
SECRET = "11" * 32
ERRORS = {
    error.__name__: error
    for error in (bech32.Bech32Error, BadAmount, BadField, BadSignature, UnknownFeature, UnknownNetwork)
}
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def title(vector: dict[str, Any]) -> str:
    return str(vector["description"])[:60]


def plain(**changes: Any) -> NewInvoice:
    """A sound invoice with some parts changed."""
    values: dict[str, Any] = {
        "network": "bcrt",
        "payment_hash": PAYMENT_HASH,
        "payment_secret": SECRET,
        "timestamp": 1_496_314_658,
        "amount_msat": 500_000,
        "description": "answer",
    }
    return NewInvoice(**values | changes)


def with_fields(*fields: tuple[str | int, list[int]]) -> str:
    """An invoice with a right signature over exactly these fields, right or wrong."""
    groups = [0, 0, 0, 0, 0, 0, 1]
    for tag, content in fields:
        number = tag if isinstance(tag, int) else bolt11.TAGS[tag]
        groups += [number, *divmod(len(content), 32), *content]
    return seal("lnbcrt5u", groups, KEY)


P = ("p", bech32.groups_of(bytes.fromhex(PAYMENT_HASH)))
S = ("s", bech32.groups_of(bytes.fromhex(SECRET)))
D = ("d", bech32.groups_of(b"answer"))
H = ("h", bech32.groups_of(bytes(32)))


@pytest.mark.parametrize("vector", VALID, ids=title)
def test_a_valid_vector_says_what_the_specification_says(vector: dict[str, Any]) -> None:
    decoded = bolt11.decode(vector["invoice"])
    # Its key signed a flipped S without a flipped recovery id, so another key comes out: that is the vector's point.
    assert (decoded.payee == FILE["payee"]) is not vector.get("high_s", False)
    assert decoded.payment_secret == SECRET
    built = msgspec.json.decode(msgspec.json.encode(decoded))
    expected = {"payment_hash": PAYMENT_HASH} | vector["expect"]
    assert {name: built[name] for name in expected} == expected


@pytest.mark.parametrize("vector", INVALID, ids=title)
def test_an_invalid_vector_is_refused_for_its_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[vector["error"]]):
        bolt11.decode(vector["invoice"])


@pytest.mark.parametrize("vector", [vector for vector in VALID if not vector.get("high_s")], ids=title)
def test_signing_the_same_data_gives_the_same_invoice(vector: dict[str, Any]) -> None:
    hrp, groups = bech32.decode(vector["invoice"])
    assert seal(hrp, groups[: -bolt11.SIGNATURE_GROUPS], KEY) == vector["invoice"].lower()


def test_the_encoder_writes_the_first_vectors_byte_for_byte() -> None:
    donation = plain(network="bc", amount_msat=None, description="Please consider supporting this project")
    coffee = plain(network="bc", amount_msat=250_000_000, description="1 cup coffee", expiry_s=60)
    nonsense = plain(network="bc", amount_msat=250_000_000, description="ナンセンス 1杯", expiry_s=60)
    written = [encode(invoice, KEY) for invoice in (donation, coffee, nonsense)]
    assert written == [vector["invoice"] for vector in VALID[:3]]


@pytest.mark.parametrize(
    ("msat", "text"),
    [
        (100_000_000_000, "1"),
        (2_000_000_000, "20m"),
        (250_000_000, "2500u"),
        (1_000, "10n"),
        (1, "10p"),
        (967_878_534, "9678785340p"),
    ],
)
def test_amounts_are_written_shortest_and_read_back(msat: int, text: str) -> None:
    assert write_amount(msat) == text
    assert bolt11.read_hrp(f"lnbcrt{text}") == ("bcrt", msat)


@pytest.mark.parametrize(
    "amount", ["05u", "0", "0u", "5x", "u", "5uu", "-5u", "1p", "11p", "21000001", "9" * 21, "٣u"]
)
def test_an_amount_that_cannot_be_paid_is_refused(amount: str) -> None:
    with pytest.raises(BadAmount):
        bolt11.read_hrp(f"lnbc{amount}")


@pytest.mark.parametrize("hrp", ["lnsb5u", "lnltc5u", "bc", "ln", "lightning"])
def test_a_foreign_network_is_refused(hrp: str) -> None:
    with pytest.raises(UnknownNetwork):
        bolt11.read_hrp(hrp)


@pytest.mark.parametrize(
    ("prefix", "network"), [("lnbc", "bc"), ("lntb", "tb"), ("lntbs", "tbs"), ("lnbcrt", "bcrt")]
)
def test_each_prefix_is_its_network(prefix: str, network: str) -> None:
    assert bolt11.read_hrp(prefix) == (network, None)
    assert bolt11.read_hrp(f"{prefix}25m") == (network, 2_500_000_000)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ((S, D), "no field p"),
        ((P, D), "no field s"),
        ((P, S), "a description"),
        ((P, S, D, H), "not both"),
        ((P, S, D, D), "field d more than once"),
        ((P, S, S, D), "field s more than once"),
        ((P, S, D, ("x", [1]), ("x", [2])), "field x more than once"),
        ((P, S, D, ("n", [0] * 52)), "field n of the invoice has the wrong length"),
        ((P, S, D, ("x", [1] * 11)), "field x of the invoice is too large"),
        ((P, S, D, ("r", [0] * 80)), "route hint"),
        ((P, S, D, ("r", [])), "route hint"),
        ((P, S, ("d", bech32.groups_of(b"\xff"))), "UTF-8"),
    ],
)
def test_fields_that_leave_doubt_are_refused(fields: Any, why: str) -> None:
    with pytest.raises(BadField, match=why):
        bolt11.decode(with_fields(*fields))


def test_a_field_may_not_reach_over_the_end() -> None:
    groups = [0] * 7 + [bolt11.TAGS["d"], 0, 9, 1]
    with pytest.raises(BadField, match="longer than the invoice"):
        bolt11.decode(seal("lnbcrt", groups, KEY))
    with pytest.raises(BadField, match="middle of a field"):
        bolt11.decode(seal("lnbcrt", groups[:9], KEY))


def test_unknown_fields_and_fallbacks_of_unknown_version_are_passed_over() -> None:
    decoded = bolt11.decode(with_fields(P, S, D, (10, [0, 0, 0]), ("f", [19, *[0] * 32]), ("f", [])))
    assert decoded.fallbacks == ()
    assert decoded.expiry_s == 3600
    assert decoded.min_final_cltv == 18


@pytest.mark.parametrize(
    ("features", "refused"), [((8, 14, 99), False), ((8, 14, 100), True), ((8, 16), True)]
)
def test_even_features_must_be_known_and_rest_on_what_they_need(
    features: tuple[int, ...], refused: bool
) -> None:
    text = encode(plain(features=features), KEY)
    if refused:
        with pytest.raises(UnknownFeature):
            bolt11.decode(text)
    else:
        assert bolt11.decode(text).features == features


def high_s(text: str) -> str:
    """The same invoice under the mirrored signature: S replaced by n-S, and the recovery id with it."""
    hrp, groups = bech32.decode(text)
    signature = bech32.bytes_of(groups[-bolt11.SIGNATURE_GROUPS :])
    mirrored = (CURVE_ORDER - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    flipped = signature[:32] + mirrored + bytes([signature[64] ^ 1])
    return bech32.encode(hrp, groups[: -bolt11.SIGNATURE_GROUPS] + bech32.groups_of(flipped))


def test_a_high_s_recovers_but_does_not_verify_against_a_named_payee() -> None:
    assert bolt11.decode(high_s(encode(plain(), KEY))).payee == FILE["payee"]
    named = encode(plain(name_payee=True), KEY)
    assert bolt11.decode(named).payee == FILE["payee"]
    with pytest.raises(BadSignature):
        bolt11.decode(high_s(named))


def test_another_key_cannot_sign_for_a_named_payee() -> None:
    hrp, groups = bech32.decode(encode(plain(name_payee=True), KEY))
    forged = seal(hrp, groups[: -bolt11.SIGNATURE_GROUPS], hashlib.sha256(b"somebody else").digest())
    with pytest.raises(BadSignature, match="not that of the node"):
        bolt11.decode(forged)


def test_an_endless_text_is_refused_before_any_work() -> None:
    with pytest.raises(BadField, match="more than 7089"):
        bolt11.decode("lnbcrt1" + "q" * 8000)


def test_the_end_of_an_invoice_is_its_time_plus_its_expiry() -> None:
    assert bolt11.decode(encode(plain(expiry_s=60), KEY)).expires_at_ms == (1_496_314_658 + 60) * 1000
