"""Who gives a further answer to a task that has some: drawn, not ranked. Whoever tells most about what is open is asked, by a draw
that gives new people their turn, and now and then anybody is. What the answers are worth is for verification to know
(`core/verification/asking.py` draws); here the draw meets the chance that the offer is taken and answered in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from core.db.unit_of_work import Transaction
from core.routing.score import Score
from core.tasks.tables import Task

SCORE = "score"  # no draw: the best by score
RANDOM = "random"  # drawn evenly among the eligible


class Draws(msgspec.Struct, frozen=True, kw_only=True):
    """Each candidate's draw, 0 to 1, and `how` it was made (`random`, `thompson`)."""

    how: str
    by_worker: Mapping[str, float]


class Draw(Protocol):
    """Draws for these workers, who may take the task. The caller holds the task's row."""

    async def __call__(self, tx: Transaction, task: Task, workers: Sequence[str], /) -> Draws: ...


def in_order(scores: Sequence[Score], draws: Draws, late: float) -> list[Score]:
    """Best first. `late` is the part of its worth that a late answer still has (`Weights.late`). An even draw is even: there
    the chances play no part."""

    def key(one: Score) -> tuple[float, str]:
        drawn = draws.by_worker[one.worker_id]
        if draws.how != RANDOM:
            drawn *= one.takes * (one.in_time + late * (1 - one.in_time))
        return -drawn, one.worker_id

    return sorted(scores, key=key)
