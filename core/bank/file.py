"""The file of a batch, as an operator uploads it to the bank or types from it. Pure; the only place where bank details
stand in the clear. Columns and rules are told to operators in `connectors/rails/README.md`."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence

import msgspec

from core.payouts.rail import BankAccount

COLUMNS = (
    "reference",
    "amount",
    "currency",
    "kind",
    "holder",
    "holder_type",
    "account_type",
    "routing_number",
    "account_number",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    reference: str
    cents: int
    payee: BankAccount


def write(payments: Sequence[Payment]) -> str:
    """CSV (RFC 4180) with a heading; the same payments give the same text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in payments:
        writer.writerow([plain(cell) for cell in _cells(one)])
    return out.getvalue()


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def dollars(cents: int) -> str:
    """`12.34`."""
    return f"{cents // 100}.{cents % 100:02d}"


def plain(cell: str) -> str:
    """A spreadsheet runs a cell that begins so (OWASP, CSV injection); an apostrophe in front makes it text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(one: Payment) -> list[str]:
    return [
        one.reference,
        dollars(one.cents),
        "USD",
        str(one.payee.kind),
        one.payee.holder,
        "company" if one.payee.company else "person",
        one.payee.account_type,
        one.payee.routing_number,
        one.payee.account_number.reveal(),
    ]
