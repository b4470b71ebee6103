"""What consensus has learnt, in and out of the database: counters of the pool and of those who answered, the certificate
of a task type from its audits. Called by `decide.py`, and by what finds out the truth."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.verification import consensus
from core.verification.consensus import Certificate, Changes, ConsensusPolicy
from core.verification.consensus.model import POOL
from core.verification.fold import Counter
from core.verification.policy import Level
from core.verification.tables import Audit, ConsensusCounter

AUDITS = 2_000  # the latest; what is older says little of today's people

_ADD = """
    INSERT INTO consensus_counters (task_type, environment, owner, key, field, truth, answer, value)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::float8)
    ON CONFLICT (task_type, environment, owner, key) DO UPDATE SET value = consensus_counters.value + excluded.value"""


async def counters(
    session: AsyncSession, task_type: str, environment: str, workers: Sequence[str]
) -> dict[str, list[Counter]]:
    """The counters of the pool (owner empty) and of these workers, each owner's in a fixed order."""
    statement = (
        select(ConsensusCounter)
        .where(
            ConsensusCounter.task_type == task_type,
            ConsensusCounter.environment == environment,
            ConsensusCounter.owner.in_([POOL, *workers]),
        )
        .execution_options(populate_existing=True)
    )
    found: dict[str, list[Counter]] = {}
    for row in await session.scalars(statement):
        found.setdefault(row.owner, []).append((row.field, row.truth, row.answer, row.value))
    return {owner: sorted(rows) for owner, rows in found.items()}


async def learn(tx: Transaction, task_type: str, environment: str, changes: Changes) -> None:
    """Add the changes. In their own order, which is one for all, so that no two transactions wait in a ring."""
    rows = [(task_type, environment, owner, _digest(key), *key, delta) for owner, key, delta in changes.add]
    if rows:
        sql = for_dialect(_ADD, tx.dialect)
        for row in rows:
            await tx.execute(sql, row)


async def certificate(
    session: AsyncSession, task_type: str, environment: str, level: Level
) -> Certificate | None:
    """What the audits of this task type prove, None as long as they prove nothing."""
    statement = (
        select(Audit.confidence, Audit.right_answer)
        .where(Audit.task_type == task_type, Audit.environment == environment)
        .order_by(Audit.id.desc())
        .limit(AUDITS)
    )
    found = (await session.execute(statement)).all()
    return _certified(tuple((row[0], row[1]) for row in reversed(found)), level.rho) if found else None


@functools.lru_cache(maxsize=256)
def _certified(audits: tuple[tuple[float, int], ...], rho: float) -> Certificate | None:
    """Kept, because audits are rare and decisions are not."""
    found = [consensus.Audit(confidence=confidence, wrong=not right) for confidence, right in audits]
    return consensus.certify(found, ConsensusPolicy(rho=rho))


def _digest(key: tuple[str, str, str]) -> str:
    return hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()
