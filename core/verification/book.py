"""What consensus has learnt, in and out of the database: counters of the pool and of those who answered, the certificate
of a task type from its audits. Called by `decide.py`, and by what finds out the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select

from core.db.base import to_json
from core.db.engine import Database
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.verification import consensus
from core.verification.consensus import Certificate, Changes, ConsensusPolicy
from core.verification.consensus.certify import period
from core.verification.consensus.model import POOL
from core.verification.fold import Counter
from core.verification.policy import Level
from core.verification.tables import Audit

NEWEST = 64  # one that commits late is among them: no more are made while a transaction lasts

_ADD = """
    INSERT INTO consensus_counters (task_type, environment, owner, key, field, truth, answer, value)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::float8)
    ON CONFLICT (task_type, environment, owner, key) DO UPDATE SET value = consensus_counters.value + excluded.value"""


_COUNTERS = {
    "postgresql": """
        SELECT owner, field, truth, answer, value FROM consensus_counters
        WHERE task_type = $1 AND environment = $2 AND owner = ANY($3::text[])""",
    "sqlite": """
        SELECT owner, field, truth, answer, value FROM consensus_counters
        WHERE task_type = ?1 AND environment = ?2 AND owner IN (SELECT value FROM json_each(?3))""",
}
# Of no owner: how many audits there are among the newest, their first and their last.
_AUDITED = f"""
    UNION ALL SELECT NULL, CAST(count(*) AS TEXT), min(id), max(id), 0.0 FROM (
        SELECT id FROM verification_audits WHERE task_type = $1 AND environment = $2 ORDER BY id DESC LIMIT {NEWEST}) a"""  # noqa: S608 - a number of ours
_KNOWN = {dialect: for_dialect(sql + _AUDITED, dialect) for dialect, sql in _COUNTERS.items()}

Counters = dict[str, list[Counter]]
Audited = tuple[int, str | None, str | None]


async def counters(
    tx: Transaction, task_type: str, environment: str, workers: Sequence[str]
) -> tuple[Counters, Audited]:
    """The counters of the pool (owner empty) and of these workers, each owner's in a fixed order; and what tells one state of
    the audits from another, for `certificate`."""
    names = [POOL, *workers]
    asked = names if tx.dialect == "postgresql" else to_json(names)
    found: Counters = {}
    audited: Audited = (0, None, None)
    for owner, field, truth, answer, value in await tx.execute(
        _KNOWN[tx.dialect], (task_type, environment, asked)
    ):
        if owner is None:
            audited = (int(field), truth, answer)
        else:
            found.setdefault(owner, []).append((field, truth, answer, value))
    return {owner: sorted(rows) for owner, rows in found.items()}, audited


async def learn(tx: Transaction, task_type: str, environment: str, changes: Changes) -> None:
    """Add the changes. In their own order, which is one for all, so that no two transactions wait in a ring."""
    rows = [(task_type, environment, owner, _digest(key), *key, delta) for owner, key, delta in changes.add]
    if rows:
        await tx.execute(for_dialect(_ADD, tx.dialect), rows)


async def certificate(
    tx: Transaction, task_type: str, environment: str, level: Level, there: Audited
) -> Certificate | None:
    """What the audits of this task type prove, None as long as they prove nothing. `there` is from `counters`."""
    asked = (task_type, environment)
    if not there[0]:
        return None
    kept = _certificates.setdefault(tx.database, {})
    key = (*asked, level.rho, *there)
    if key not in kept:
        kept[key] = await _certify(tx, task_type, environment, level.rho)
        while len(kept) > _KEPT:
            del kept[next(iter(kept))]
    return kept[key]


# Audits are rare and decisions are not. An audit is never changed, and one more moves the count or an end of the newest,
# which are in the key.
_certificates: WeakKeyDictionary[Database, dict[tuple[Any, ...], Certificate | None]] = WeakKeyDictionary()
_KEPT = 256


async def _certify(tx: Transaction, task_type: str, environment: str, rho: float) -> Certificate | None:
    """From the audits of the present period and the one before."""
    policy = ConsensusPolicy(rho=rho)
    mine = (Audit.task_type == task_type, Audit.environment == environment)
    total = (await tx.session.execute(select(func.count()).select_from(Audit).where(*mine))).scalar_one()
    present = total // period(policy) * period(policy)
    statement = (
        select(Audit.confidence, Audit.right_answer)
        .where(*mine)
        .order_by(Audit.id)
        .offset(max(0, present - period(policy)))
    )
    rows = (await tx.session.execute(statement)).all()
    found = [consensus.Audit(confidence=confidence, wrong=not right) for confidence, right in rows]
    return consensus.certify(found, policy)


def _digest(key: tuple[str, str, str]) -> str:
    return hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()
