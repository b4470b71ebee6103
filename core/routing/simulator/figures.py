"""What a simulation is judged by. Pure; made by `engine.py`, shown by `hub simulate` and the benchmark `sla`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from core.routing.simulator.world import Job, World

WARM_UP = 6  # the first sixth of the tasks is not counted: nobody is known yet, under any policy


class Tried(msgspec.Struct, kw_only=True):
    """One task and what became of it; `answered_at` in seconds, None when nobody answered before the hard stop."""

    job: Job
    answered_at: float | None = None
    right: bool = False
    by: str = ""
    paid_msat: int = 0
    turns: int = 0
    backups: int = 0
    alarms: set[str] = msgspec.field(default_factory=set[str])

    @property
    def in_time(self) -> bool:
        return self.answered_at is not None and self.answered_at <= self.job.at + self.job.sla_seconds


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Shares are 0 to 1. `hits`: answered within the SLA; `hits_right`: and right; `accuracy`: of what was answered;
    `cost_msat`: paid for one answered task, by the price of who answered; `gini`: how unequally the answers are spread over
    those who were there (0: alike); `utilisation`: of the hands that were there, taken, offers included."""

    tasks: int
    hits: float
    hits_right: float
    answered: float
    accuracy: float
    cost_msat: float
    gini: float
    utilisation: float
    backups: float


def figures(world: World, tried: Sequence[Tried], busy_ms: Mapping[str, int], end_ms: int) -> Figures:
    counted = tried[len(tried) // WARM_UP :]
    answered = [one for one in counted if one.answered_at is not None]
    there = {one.id: _online_seconds(one.online, end_ms / 1000) * one.capacity for one in world.people}
    earned = dict.fromkeys((name for name, seconds in there.items() if seconds > 0), 0)
    for one in answered:
        if one.by in earned:
            earned[one.by] += 1
    most = max(1, len(counted))
    return Figures(
        tasks=len(counted),
        hits=sum(one.in_time for one in counted) / most,
        hits_right=sum(one.in_time and one.right for one in counted) / most,
        answered=len(answered) / most,
        accuracy=sum(one.right for one in answered) / max(1, len(answered)),
        cost_msat=sum(one.paid_msat for one in answered) / max(1, len(answered)),
        gini=gini(list(earned.values())),
        utilisation=sum(busy_ms.values()) / 1000 / max(1.0, sum(there.values())),
        backups=sum(one.backups for one in counted) / max(1, sum(one.turns for one in counted)),
    )


def gini(values: Sequence[float]) -> float:
    """0 when all have the same, towards 1 when one has all."""
    ordered, total = sorted(values), sum(values)
    if total <= 0:
        return 0.0
    n = len(ordered)
    return 2 * sum(rank * value for rank, value in enumerate(ordered, 1)) / (n * total) - (n + 1) / n


def mean(many: Sequence[Figures]) -> Figures:
    """Of several seeds."""
    rows = [msgspec.structs.asdict(one) for one in many]
    return msgspec.convert(
        {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        | {"tasks": sum(r["tasks"] for r in rows)},
        Figures,
    )


def _online_seconds(times: Sequence[float], end: float) -> float:
    total = 0.0
    for n in range(0, len(times), 2):
        until = times[n + 1] if n + 1 < len(times) else end
        total += max(0.0, min(until, end) - times[n])
    return total
