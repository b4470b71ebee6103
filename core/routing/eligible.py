"""Who may take a task, and why the others may not. Pure; `core/routing/candidates.py` asks it of every worker it
loads, the operator's pages show its reasons."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from core.routing.model import Candidate, Question


class Refusal(StrEnum):
    ENVIRONMENT = "environment"  # a simulated worker for a real task, or the other way round
    UNAVAILABLE = "unavailable"  # paused, or blocked by the operator
    SKILLS = "skills"  # a required skill is missing
    TIER = "tier"  # the task's risk asks for more trust
    PRICE = "price"  # the task pays less than this worker works for
    CAPACITY = "capacity"  # their hands are full
    HAD_IT = "had_it"  # the same person never gets a task twice
    SAME_ADDRESS = (
        "same_address"  # is paid where somebody else who had this task is paid: one person, two accounts
    )


RULES: dict[Refusal, Callable[[Question, Candidate], bool]] = {
    Refusal.ENVIRONMENT: lambda question, worker: worker.environment != question.environment,
    Refusal.UNAVAILABLE: lambda question, worker: not worker.available,
    Refusal.SKILLS: lambda question, worker: not question.skills <= worker.skills,
    Refusal.TIER: lambda question, worker: worker.tier < question.minimum_tier,
    Refusal.PRICE: lambda question, worker: worker.price_floor_msat > question.payout_msat,
    Refusal.CAPACITY: lambda question, worker: worker.load >= worker.capacity,
    Refusal.HAD_IT: lambda question, worker: worker.worker_id in question.had,
    Refusal.SAME_ADDRESS: lambda question, worker: (
        worker.payout_address is not None and worker.payout_address in question.addresses
    ),
}


def refusals(question: Question, worker: Candidate) -> list[Refusal]:
    """Every reason why this worker may not take the task, in the order of `RULES`; none means that they may."""
    return [reason for reason, refuses in RULES.items() if refuses(question, worker)]


def may_take(question: Question, worker: Candidate) -> bool:
    return not any(refuses(question, worker) for refuses in RULES.values())
