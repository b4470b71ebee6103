"""Bech32 against the vectors of BIP-173 (bip-0173.mediawiki, "Test vectors"), which apart from the limit of 90 hold here."""

from __future__ import annotations

import pytest

from connectors.rails import bech32

VALID = (
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "?1ezyfcl",
)
INVALID = {
    "\x201nwldj5": "a character that bech32 does not know",
    "\x7f1axkwrx": "a character that bech32 does not know",
    "\x801eym55h": "a character that bech32 does not know",
    "pzry9x0s0muk": "no separator",
    "1pzry9x0s0muk": "no separator",
    "x1b4n0q5v": "'b' is not a bech32 character",
    "li1dgmt3": "too short",
    "A1G7SGD8": "checksum is wrong",
    "10a06t8": "no separator",
    "1qzzfhee": "no separator",
    "a12UEL5L": "mixes upper and lower case",
    # str.lower() turns the Kelvin sign into an ASCII k; it must not get that far.
    "split1chec\u212aupstagehandsha\u212aeupstreamerranterredcaperred2y9e3w": "does not know",
}


@pytest.mark.parametrize("text", VALID)
def test_valid_text_is_read_and_written_back(text: str) -> None:
    hrp, groups = bech32.decode(text)
    assert bech32.encode(hrp, groups) == text.lower()


@pytest.mark.parametrize(("text", "why"), INVALID.items())
def test_invalid_text_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(bech32.Bech32Error, match=why):
        bech32.decode(text)


def test_there_is_no_limit_of_ninety_characters() -> None:
    text = bech32.encode("lnbcrt", [7] * 900)
    assert bech32.decode(text) == ("lnbcrt", [7] * 900)


def test_spare_bits_must_be_zero_and_few() -> None:
    assert bech32.bytes_of(bech32.groups_of(b"\xff\x01")) == b"\xff\x01"
    with pytest.raises(bech32.Bech32Error):
        bech32.bytes_of([*bech32.groups_of(b"\xff\x01")[:-1], 0b10001])
    with pytest.raises(bech32.Bech32Error):
        bech32.bytes_of([0, 0, 0, 0, 0, 0])


def test_numbers_take_the_fewest_groups() -> None:
    assert bech32.number_groups(0) == []
    assert bech32.number_groups(31) == [31]
    assert bech32.number_groups(60) == [1, 28]
    assert bech32.number_of([18, 14, 20, 0]) == 604_800
