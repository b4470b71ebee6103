"""A rail's own history held against our attempts, both ways. Pure; called by `reconcile.py`, every night and by
`hub payouts reconcile`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from core.payouts.rail import Outcome, Recorded
from core.payouts.states import PayoutState


class FindingKind(StrEnum):
    STRANGER = "stranger"  # the rail paid, or is paying, what is no attempt of ours
    PAID_AFTER_ALL = "paid_after_all"  # we hold it for failed, and may have paid again: the worst
    TWICE = "twice"  # one payment hash, settled more than once
    AMOUNT = "amount"  # settled, for another amount
    NOT_PAID = "not_paid"  # we hold it for settled, the rail for failed
    MISSING = "missing"  # we hold it for settled, the rail does not know it
    FEE = "fee"  # settled, with another fee than we booked
    REVERSED = "reversed"  # settled, and taken back since


# Money left that we do not account for: nothing more leaves until somebody has explained it.
FREEZING = frozenset(
    {FindingKind.STRANGER, FindingKind.PAID_AFTER_ALL, FindingKind.TWICE, FindingKind.AMOUNT}
)

# Of several records of one hash the one that tells most.
_WEIGHT = {
    Outcome.FAILED: 0,
    Outcome.UNKNOWN: 1,
    Outcome.IN_FLIGHT: 2,
    Outcome.REVERSED: 3,
    Outcome.SETTLED: 4,
}


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, in msat."""

    payment_hash: str
    payout_id: str
    rail: str
    state: str
    amount_msat: int
    fee_msat: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`words` are for the operator; `at_ms` (UTC) is the rail's, 0 where it has no record."""

    kind: FindingKind
    payment_hash: str
    payout_id: str | None
    words: str
    at_ms: int

    @property
    def freezes(self) -> bool:
        return self.kind in FREEZING

    @classmethod
    def read(cls, value: Any) -> Finding:
        """From a row of `reconciliations`."""
        return msgspec.convert(value, cls)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A rail's payments by hash, the record that tells most of each; and the hashes that were settled twice."""

    by_hash: dict[str, Recorded]
    twice: frozenset[str]
    payments: int


def fold(payments: Iterable[Recorded]) -> History:
    """One record for each payment hash: a rail may list every try."""
    by_hash: dict[str, Recorded] = {}
    twice: set[str] = set()
    count = 0
    for one in payments:
        count += 1
        before = by_hash.get(one.payment_hash)
        if before is not None and before.outcome is one.outcome is Outcome.SETTLED:
            twice.add(one.payment_hash)
        if before is None or _WEIGHT[one.outcome] > _WEIGHT[before.outcome]:
            by_hash[one.payment_hash] = one
    return History(by_hash=by_hash, twice=frozenset(twice), payments=count)


def compare(
    rail: str,
    history: History,
    ours: Mapping[str, Ours],
    settled: Collection[Ours],
    *,
    first_ms: int,
    exact: bool,
) -> list[Finding]:
    """`ours`: the attempts with these hashes, read after the history was, so that all that is in it had been committed;
    `settled`: those of ours on this rail that the history must have. What the rail paid before `first_ms` (UTC), when
    the hub first used it, is not ours. Amounts and fees are compared where they are `exact` (not on a bank's dollars)."""
    found: list[Finding] = []
    for payment_hash, theirs in sorted(history.by_hash.items()):
        mine = ours.get(payment_hash)
        if mine is None and theirs.at_ms < first_ms:
            continue
        finding = _judge(rail, theirs, mine, exact=exact)
        if payment_hash in history.twice:
            words = f"{rail} settled this hash more than once"
            finding = _finding(FindingKind.TWICE, theirs, mine, words)
        if finding is not None:
            found.append(finding)
    found.extend(
        Finding(
            kind=FindingKind.MISSING,
            payment_hash=mine.payment_hash,
            payout_id=mine.payout_id,
            words=f"{mine.payout_id} is settled here and not in the history of {rail}",
            at_ms=0,
        )
        for mine in sorted(settled, key=lambda one: one.payment_hash)
        if mine.payment_hash not in history.by_hash
    )
    return found


def _judge(rail: str, theirs: Recorded, mine: Ours | None, *, exact: bool) -> Finding | None:
    if mine is None or mine.rail != rail or mine.state == PayoutState.READY:
        if theirs.outcome is Outcome.FAILED:
            return None  # nothing left
        return _finding(
            FindingKind.STRANGER, theirs, mine, f"{rail} {_did(theirs)} and no attempt of ours did that"
        )
    if mine.state == PayoutState.FAILED and theirs.outcome is not Outcome.FAILED:
        words = (
            f"{rail} {_did(theirs)}, and {mine.payout_id} holds that attempt for failed: it may be paid twice"
        )
        return _finding(FindingKind.PAID_AFTER_ALL, theirs, mine, words)
    if mine.state == PayoutState.SETTLED:
        return _judge_settled(rail, theirs, mine, exact=exact)
    return None  # in doubt: the look-up decides; reversed: it was settled


def _judge_settled(rail: str, theirs: Recorded, mine: Ours, *, exact: bool) -> Finding | None:
    if theirs.outcome is Outcome.FAILED:
        words = f"{mine.payout_id} is settled here, {rail} says that it failed"
        return _finding(FindingKind.NOT_PAID, theirs, mine, words)
    if theirs.outcome is Outcome.REVERSED:
        words = f"{mine.payout_id} is settled here and was taken back from {rail}"
        return _finding(FindingKind.REVERSED, theirs, mine, words)
    if theirs.outcome is not Outcome.SETTLED or not exact:
        return None  # the history was read before it settled
    if abs(theirs.amount_msat - mine.amount_msat) > theirs.within_msat:
        words = f"{mine.payout_id} is {mine.amount_msat} msat here and {theirs.amount_msat} msat on {rail}"
        return _finding(FindingKind.AMOUNT, theirs, mine, words)
    if abs(theirs.fee_msat - mine.fee_msat) > theirs.within_msat:
        words = (
            f"the fee of {mine.payout_id} is {mine.fee_msat} msat here and {theirs.fee_msat} msat on {rail}"
        )
        return _finding(FindingKind.FEE, theirs, mine, words)
    return None


def _did(theirs: Recorded) -> str:
    word = "paid" if theirs.outcome is Outcome.SETTLED else f"has ({theirs.outcome})"
    return f"{word} {theirs.amount_msat} msat"


def _finding(kind: FindingKind, theirs: Recorded, mine: Ours | None, words: str) -> Finding:
    payout_id = mine.payout_id if mine else None
    return Finding(
        kind=kind, payment_hash=theirs.payment_hash, payout_id=payout_id, words=words, at_ms=theirs.at_ms
    )
