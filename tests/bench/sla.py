"""Answers in time at loads 0.7, 1.0 and 1.3: this hub's routing against the plain ways, each with and without backups, on the
same made-up people and tasks (250 workers in sessions, 12 skills, SLA of 2, 3 or 5 times the median and a minute, a quarter of
the offers declined, 3 % never answered; nothing is known of anybody at the beginning). Load 1 is as much work as the hands
that are there can do when tasks are given to anybody. A simulation: it ranks policies and promises no figure of the field."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any

from core.routing.model import Policy
from core.routing.simulator.engine import simulate
from core.routing.simulator.figures import Figures, mean
from core.routing.simulator.ways import PEERS, Way, by_policy, peer
from core.routing.simulator.world import Population, world
from tests.bench.harness import say

LOADS = (0.7, 1.0, 1.3)
TASKS = int(os.environ.get("HUB_BENCH_SLA_TASKS", "4000"))
SEEDS = tuple(range(1, 1 + int(os.environ.get("HUB_BENCH_SLA_SEEDS", "2"))))
OURS = "hub"


def _way(name: str, backups: bool) -> Way:
    if name == OURS:
        return by_policy(Policy(), name=OURS, backups=backups)
    return peer(name, backups=backups)


def _one(job: tuple[float, str, bool, int]) -> Figures:
    load, name, backups, seed = job
    return simulate(world(Population(load=load, tasks=TASKS), seed), _way(name, backups))


def run() -> dict[str, Any]:
    names = (OURS, *PEERS)
    jobs = list(product(LOADS, names, (False, True), SEEDS))
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(jobs, pool.map(_one, jobs), strict=True))
    figure: dict[str, Any] = {
        "bench": "sla",
        "tasks": TASKS,
        "seeds": len(SEEDS),
        "workers": Population().workers,
    }
    for load in LOADS:
        means = {
            (name, backups): mean([found[load, name, backups, seed] for seed in SEEDS])
            for name in names
            for backups in (False, True)
        }
        figure[f"load {load}"] = {_called(*key): _row(one) for key, one in means.items()}
        figure[f"load {load} against the best peer"] = _against(means)
        ours = means[OURS, True]
        say(f"load {load}: {ours.hits:.3f} in time, {ours.hits_right:.3f} and right")
    return figure


def _called(name: str, backups: bool) -> str:
    return f"{name} + backups" if backups else name


def _row(one: Figures) -> dict[str, float]:
    return {
        "in_time": one.hits,
        "in_time_and_right": one.hits_right,
        "answered": one.answered,
        "cost_sat": one.cost_msat / 1000,
        "gini": one.gini,
        "utilisation": one.utilisation,
        "backups": one.backups,
    }


def _against(means: dict[tuple[str, bool], Figures]) -> dict[str, float]:
    """Differences to the best of the ten others, each figure for itself; the cost as a ratio to their mean."""
    ours = means[OURS, True]
    others = [one for (name, _), one in means.items() if name != OURS]
    return {
        "in_time": ours.hits - max(one.hits for one in others),
        "in_time_and_right": ours.hits_right - max(one.hits_right for one in others),
        "cost_to_mean": ours.cost_msat * len(others) / sum(one.cost_msat for one in others),
    }
