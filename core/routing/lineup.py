"""Who is looked at for a task, a column for each thing that a score reads: sixty are looked at for each offer, and columns
are filled and scored faster than objects. Made by the directory (`select.py`) or out of candidates, read by `score.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from core.routing.model import Candidate


class Speed(NamedTuple):
    """ln(seconds to an answer) is normal with `mu` and `sigma`; `gone` is the chance that none ever comes. A plain tuple of the
    three does as well."""

    mu: float
    sigma: float
    gone: float = 0.0


Three = tuple[float, float, float]


class Lineup(msgspec.Struct, frozen=True, kw_only=True):
    """One place in each column for one worker, in any order; true when there is somebody. See `Candidate` for the columns;
    `speeds` is what is predicted for the type of the task, None where nothing is."""

    worker_ids: Sequence[str] = ()
    right: Sequence[float] = ()
    price_floor_msat: Sequence[int] = ()
    load: Sequence[int] = ()
    usual_seconds: Sequence[int | None] = ()
    speeds: Sequence[Three | None] = ()
    idle_seconds: Sequence[float] = ()
    offers_taken: Sequence[int] = ()
    offers_missed: Sequence[int] = ()
    answers: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.worker_ids)


def lineup_of(workers: Iterable[Candidate]) -> Lineup:
    people = list(workers)
    return Lineup(
        worker_ids=[one.worker_id for one in people],
        right=[one.right for one in people],
        price_floor_msat=[one.price_floor_msat for one in people],
        load=[one.load for one in people],
        usual_seconds=[one.usual_seconds for one in people],
        speeds=[
            (one.prediction.mu, one.prediction.sigma, one.prediction.gone) if one.prediction else None
            for one in people
        ],
        idle_seconds=[one.idle_seconds for one in people],
        offers_taken=[one.offers_taken for one in people],
        offers_missed=[one.offers_missed for one in people],
        answers=[one.answers for one in people],
    )
