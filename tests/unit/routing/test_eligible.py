"""Who may take a task: every reason alone, and all at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.routing.eligible import RULES, SENTENCES, Refusal, falls_at, may_take, refusals
from core.routing.model import Candidate, Policy, Question

QUESTION = Question(
    task_id="t",
    environment="live",
    skills=frozenset({"german", "billing"}),
    minimum_tier=2,
    payout_msat=1_000_000,
    had=frozenset({"w-before"}),
    addresses=frozenset({"before@pay.test"}),
    clusters=frozenset({"ring"}),
    language="de",
    experts_from=3,
    allow_listed=True,
)
WORKER = Candidate(
    worker_id="w",
    environment="live",
    available=True,
    skills=frozenset({"german", "billing", "medicine"}),
    tier=2,
    reliability=0.9,
    price_floor_msat=1_000_000,
    capacity=2,
    load=1,
    payout_address="w@pay.test",
    idle_seconds=0,
    languages=frozenset({"de", "en"}),
    expert=True,
    cluster_id="alone",
    word="allow",
)


def test_who_just_meets_everything_may_take_it() -> None:
    assert refusals(QUESTION, WORKER) == []
    assert may_take(QUESTION, WORKER)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"environment": "test"}, Refusal.ENVIRONMENT),
        ({"available": False}, Refusal.UNAVAILABLE),
        ({"skills": frozenset({"german"})}, Refusal.SKILLS),
        ({"tier": 1}, Refusal.TIER),
        ({"languages": frozenset({"en"})}, Refusal.LANGUAGE),
        ({"expert": False}, Refusal.EXPERTS),
        ({"word": None}, Refusal.NOT_ALLOWED),
        ({"cooling": True}, Refusal.COOL_OFF),
        ({"cluster_id": "ring"}, Refusal.SAME_CLUSTER),
        ({"price_floor_msat": 1_000_001}, Refusal.PRICE),
        ({"load": 2}, Refusal.CAPACITY),
        ({"worker_id": "w-before"}, Refusal.HAD_IT),
        ({"payout_address": "before@pay.test"}, Refusal.SAME_ADDRESS),
    ],
)
def test_each_reason_alone(change: dict[str, Any], reason: Refusal) -> None:
    worker = msgspec.structs.replace(WORKER, **change)
    assert refusals(QUESTION, worker) == [reason]
    assert not may_take(QUESTION, worker)


def test_every_reason_is_told() -> None:
    worker = Candidate(
        worker_id="w-before",
        environment="test",
        available=False,
        skills=frozenset(),
        tier=0,
        reliability=0,
        price_floor_msat=2_000_000,
        capacity=0,
        load=0,
        payout_address="before@pay.test",
        idle_seconds=0,
        cooling=True,
        cluster_id="ring",
        word="block",
    )
    assert refusals(QUESTION, worker) == list(Refusal)


def test_trust_makes_an_expert_and_a_block_outweighs_nothing_else() -> None:
    assert may_take(QUESTION, msgspec.structs.replace(WORKER, expert=False, tier=3))
    anybody = msgspec.structs.replace(QUESTION, allow_listed=False)
    assert may_take(anybody, msgspec.structs.replace(WORKER, word=None))
    assert refusals(anybody, msgspec.structs.replace(WORKER, word="block")) == [Refusal.BLOCKED]


def test_every_reason_has_its_sentence_and_its_rule() -> None:
    assert list(SENTENCES) == list(RULES) == list(Refusal)


def test_somebody_falls_at_the_first_rule() -> None:
    assert falls_at(QUESTION, WORKER) is None
    assert falls_at(QUESTION, msgspec.structs.replace(WORKER, tier=0, load=9, cooling=True)) == Refusal.TIER


def test_no_address_is_not_a_shared_one() -> None:
    assert may_take(QUESTION, msgspec.structs.replace(WORKER, payout_address=None))


@pytest.mark.parametrize(("risk", "tier"), [("low", 0), ("medium", 0), ("high", 2), ("critical", 3)])
def test_tiers_by_risk(risk: str, tier: int) -> None:
    assert Policy().tier_for(risk) == tier


def test_a_risk_that_the_file_leaves_out_asks_for_the_highest() -> None:
    policy = msgspec.convert({"minimum_tier": {"low": 1, "high": 2}}, Policy)
    assert [policy.tier_for(risk) for risk in ("low", "medium", "critical")] == [1, 2, 2]
