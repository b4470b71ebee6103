"""Any invoice that we write reads back the same, and no single changed character passes for another invoice."""

from __future__ import annotations

import contextlib

import coincurve
from hypothesis import given
from hypothesis import strategies as st

from connectors.rails import bech32, bolt11
from connectors.rails.bolt11_encode import NewInvoice, encode
from core.money import SUPPLY_MSAT

KEY = bytes.fromhex("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734")  # BOLT #11, examples
PAYEE = coincurve.PrivateKey(KEY).public_key.format().hex()

HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=120)
ODD_FEATURES = st.integers(0, 80).map(lambda number: 2 * number + 1)


@st.composite
def invoices(draw: st.DrawFn) -> NewInvoice:
    hashed = draw(st.booleans())
    return NewInvoice(
        network=draw(st.sampled_from(["bc", "tb", "tbs", "bcrt"])),
        amount_msat=draw(st.none() | st.integers(1, SUPPLY_MSAT)),
        timestamp=draw(st.integers(0, 2**35 - 1)),
        payment_hash=draw(HASHES),
        payment_secret=draw(HASHES),
        description=None if hashed else draw(TEXTS),
        description_hash=draw(HASHES) if hashed else None,
        expiry_s=draw(st.none() | st.integers(0, 2**50 - 1)),
        min_final_cltv=draw(st.none() | st.integers(0, 2016)),
        features=tuple(sorted({8, 14} | draw(st.sets(ODD_FEATURES, max_size=4)))),
        metadata=draw(st.none() | st.binary(max_size=60).map(bytes.hex)),
        name_payee=draw(st.booleans()),
    )


@given(invoices(), st.booleans())
def test_what_is_written_reads_back(invoice: NewInvoice, shout: bool) -> None:
    text = encode(invoice, KEY)
    decoded = bolt11.decode(text.upper() if shout else text)
    assert decoded.payee == PAYEE
    assert decoded.expiry_s == (3600 if invoice.expiry_s is None else invoice.expiry_s)
    assert decoded.min_final_cltv == (18 if invoice.min_final_cltv is None else invoice.min_final_cltv)
    for name in ("network", "amount_msat", "timestamp", "payment_hash", "payment_secret", "description"):
        assert getattr(decoded, name) == getattr(invoice, name)
    assert decoded.description_hash == invoice.description_hash
    assert decoded.features == invoice.features
    assert decoded.metadata == invoice.metadata


@given(invoices(), st.data())
def test_one_wrong_character_breaks_the_checksum(invoice: NewInvoice, data: st.DataObject) -> None:
    text = encode(invoice, KEY)
    first = text.rindex("1") + 1
    place = data.draw(st.integers(first, len(text) - 1))
    other = data.draw(st.sampled_from(bech32.CHARSET).filter(lambda character: character != text[place]))
    try:
        bolt11.decode(text[:place] + other + text[place + 1 :])
    except bech32.Bech32Error:
        return
    raise AssertionError("a changed character went unnoticed")


@given(invoices(), st.data())
def test_one_flipped_bit_under_a_mended_checksum_never_passes_for_this_payee(
    invoice: NewInvoice, data: st.DataObject
) -> None:
    hrp, groups = bech32.decode(encode(invoice, KEY))
    # The last eight bits say how to recover a key; where the key is named they are not read and change nothing.
    end = len(groups) - 2 if invoice.name_payee else len(groups)
    place = data.draw(st.integers(0, end - 1))
    groups[place] ^= 1 << data.draw(st.integers(0, 4))
    try:
        decoded = bolt11.decode(bech32.encode(hrp, groups))
    except ValueError:
        return
    assert decoded.payee != PAYEE


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    for candidate in (text, "lnbcrt1" + text):
        with contextlib.suppress(ValueError):
            bolt11.decode(candidate)
