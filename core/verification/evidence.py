"""What verification tells the workers' records: how right an answer was, and how surely that is known. Called when a task
ends; for several workers in the order of their ids, so that no two transactions wait in a ring."""

from __future__ import annotations

from core.db.unit_of_work import Transaction
from core.verification.consensus import Changes
from core.verification.consensus.counts import BAD, GOOD
from core.verification.consensus.model import POOL
from core.workers.records import add_evidence, take_back_evidence
from core.workers.reliability import Sign


async def from_changes(tx: Transaction, task_type: str, changes: Changes) -> None:
    """The share of right and wrong that consensus learnt of each worker is evidence of that weight."""
    for worker, (right, weight) in sorted(shares(changes).items()):
        sign = sign_of(changes, worker)
        await add_evidence(tx, worker, task_type, "consensus", right, weight, sign)


def sign_of(changes: Changes, worker: str, right: float | None = None) -> Sign | None:
    """What the worker's alarm is told: what all but the answer itself say of it, or `right` where somebody knows. None
    where the changes say nothing."""
    for one in changes.alone:
        if one.worker == worker:
            known = one.right if right is None else right
            return Sign(right=known, chance=one.chance, usual=one.usual)
    return None


async def take_back(tx: Transaction, task_type: str, changes: Changes) -> None:
    """Undo `from_changes`, because a reviewer knows better."""
    for worker, (right, weight) in sorted(shares(changes).items()):
        await take_back_evidence(tx, worker, task_type, right, weight)


def shares(changes: Changes) -> dict[str, tuple[float, float]]:
    """(right, weight) by worker, both 0 to 1."""
    good: dict[str, float] = {}
    bad: dict[str, float] = {}
    for owner, key, delta in changes.add:
        if owner != POOL and key in (GOOD, BAD):
            (good if key == GOOD else bad)[owner] = delta
    found: dict[str, tuple[float, float]] = {}
    for worker in good.keys() | bad.keys():
        right, wrong = max(0.0, good.get(worker, 0.0)), max(0.0, bad.get(worker, 0.0))
        if right + wrong > 0:
            found[worker] = (right / (right + wrong), min(1.0, right + wrong))
    return found
