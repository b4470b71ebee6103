"""Who may take a task, and why the others may not. Pure; `core/routing/candidates.py` asks it of every worker it
loads, `core/routing/directory/able.py` keeps the same rules as bitmaps, in the same order, and `hub task why` and the
operator's page say them in words."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from core.routing.model import Candidate, Question


class Refusal(StrEnum):
    ENVIRONMENT = "environment"  # a simulated worker for a real task, or the other way round
    UNAVAILABLE = "unavailable"  # paused, suspended, or blocked by the operator
    SKILLS = "skills"  # a required skill is missing
    TIER = "tier"  # the task's risk asks for more trust
    LANGUAGE = "language"  # does not work in the task's language
    EXPERTS = "experts"  # the organisation's plan asks for the pool of experts
    NOT_ALLOWED = "not_allowed"  # the organisation has a list of its people, and they are not on it
    BLOCKED = "blocked"  # the organisation does not want them
    PRICE = "price"  # the task pays less than this worker works for
    COOL_OFF = "cool_off"  # left an offer unanswered a moment ago
    CAPACITY = "capacity"  # their hands are full
    HAD_IT = "had_it"  # the same person never gets a task twice
    SAME_CLUSTER = "same_cluster"  # seems to be the same person as somebody who had it
    SAME_ADDRESS = (
        "same_address"  # is paid where somebody else who had this task is paid: one person, two accounts
    )


SENTENCES: dict[Refusal, str] = {
    Refusal.ENVIRONMENT: "work in the other environment (simulated people get no real task, real people no test)",
    Refusal.UNAVAILABLE: "take no offers now: paused, outside of their hours, suspended or blocked",
    Refusal.SKILLS: "lack a skill that the task asks for",
    Refusal.TIER: "have less trust than the task's risk asks for",
    Refusal.LANGUAGE: "do not work in the task's language",
    Refusal.EXPERTS: "do not belong to the pool of experts, which the organisation's plan asks for",
    Refusal.NOT_ALLOWED: "are not on the list of people that the organisation works with",
    Refusal.BLOCKED: "are blocked by the organisation",
    Refusal.PRICE: "ask for more than the task pays",
    Refusal.COOL_OFF: "left an offer unanswered a moment ago",
    Refusal.CAPACITY: "have their hands full",
    Refusal.HAD_IT: "had this task before",
    Refusal.SAME_CLUSTER: "seem to be the same person as somebody who had this task",
    Refusal.SAME_ADDRESS: "are paid where somebody who had this task is paid",
}

RULES: dict[Refusal, Callable[[Question, Candidate], bool]] = {
    Refusal.ENVIRONMENT: lambda question, worker: worker.environment != question.environment,
    Refusal.UNAVAILABLE: lambda question, worker: not worker.available,
    Refusal.SKILLS: lambda question, worker: not question.skills <= worker.skills,
    Refusal.TIER: lambda question, worker: worker.tier < question.minimum_tier,
    Refusal.LANGUAGE: lambda question, worker: (
        question.language is not None and question.language not in worker.languages
    ),
    Refusal.EXPERTS: lambda question, worker: (
        question.experts_from is not None and not worker.expert and worker.tier < question.experts_from
    ),
    Refusal.NOT_ALLOWED: lambda question, worker: question.allow_listed and worker.word != "allow",
    Refusal.BLOCKED: lambda question, worker: worker.word == "block",
    Refusal.PRICE: lambda question, worker: worker.price_floor_msat > question.payout_msat,
    Refusal.COOL_OFF: lambda question, worker: worker.cooling,
    Refusal.CAPACITY: lambda question, worker: worker.load >= worker.capacity,
    Refusal.HAD_IT: lambda question, worker: worker.worker_id in question.had,
    Refusal.SAME_CLUSTER: lambda question, worker: (
        worker.cluster_id is not None and worker.cluster_id in question.clusters
    ),
    Refusal.SAME_ADDRESS: lambda question, worker: (
        worker.payout_address is not None and worker.payout_address in question.addresses
    ),
}


# For whom it refuses, to read.
SENTENCES_TO_WORKER: dict[Refusal, str] = {
    Refusal.ENVIRONMENT: "There is no such question",
    Refusal.UNAVAILABLE: "You are paused, suspended or outside of your hours: switch offers on first",
    Refusal.SKILLS: "It asks for a skill that you do not have; there is a quiz for it",
    Refusal.TIER: "It asks for a higher trust tier",
    Refusal.LANGUAGE: "It asks for a language that is not among yours",
    Refusal.EXPERTS: "It is kept for the pool of experts",
    Refusal.NOT_ALLOWED: "Whoever asks works with people of their own choice",
    Refusal.BLOCKED: "Whoever asks works with people of their own choice",
    Refusal.COOL_OFF: "You left an offer unanswered a moment ago",
    Refusal.SAME_CLUSTER: "Somebody from your household or device had this question",
    Refusal.PRICE: "It pays less than the least that you work for",
    Refusal.CAPACITY: "Your hands are full: finish or give back something first",
    Refusal.HAD_IT: "You had this question before",
    Refusal.SAME_ADDRESS: "Somebody who is paid where you are had this question",
}


def refusals(question: Question, worker: Candidate) -> list[Refusal]:
    """Every reason why this worker may not take the task, in the order of `RULES`; none means that they may."""
    return [reason for reason, refuses in RULES.items() if refuses(question, worker)]


def may_take(question: Question, worker: Candidate) -> bool:
    return not any(refuses(question, worker) for refuses in RULES.values())


def falls_at(question: Question, worker: Candidate) -> Refusal | None:
    """The first rule that refuses them."""
    return next((reason for reason, refuses in RULES.items() if refuses(question, worker)), None)
