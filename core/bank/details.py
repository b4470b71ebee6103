"""Bank details as a worker types them: checked, packed for sealing, and shortened to a label. Pure; numbers leave this
file only inside a `BankAccount`, whose repr hides them."""

from __future__ import annotations

import re

import msgspec

from core.errors import Invalid
from core.payouts.rail import BankAccount, BankKind
from core.secret import Secret

LONGEST_NAME = 70  # what SEPA carries of a name (EPC115-06, AT-E001)
TYPES = ("CHECKING", "SAVINGS")

# Length of an IBAN, of the countries of SEPA: the registry of ISO 13616, and EPC409-09 for the list.
_LENGTHS = """AD24 AL28 AT20 BE16 BG22 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GI23 GR27 HR21 HU28 IE22 IS26 IT27
LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MT31 NL18 NO15 PL28 PT25 RO24 RS22 SE24 SI19 SK24 SM27 VA22"""
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}

_NAME = re.compile(r"[^\W\d_][\w .,'&()/-]*")
_BLANKS = re.compile(r"[\s.-]")


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """The form, as text. `account_number` is the IBAN for SEPA; `routing_number` the ABA number or the sort code, empty
    for SEPA; `account_type` CHECKING or SAVINGS for ACH, else empty."""

    kind: str
    holder: str
    account_number: Secret
    routing_number: str = ""
    account_type: str = ""
    company: bool = False


def checked(typed: Typed) -> BankAccount:
    """The details in their one form (no blanks, upper case). Raises Invalid with every field that is wrong; what was
    typed is not repeated."""
    if typed.kind not in set(BankKind):
        raise _invalid({"kind": f"Must be one of {', '.join(BankKind)}"})
    kind = BankKind(typed.kind)
    holder = " ".join(typed.holder.split())
    number = _BLANKS.sub("", typed.account_number.reveal()).upper()
    routing = _BLANKS.sub("", typed.routing_number)
    account_type = typed.account_type.strip().upper()
    wrong = {
        "holder": _wrong_holder(holder),
        "accountNumber": _wrong_number(kind, number),
        "routingNumber": _wrong_routing(kind, routing),
        "accountType": _wrong_type(kind, account_type),
    }
    told = {field: why for field, why in wrong.items() if why}
    if told:
        raise _invalid(told)
    return BankAccount(
        kind=kind,
        holder=holder,
        account_number=Secret(number),
        routing_number=routing,
        account_type=account_type,
        company=typed.company,
    )


def label(account: BankAccount) -> str:
    """All that is ever shown: the last four characters."""
    return f"•••• {account.account_number.reveal()[-4:]}"


def pack(account: BankAccount) -> str:
    """JSON, for sealing and nothing else."""
    return msgspec.json.encode(account, enc_hook=_reveal).decode()


def unpack(text: str) -> BankAccount:
    return msgspec.json.decode(text, type=BankAccount, dec_hook=_hide)


def aba_holds(number: str) -> bool:
    """Nine digits, weighed 3, 7, 1 and summed, are a multiple of ten (ABA Key to Routing Numbers)."""
    if len(number) != 9 or not _digits(number) or number == "000000000":
        return False
    return sum(int(digit) * weight for digit, weight in zip(number, (3, 7, 1) * 3, strict=True)) % 10 == 0


def iban_holds(number: str) -> bool:
    """Its country's length, and the remainder 1 by 97 when the first four characters stand behind (ISO 7064)."""
    if IBAN_LENGTHS.get(number[:2]) != len(number) or not (number.isascii() and number.isalnum()):
        return False
    turned = number[4:] + number[:4]
    return _digits(number[2:4]) and int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _wrong_holder(holder: str) -> str:
    if 0 < len(holder) <= LONGEST_NAME and _NAME.fullmatch(holder):
        return ""
    return f"Write the name as the bank has it: 1 to {LONGEST_NAME} letters, beginning with one"


def _wrong_number(kind: BankKind, number: str) -> str:
    match kind:
        case BankKind.SEPA if not iban_holds(number):
            return (
                "This is not an IBAN of a SEPA country: compare it with your statement, a character differs"
            )
        case BankKind.FPS if not (_digits(number) and len(number) == 8):
            return "A British account number has 8 digits"
        case BankKind.ACH | BankKind.US_WIRE if not (_digits(number) and 4 <= len(number) <= 17):
            return "An American account number has 4 to 17 digits"
        case _:
            return ""


def _wrong_routing(kind: BankKind, routing: str) -> str:
    match kind:
        case BankKind.SEPA if routing:
            return "Leave this empty: the IBAN says it"
        case BankKind.FPS if not (_digits(routing) and len(routing) == 6):
            return "A sort code has 6 digits"
        case BankKind.ACH | BankKind.US_WIRE if not aba_holds(routing):
            return "This is not a routing number: nine digits, the last of which proves the others"
        case _:
            return ""


def _wrong_type(kind: BankKind, account_type: str) -> str:
    if kind is BankKind.ACH:
        return "" if account_type in TYPES else "Choose CHECKING or SAVINGS"
    return "Only an ACH account has a type" if account_type else ""


def _invalid(told: dict[str, str]) -> Invalid:
    return Invalid("bad_bank_details", "These bank details cannot be paid", field_errors=told)


def _reveal(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"bank details hold no {type(value).__name__}")


def _hide(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(f"bank details hold no {kind.__name__}")
