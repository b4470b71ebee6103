"""How many people are asked and what is checked: by risk, plan and task type; as the shipped file says it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from core.billing.plans import Plan, quote
from core.money import Currency
from core.tasks.model import Environment, RiskTier
from core.verification.examples import run
from core.verification.gold_rate import rate
from core.verification.policy import Checks, Gold, Level, Otherwise, Override
from hub.config_files import plans, task_types
from tests.architecture.source import ROOT

CONFIG = ROOT / "config"
TYPES = task_types(CONFIG)
PLANS = plans(CONFIG)


def needed(risk: str, plan: str, *, checks: Checks | None = None, task_type: str = "question") -> Level:
    found = (checks or TYPES.checks).requirement(
        task_type=task_type,
        stages=["schema", "rules"],
        risk=risk,
        plan=PLANS.get(plan),
        environment=Environment.LIVE,
    )
    return found.level


@pytest.mark.parametrize(
    ("risk", "plan", "answers"),
    [
        ("low", "pay_as_you_go", (1, 1)),
        ("medium", "pay_as_you_go", (1, 1)),
        ("medium", "growth", (1, 1)),
        ("medium", "enterprise", (3, 3)),
        ("high", "pay_as_you_go", (2, 4)),
        ("high", "enterprise", (3, 4)),
        ("critical", "pay_as_you_go", (3, 5)),
    ],
)
def test_how_many_are_asked(risk: str, plan: str, answers: tuple[int, int]) -> None:
    level = needed(risk, plan)
    assert (level.answers_min, level.answers_max) == answers


def test_one_answer_of_common_risk_waits_for_no_reviewer() -> None:
    for risk in ("low", "medium"):
        assert needed(risk, "pay_as_you_go").uncertified is Otherwise.RELEASE
    assert needed("high", "pay_as_you_go").uncertified is Otherwise.QA
    assert needed("critical", "pay_as_you_go").always_qa


def test_the_shipped_file_says_what_the_code_has_built_in() -> None:
    """But for the stage `anomaly`, which is the file's own choice."""
    shipped = TYPES.checks
    assert {tuple(level.stages) for level in shipped.risk.values()} == {("anomaly",)}
    levels = {risk: msgspec.structs.replace(level, stages=[]) for risk, level in shipped.risk.items()}
    assert msgspec.structs.replace(shipped, risk=levels) == Checks()


def test_a_type_has_the_last_word_and_a_least_number_raises_the_greatest() -> None:
    checks = Checks(
        plans={"enterprise": Override(answers_max=5)}, task_types={"question": Override(answers_min=4)}
    )
    level = needed("low", "enterprise", checks=checks)
    assert (level.answers_min, level.answers_max) == (4, 5)
    alone = needed("low", "pay_as_you_go", checks=checks)
    assert (alone.answers_min, alone.answers_max) == (4, 4)


def test_what_is_reserved_is_every_payout_and_one_fee() -> None:
    plan = Plan(name="x", fee_percent=Decimal(20), fee_minimum_usd=Decimal(0), free_tasks=0)
    one = quote(Decimal(1000), Currency.SATS, plan, Decimal(100_000))
    five = quote(Decimal(1000), Currency.SATS, plan, Decimal(100_000), answers=5)
    assert (one.total_msat, five.total_msat) == (1_200_000, 5_200_000)


@pytest.mark.parametrize("name", sorted(kind.name for kind in TYPES))
def test_the_examples_of_a_shipped_type_say_what_they_should(name: str) -> None:
    ran = run(TYPES.get(name))
    assert ran
    assert [one.name for one in ran if not one.expected] == []


def test_the_rate_of_gold_falls_with_what_is_shown_and_never_below_its_floor() -> None:
    gold, level = Gold(), Level(gold_floor=0.05)

    def of(bound: float, *, seen: int = 24, since: int = 0, alarmed: bool = False, options: int = 2) -> float:
        return rate(
            gold,
            level,
            lower_bound=bound,
            gold_seen=seen,
            since_gold=since,
            alarmed=alarmed,
            options=options,
        )

    assert of(0.0) == of(0.5) == 0.20
    assert of(0.6) == pytest.approx(0.20 * 2.718281828**-1.2)
    assert of(0.95) == 0.05
    assert (of(0.95, seen=5), of(0.95, seen=6)) == (0.75, 0.05)  # three for each of two options
    assert (of(0.95, seen=11, options=4), of(0.95, seen=12, options=4)) == (0.75, 0.05)
    assert (of(0.95, seen=17, options=40), of(0.95, seen=18, options=40)) == (
        0.75,
        0.05,
    )  # of six options at most
    assert of(0.95, seen=5, options=0) == 0.75  # a type without any choice
    assert of(0.95, since=50) == 1.0
    assert of(0.95, alarmed=True) == 0.20
    assert RiskTier.LOW in TYPES.checks.risk
