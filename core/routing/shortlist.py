"""Who is looked at for a task: named by the directory of this process where there is one and read again from the
database, else found by a scan. With how many fall at which rule. Used by `offering.py` and `at_once.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.routing.directory.registry import follower_of
from core.routing.eligible import RULES, Refusal, falls_at, may_take
from core.routing.lineup import Lineup, lineup_of
from core.routing.model import Candidate, Policy, Question
from core.routing.people import everybody, free_workers, named_workers

if TYPE_CHECKING:
    from core.routing.directory.follow import Follower

DIRECTORY, SCAN = "directory", "scan"
_EXPLAINED = 1000  # workers that a scan without a result looks through for its reasons


class Shortlist(msgspec.Struct, frozen=True, kw_only=True):
    """`candidates` may take the task; `people` are whom a directory names for it, as it remembers them, best first by nothing but
    rank. For the rest see `core.routing.decisions.Decision`."""

    candidates: list[Candidate]
    people: Lineup
    source: str
    total: int
    able: int
    falls: dict[Refusal, int]
    without: dict[Refusal, int]

    @property
    def lineup(self) -> Lineup:
        """All who are looked at."""
        return self.people or lineup_of(self.candidates)


async def shortlist(
    database: Database,
    session: AsyncSession,
    question: Question,
    now_ms: int,
    seconds_left: float,
    policy: Policy,
) -> Shortlist:
    """Everybody in it was read from the database just now. When the directory knows nobody, or nobody whom it names may
    take the task any more, it catches up and is asked once more."""
    follower = follower_of(database)
    if follower is None:
        return await _scanned(session, question, now_ms, policy)
    found = named(follower, question, now_ms, seconds_left, policy)
    for _ in range(2):
        candidates = await _still(session, question, found.people, now_ms)
        if candidates:
            return msgspec.structs.replace(found, candidates=candidates, people=Lineup())
        await follower.catch_up()
        found = named(follower, question, now_ms, seconds_left, policy)
    candidates = await _still(session, question, found.people, now_ms)
    return msgspec.structs.replace(
        found, candidates=candidates, people=Lineup(), able=found.able if candidates else 0
    )


def named(
    follower: Follower,
    question: Question,
    now_ms: int,
    seconds_left: float,
    policy: Policy,
    *,
    with_asked: bool = False,
) -> Shortlist:
    """Whom the directory names, as it remembers them."""
    people, total, able, falls, without = follower.select(
        question, now_ms, seconds_left, policy.candidates, with_asked=with_asked
    )
    return Shortlist(
        candidates=[], people=people, source=DIRECTORY, total=total, able=able, falls=falls, without=without
    )


async def _still(session: AsyncSession, question: Question, people: Lineup, now_ms: int) -> list[Candidate]:
    if not people:
        return []
    read = await named_workers(session, question, list(people.worker_ids), now_ms)
    return [worker for worker in read if may_take(question, worker)]


async def _scanned(session: AsyncSession, question: Question, now_ms: int, policy: Policy) -> Shortlist:
    """Beyond `policy.candidates` people only the most reliable are looked at."""
    read = await free_workers(session, question, now_ms, policy.candidates)
    candidates = [worker for worker in read if may_take(question, worker)]
    if candidates:
        return explained(question, read, candidates)
    return explained(question, await everybody(session, question, now_ms, _EXPLAINED), [])


def explained(question: Question, workers: Sequence[Candidate], candidates: list[Candidate]) -> Shortlist:
    """The reasons of a scan: `workers` were read, `candidates` of them may take the task."""
    counts = Counter(reason for worker in workers if (reason := falls_at(question, worker)) is not None)
    without: Counter[Refusal] = Counter()
    if not candidates:
        for worker in workers:
            refused = [reason for reason, refuses in RULES.items() if refuses(question, worker)]
            if len(refused) == 1:
                without[refused[0]] += 1
    return Shortlist(
        candidates=candidates,
        people=Lineup(),
        source=SCAN,
        total=len(workers),
        able=len(candidates),
        falls={reason: counts[reason] for reason in RULES if counts[reason]},
        without={reason: without[reason] for reason in RULES if without[reason]},
    )
