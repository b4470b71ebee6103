"""How much checking an answer needs before money moves, from `config/verification.yaml`: by the task's risk, the plan of
the asker and the type of the task. Pure; asked when a task is created (how many answers are paid for at most) and when
an answer is judged."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from core.billing.plans import Plan
from core.tasks.model import Environment, RiskTier

MOST_ANSWERS = 9
_Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_ANSWERS)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Otherwise(StrEnum):
    """What happens to an answer that the numbers alone do not release."""

    RELEASE = "release"  # it is given out all the same, and more of its kind are looked at afterwards
    QA = "qa"  # a reviewer decides before anything is given out or paid
    REFUSE = "refuse"  # it is not given out


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checks of one risk. `answers_min` people are asked at once, blind to each other; one more at a time follows up
    to `answers_max` while their agreement is below `confidence`. `rho` is the share of wrong answers that may be given
    out: the upper bound of the type's audits is held against it."""

    answers_min: _Count = 1
    answers_max: _Count = 1
    confidence: _Share = 0.9
    rho: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1
    stages: list[str] = []
    uncertified: Otherwise = Otherwise.RELEASE
    undecided: Otherwise = Otherwise.QA
    unsure: Otherwise = Otherwise.QA
    short: Otherwise = Otherwise.RELEASE
    always_qa: bool = False
    spot_check: _Share = 0.02
    gold_floor: _Share = 0.02

    def __post_init__(self) -> None:
        if self.answers_max < self.answers_min:
            raise ValueError(
                f"answers_max is {self.answers_max}, below answers_min {self.answers_min}; raise it to at least that"
            )


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a task type, or one plan, has different; what is not set stays as the risk says."""

    answers_min: _Count | msgspec.UnsetType = msgspec.UNSET
    answers_max: _Count | msgspec.UnsetType = msgspec.UNSET
    confidence: _Share | msgspec.UnsetType = msgspec.UNSET
    rho: _Share | msgspec.UnsetType = msgspec.UNSET
    stages: list[str] | msgspec.UnsetType = msgspec.UNSET
    uncertified: Otherwise | msgspec.UnsetType = msgspec.UNSET
    undecided: Otherwise | msgspec.UnsetType = msgspec.UNSET
    unsure: Otherwise | msgspec.UnsetType = msgspec.UNSET
    short: Otherwise | msgspec.UnsetType = msgspec.UNSET
    always_qa: bool | msgspec.UnsetType = msgspec.UNSET
    spot_check: _Share | msgspec.UnsetType = msgspec.UNSET
    gold_floor: _Share | msgspec.UnsetType = msgspec.UNSET

    def over(self, level: Level) -> Level:
        """The level with what is set here. A least number above the level's greatest raises that too."""
        given = {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not msgspec.UNSET
        }
        least = given.get("answers_min", level.answers_min)
        if "answers_max" not in given:
            given["answers_max"] = max(least, level.answers_max)
        elif "answers_min" not in given:
            given["answers_min"] = min(least, given["answers_max"])
        return msgspec.structs.replace(level, **given)


class Gold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Questions whose answer is known. The share of a worker's turns that are gold is `highest * exp(-slope * (l - .5))`
    with `l` the lower bound of their reliability, between the risk's `gold_floor` and `highest`; three quarters of their
    turns until they have seen `early` items for each option of the type's widest choice (two at least, six at most), and for
    sure after `longest_gap` answers without. Each draw is independent of the others. An item is shown to `most_exposures`
    people and then retired."""

    highest: _Share = 0.20
    slope: Annotated[float, msgspec.Meta(ge=0)] = 12.0
    early: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3
    longest_gap: Annotated[int, msgspec.Meta(ge=1)] = 50
    most_exposures: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    reveal_hours: Annotated[int, msgspec.Meta(ge=0)] = 24
    harvest: bool = True


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """QA and appeals. Who may decide is an operator, or a worker of `reviewer_tier` and up. A review that nobody decided
    within `hours` ends: an answer that waited for it is not given out, a spot check is dropped."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = 24
    appeal_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = 72
    appeal_window_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 90)] = 168
    reviewer_tier: Annotated[int, msgspec.Meta(ge=1, le=4)] = 4


class Marks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an open mark does to its worker, beside that their answers are doubted. `gold_rate` is the least share of their
    turns that are gold. In the environments of `hold_pay` what they earn without a reviewer's word, and what they have
    earned and was not sent yet, waits until an operator clears or confirms the mark; after `hold_hours` it is sent."""

    gold_rate: _Share = 0.5
    hold_pay: list[Environment] = msgspec.field(default_factory=lambda: [Environment.LIVE])
    hold_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 30)] = 72


def _levels() -> dict[RiskTier, Level]:
    return {
        RiskTier.LOW: Level(),
        RiskTier.MEDIUM: Level(rho=0.05, confidence=0.95, spot_check=0.05, gold_floor=0.05),
        RiskTier.HIGH: Level(
            answers_min=2,
            answers_max=4,
            rho=0.02,
            confidence=0.98,
            uncertified=Otherwise.QA,
            short=Otherwise.QA,
            spot_check=0.2,
            gold_floor=0.1,
        ),
        RiskTier.CRITICAL: Level(
            answers_min=3,
            answers_max=5,
            rho=0.01,
            confidence=0.99,
            uncertified=Otherwise.QA,
            short=Otherwise.QA,
            always_qa=True,
            spot_check=0.2,
            gold_floor=0.1,
        ),
    }


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """What one task's answers have to go through: the level in force, and where it is from."""

    level: Level
    stages: list[str]
    test: bool = False

    @property
    def answers(self) -> tuple[int, int]:
        """How many are asked at once, and how many at most."""
        return self.level.answers_min, self.level.answers_max


class Checks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`config/verification.yaml`. A risk that the file leaves out keeps its built-in level."""

    risk: dict[RiskTier, Level] = msgspec.field(default_factory=_levels)
    plans: dict[str, Override] = {}
    task_types: dict[str, Override] = {}
    gold: Gold = Gold()
    review: Review = Review()
    marks: Marks = Marks()

    def level_for(self, risk: str) -> Level:
        tier = RiskTier(risk)
        return self.risk.get(tier) or _levels()[tier]

    def requirement(
        self, *, task_type: str, stages: list[str], risk: str, plan: Plan | None, environment: str
    ) -> Requirement:
        """The risk's level, then what the plan has different (at least its `redundancy`), then the task type. In the
        test environment no person is asked: what would go to QA is decided by the numbers alone."""
        level = self.level_for(risk)
        if plan is not None:
            if plan.redundancy > level.answers_min:
                level = Override(answers_min=plan.redundancy).over(level)
            level = self.plans.get(plan.name, Override()).over(level)
        level = self.task_types.get(task_type, Override()).over(level)
        named = [*stages, *(name for name in level.stages if name not in stages)]
        return Requirement(level=level, stages=named, test=environment == Environment.TEST)
