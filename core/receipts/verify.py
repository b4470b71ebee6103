"""Judges receipts without asking anybody: signature, key, chain, payment. Pure; used by `hub receipt verify` and
`hub receipt check`. The README of this folder has the same in forty lines for those who do not have the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from core.receipts import signature
from core.receipts.canonical import digest
from core.receipts.model import GENESIS, VERSION, KeySet, Kind, PublicKey, Receipt, Signed


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one receipt, in a sentence."""

    receipt: str
    what: str

    def __str__(self) -> str:
        return f"{self.receipt}: {self.what}"


class Link(msgspec.Struct, frozen=True):
    """A receipt that was judged, as far as the next one needs it."""

    number: int
    hash: str


class Judge:
    """Takes receipts in their order and says what is wrong with each. Two neighbours of the chain are held against each
    other; with `whole` every receipt must follow the one before, from the first on."""

    def __init__(self, keys: KeySet, *, whole: bool = False):
        self._keys = {key.kid: key for key in keys.keys}
        self._whole = whole
        self._last = Link(0, GENESIS) if whole else None
        self._verified: dict[str, str] = {}  # task -> hash of its first receipt

    def faults(self, signed: Signed) -> list[Fault]:
        """Empty when it is what the owner of the key has signed, and fits what came before."""
        name = str(signed.receipt.get("id", "a receipt without an id"))
        try:
            hashed = digest(signed.receipt)
        except (ValueError, RecursionError) as error:
            return [Fault(name, f"it is no receipt: {error}")]
        found = list(self._of_signature(signed))
        try:
            receipt = msgspec.convert(signed.receipt, Receipt)
        except msgspec.ValidationError as error:
            return [Fault(name, what) for what in [*found, f"it is no receipt: {error}"]]
        if receipt.version != VERSION:
            found.append(f"version {receipt.version} is not known here")
        found += self._of_chain(receipt)
        found += self._of_payment(receipt)
        self._last = Link(receipt.number, hashed)
        if receipt.kind is Kind.VERIFIED and not self._whole:
            self._verified[receipt.task.id] = hashed
        return [Fault(name, what) for what in found]

    def _of_signature(self, signed: Signed) -> Iterator[str]:
        kid = signed.receipt.get("key")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            yield "none of the given keys signed it"
            return
        if not signature.fits(key.x, signed.receipt, signed.signature):
            yield "the signature does not fit: it was changed, or another key signed it"
        elif not _in_time(key, signed.receipt):
            yield "it is dated outside the time in which its key was used"

    def _of_chain(self, receipt: Receipt) -> Iterator[str]:
        last = self._last
        if last is None:
            return
        if receipt.number <= last.number:
            yield f"number {receipt.number} does not come after number {last.number}"
        elif receipt.number == last.number + 1:
            if receipt.previous != last.hash:
                yield f"it does not follow receipt {last.number}: the hashes differ"
        elif self._whole:
            yield f"receipts {last.number + 1} to {receipt.number - 1} are missing"

    def _of_payment(self, receipt: Receipt) -> Iterator[str]:
        payment = receipt.payment
        if (receipt.kind is Kind.VERIFIED) != (receipt.verification is not None) or (
            receipt.kind is Kind.VERIFIED
        ) == (payment is not None):
            yield f"its content does not belong to the kind {receipt.kind}"
        if payment is None:
            return
        verified = self._verified.get(receipt.task.id)
        if verified is not None and payment.verified != verified:
            yield "it names another receipt as that of the verified answer"
        if payment.preimage is not None and not _proves(payment.preimage, payment.payment_hash):
            yield "the preimage does not prove the payment hash"


def judge(receipts: Sequence[Signed], keys: KeySet, *, whole: bool = False) -> list[Fault]:
    """Everything that is wrong with receipts that are given in their order."""
    one = Judge(keys, whole=whole)
    return [fault for signed in receipts for fault in one.faults(signed)]


def answers_differ(receipts: Sequence[Signed], answer: Any) -> list[Fault]:
    """A fault for each receipt of a verified answer that is not of this one."""
    wanted, found = digest(answer), list[Fault]()
    for signed in receipts:
        said = signed.receipt.get("verification")
        if isinstance(said, dict) and cast("dict[str, Any]", said).get("answerDigest") != wanted:
            found.append(Fault(str(signed.receipt.get("id")), "the answer is not the one that was verified"))
    return found


def _in_time(key: PublicKey, receipt: dict[str, Any]) -> bool:
    try:
        issued = datetime.fromisoformat(str(receipt.get("issuedAt")))
        since = datetime.fromisoformat(key.created_at)
        until = datetime.fromisoformat(key.retired_at) if key.retired_at else None
        good = since <= issued and (until is None or issued <= until)
    except (ValueError, TypeError):  # no moment, or one without its offset
        good = False
    return good


def _proves(preimage: str, payment_hash: str) -> bool:
    try:
        return hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == payment_hash
    except ValueError:
        return False
