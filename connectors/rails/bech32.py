"""Bech32 (BIP-173) as BOLT #11 uses it: without the limit of 90 characters. Used by `bolt11.py`.

"Groups" are lists of 5-bit integers. The checksum constant is that of BIP-173 (1), not of bech32m (BIP-350)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CHECKSUM_LENGTH = 6

_VALUE_OF = {character: value for value, character in enumerate(CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


class Bech32Error(ValueError):
    """The text is not bech32: a foreign character, mixed case, no separator or a wrong checksum."""


def encode(hrp: str, groups: Sequence[int]) -> str:
    """`hrp`, the separator, `groups` and their checksum, in lower case."""
    checked = _polymod([*_expanded(hrp), *groups, *[0] * CHECKSUM_LENGTH]) ^ 1
    checksum = [checked >> 5 * (CHECKSUM_LENGTH - 1 - place) & 31 for place in range(CHECKSUM_LENGTH)]
    return f"{hrp}1{''.join(CHARSET[group] for group in (*groups, *checksum))}"


def decode(text: str) -> tuple[str, list[int]]:
    """The lower-case human-readable part and the groups without their checksum. Raises Bech32Error."""
    # First of all, since str.lower() makes an ASCII k out of the Kelvin sign.
    if not all("!" <= character <= "~" for character in text):
        raise Bech32Error("this text has a character that bech32 does not know")
    if text != text.lower() and text != text.upper():
        raise Bech32Error("this text mixes upper and lower case, which bech32 forbids")
    hrp, separator, data = text.lower().rpartition("1")
    if not separator or not hrp:
        raise Bech32Error("this text has no separator 1 after a human-readable part")
    if len(data) < CHECKSUM_LENGTH:
        raise Bech32Error("this text is too short to hold a checksum")
    try:
        groups = [_VALUE_OF[character] for character in data]
    except KeyError as error:
        raise Bech32Error(f"{error.args[0]!r} is not a bech32 character") from None
    if _polymod([*_expanded(hrp), *groups]) != 1:
        raise Bech32Error("the checksum is wrong: a character was lost or changed")
    return hrp, groups[:-CHECKSUM_LENGTH]


def groups_of(data: bytes) -> list[int]:
    """`data` in 5-bit groups, filled up with zero bits at the end."""
    count = -(-len(data) * 8 // 5)
    value = int.from_bytes(data, "big") << count * 5 - len(data) * 8
    return [value >> 5 * place & 31 for place in range(count - 1, -1, -1)]


def bytes_of(groups: Sequence[int]) -> bytes:
    """The whole bytes in `groups`. Raises Bech32Error when the spare bits (0 to 4) are more or are not zero."""
    spare = len(groups) * 5 % 8
    value = number_of(groups)
    if spare > 4 or value & (1 << spare) - 1:
        raise Bech32Error("the spare bits at the end of a field are not zero")
    return (value >> spare).to_bytes(len(groups) * 5 // 8, "big")


def number_of(groups: Iterable[int]) -> int:
    """`groups` read as one big-endian number."""
    value = 0
    for group in groups:
        value = value << 5 | group
    return value


def number_groups(value: int) -> list[int]:
    """The shortest big-endian groups of a number; none for zero."""
    return [value >> 5 * place & 31 for place in range(-(-value.bit_length() // 5) - 1, -1, -1)]


def _expanded(hrp: str) -> list[int]:
    codes = hrp.encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(groups: Iterable[int]) -> int:
    checksum = 1
    for group in groups:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ group
        for place, generator in enumerate(_GENERATOR):
            if top >> place & 1:
                checksum ^= generator
    return checksum
