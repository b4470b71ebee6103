"""Why a task was offered to somebody, or to nobody, kept with the decision: who was looked at and their scores in parts,
the weights, and how many fall at each rule. Written by `offering.py` and `at_once.py`, read by `hub task why` and the
operator's page, forgotten by upkeep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.db.base import to_json
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.routing.drawing import SCORE, Draws
from core.routing.model import Policy, Question, Weights
from core.routing.score import Score
from core.routing.shortlist import Shortlist
from core.routing.states import AssignmentKind
from core.routing.tables import RoutingDecision
from core.tasks.model import RiskTier

TAKEN = "taken"  # nobody was chosen: the worker took it from the queue
_SHOWN = 8  # candidates whose scores are kept at least
_DAY_MS = 86_400_000
FORGET_AT_ONCE = 20_000


class Asking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the task asked for."""

    environment: str
    skills: list[str]
    minimum_tier: int
    payout_msat: int
    risk: str
    language: str | None = None
    experts_from: int | None = None
    allow_listed: bool = False


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`able` of `total` workers may take the task, `looked_at` of them were scored; `falls` counts the others by the first
    rule that refuses them. Without anybody able, `without` says how many could if one rule were not there. `source` is
    `directory` or `scan`; a scan counts nobody whom its query leaves out. `how` the order of the candidates was made, with
    their `draws` where it was not by score (`drawing.py`). `not_now`: why no backup was looked for (`backups.NoBackup`)."""

    asking: Asking
    seconds_left: float
    source: str
    total: int
    able: int
    looked_at: int
    candidates: list[Score]
    weights: Weights
    falls: dict[str, int]
    without: dict[str, int] = {}
    how: str = SCORE
    draws: dict[str, float] = {}
    not_now: str = ""

    @property
    def binds(self) -> str | None:
        """The rule at which the last ones fell, when nobody may take the task."""
        return None if self.candidates or not self.falls else list(self.falls)[-1]


def shown(policy: Policy) -> int:
    """How many candidates' scores are kept."""
    return max(_SHOWN, policy.claims)


def decided(
    question: Question,
    shortlist: Shortlist,
    scores: Sequence[Score],
    seconds_left: float,
    policy: Policy,
    draws: Draws | None = None,
    *,
    taken: bool = False,
    not_now: str = "",
) -> Decision:
    """`scores` are of all who were looked at, best first, or the best of them; `taken`: of the one who took it. All who are
    tried are kept, for one of them is chosen."""
    kept = list(scores[: shown(policy)])
    return Decision(
        asking=Asking(
            environment=question.environment,
            skills=sorted(question.skills),
            minimum_tier=question.minimum_tier,
            payout_msat=question.payout_msat,
            risk=question.risk,
            language=question.language,
            experts_from=question.experts_from,
            allow_listed=question.allow_listed,
        ),
        seconds_left=round(seconds_left, 3),
        source=shortlist.source,
        total=shortlist.total,
        able=shortlist.able,
        looked_at=len(shortlist.people or shortlist.candidates),
        candidates=kept,
        weights=msgspec.structs.replace(
            policy.weights, stakes={RiskTier(question.risk): policy.weights.stake(question.risk)}
        ),
        falls={str(reason): count for reason, count in shortlist.falls.items()},
        without={str(reason): count for reason, count in shortlist.without.items()},
        how=TAKEN if taken else SCORE if draws is None else draws.how,
        not_now=not_now,
        draws={} if draws is None else {one.worker_id: draws.by_worker[one.worker_id] for one in kept},
    )


# One row for each offer; while nobody can take a task, one row that counts.
INSERT = """
    INSERT INTO routing_decisions (id, task_id, assignment_id, kind, slot, times, decided_at, body)
    VALUES ($1, $2, $3, $4, $5::int, 1, $6::bigint, $7)
    ON CONFLICT (id) DO UPDATE SET times = routing_decisions.times + 1, decided_at = excluded.decided_at,
        body = excluded.body"""


async def keep(
    tx: Transaction,
    decision: Decision,
    task_id: str,
    role: AssignmentKind,
    slot: int,
    assignment_id: str | None,
) -> None:
    await tx.execute(
        for_dialect(INSERT, tx.dialect),
        row(decision, task_id, role, slot, assignment_id, await tx.now_ms()),
    )


def row(
    decision: Decision, task_id: str, role: AssignmentKind, slot: int, assignment_id: str | None, now_ms: int
) -> tuple[Any, ...]:
    """The parameters of `INSERT`."""
    name = ids.new("dec") if assignment_id else f"dec_{task_id}_{role}"
    return (name, task_id, assignment_id, str(role), slot, now_ms, to_json(_kept(decision)))


_PARTS = Score.__struct_fields__


def _kept(decision: Decision) -> Decision:
    """As it is written: of the scores no names, which are half of it."""
    listed = [msgspec.structs.astuple(one) for one in decision.candidates]
    return msgspec.structs.replace(decision, candidates=listed)


def read(body: dict[str, Any]) -> Decision:
    """What `row` wrote, and what was written when scores had names."""
    kept: list[dict[str, Any] | list[Any]] = body["candidates"]
    named = [one if isinstance(one, dict) else dict(zip(_PARTS, one, strict=False)) for one in kept]
    return msgspec.convert({**body, "candidates": named}, Decision)


async def of_task(session: AsyncSession, task_id: str) -> list[tuple[RoutingDecision, Decision]]:
    """Oldest first; the newest fifty."""
    statement = (
        select(RoutingDecision)
        .where(RoutingDecision.task_id == task_id)
        .order_by(RoutingDecision.decided_at.desc(), RoutingDecision.id.desc())
        .limit(50)
    )
    rows = list(await session.scalars(statement))[::-1]
    return [(one, read(one.body)) for one in rows]


async def forget_old(tx: Transaction, policy: Policy) -> int:
    """Those older than the policy keeps them, so many at a time; how many went."""
    before = clock.from_ms(await tx.now_ms() - policy.decisions_days * _DAY_MS)
    old = (
        select(RoutingDecision.id)
        .where(RoutingDecision.decided_at < before)
        .order_by(RoutingDecision.decided_at)
        .limit(FORGET_AT_ONCE)
    )
    gone = delete(RoutingDecision).where(RoutingDecision.id.in_(old)).returning(RoutingDecision.id)
    return len((await tx.session.execute(gone)).all())
