"""How tasks are given to people in a simulation: by a routing policy, as this hub does it, or in one of the plain ways that
it is compared with. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from core.routing.model import Candidate, Policy, Question
from core.routing.predict import Prediction
from core.routing.score import ranked
from core.routing.simulator.world import Job

Predictions = dict[str, Prediction]


class Order(StrEnum):
    ARRIVAL = "arrival"
    LAXITY = "laxity"  # `core/routing/laxity.py`


class Extra(StrEnum):
    """When a second person is asked."""

    NEVER = "never"
    ALWAYS = "always"  # at 80 % of the SLA, whoever is free
    BUDGET = "budget"  # `core/routing/backups.py`


class Chance(msgspec.Struct):
    """What a way may keep between two choices."""

    draw: random.Random
    last: str = ""


Choose = Callable[[Question, Sequence[Candidate], Predictions, float, Chance], list[str]]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """`choose` puts candidates in the order in which they are asked; its `float` are the seconds that are left. `own_tiers`:
    who is trusted enough is for `policy` to say."""

    name: str
    choose: Choose
    order: Order
    extra: Extra
    policy: Policy = Policy()
    own_tiers: bool = False

    def asked(self, job: Job, had: frozenset[str]) -> Question:
        """What the job asks: of the trust that the way's own policy asks for, or that the job has."""
        question = job.question(had)
        if not self.own_tiers:
            return question
        experts = None if job.experts_from is None else self.policy.expert_tier
        return msgspec.structs.replace(
            question, minimum_tier=self.policy.tier_for(job.risk), experts_from=experts
        )


def by_policy(policy: Policy, *, name: str = "policy", backups: bool = True) -> Way:
    def choose(
        question: Question,
        candidates: Sequence[Candidate],
        _: Predictions,
        seconds_left: float,
        __: Chance,
    ) -> list[str]:
        return [one.worker_id for one in ranked(question, candidates, seconds_left, policy.weights)]

    extra = Extra.BUDGET if backups else Extra.NEVER
    return Way(name=name, choose=choose, order=Order.LAXITY, extra=extra, policy=policy, own_tiers=True)


def _random(
    _: Question, candidates: Sequence[Candidate], __: Predictions, ___: float, chance: Chance
) -> list[str]:
    ids = [one.worker_id for one in candidates]
    chance.draw.shuffle(ids)
    return ids


def _round_robin(
    _: Question, candidates: Sequence[Candidate], __: Predictions, ___: float, chance: Chance
) -> list[str]:
    """The next in the order of their ids after the one who was asked last."""
    ids = sorted(one.worker_id for one in candidates)
    after = [one for one in ids if one > chance.last]
    found = after + ids[: len(ids) - len(after)]
    if found:
        chance.last = found[0]
    return found


def _longest_idle(
    _: Question, candidates: Sequence[Candidate], __: Predictions, ___: float, ____: Chance
) -> list[str]:
    return [one.worker_id for one in sorted(candidates, key=lambda one: (-one.idle_seconds, one.worker_id))]


def _cheapest(
    _: Question, candidates: Sequence[Candidate], __: Predictions, ___: float, ____: Chance
) -> list[str]:
    return [
        one.worker_id for one in sorted(candidates, key=lambda one: (one.price_floor_msat, one.worker_id))
    ]


def _fastest(
    _: Question, candidates: Sequence[Candidate], known: Predictions, __: float, ___: Chance
) -> list[str]:
    """Greedy: who will probably be done first, by the same learnt times that the policy has."""
    return [
        one.worker_id
        for one in sorted(candidates, key=lambda one: (known[one.worker_id].p50_seconds, one.worker_id))
    ]


PEERS: dict[str, Choose] = {
    "random": _random,
    "round_robin": _round_robin,
    "fifo": _longest_idle,
    "cheapest": _cheapest,
    "greedy": _fastest,
}


def peer(name: str, *, backups: bool) -> Way:
    """Tasks in the order of their arrival; with `backups` at 80 % to whoever is free, as is usual."""
    extra = Extra.ALWAYS if backups else Extra.NEVER
    return Way(name=name, choose=PEERS[name], order=Order.ARRIVAL, extra=extra)
