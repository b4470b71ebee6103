"""Task types: what kinds of questions this hub takes, from `config/task_types/*.yaml`. Every task names one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from core.errors import Invalid
from core.money import Currency
from core.tasks.model import RiskTier
from core.verification.policy import Checks

# BCP 47 as far as people choose by it: a language, perhaps its script or region (`de`, `pt-br`).
LANGUAGE = r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$"
Outcomes = Literal["pass", "fail", "unsure"]


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a task of this type pays when the request does not say."""

    currency: Currency
    max_amount: Decimal


class Severity(StrEnum):
    FAIL = "fail"  # the answer is refused
    UNSURE = "unsure"  # somebody has to look: other answers that agree, or a reviewer


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`expect` is JMESPath over {payload, output, task}; where it does not give true, the answer is refused with
    `message`, or, of severity `unsure`, not given out on its own."""

    name: str
    expect: str
    message: str
    severity: Severity = Severity.FAIL


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer with what its checks shall say: `pass`, `fail` or `unsure`, and the codes of the reasons (in any order).
    `hub task-types test` runs them. `schema` takes the place of the type's own, for types that have none."""

    name: str
    output: Any
    expect: Outcomes
    reasons: list[str] = []
    payload: dict[str, Any] = {}
    task: dict[str, Any] = {}
    schema: dict[str, Any] | None = None


class TaskType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of question. `answers_limit` answers are tried before the task fails; `max_reroutes` is how often it
    is taken back at 100 % of its SLA; the hard stop is `hard_stop_factor` times the SLA. `language` is what its people
    must work in, unless the request says another."""

    name: str
    title: str
    instructions: str = ""
    skills: list[str] = []
    language: Annotated[str, msgspec.Meta(pattern=LANGUAGE)] | None = None
    output_schema: dict[str, Any] | None = None
    risk_tier: RiskTier = RiskTier.MEDIUM
    sla_seconds: int = 600
    payout: Price | None = None
    stages: list[str] = msgspec.field(default_factory=lambda: ["schema", "rules"])
    rules: list[Rule] = []
    examples: list[Example] = []
    answers_limit: int = 3
    offer_seconds: int = 60
    max_reroutes: int = 3
    hard_stop_factor: int = 2


class TaskTypes:
    """The registered task types by name, with how much checking their answers need."""

    def __init__(self, types: list[TaskType], checks: Checks | None = None):
        self._by_name = {kind.name: kind for kind in types}
        self.checks = checks or Checks()

    def __iter__(self) -> Iterator[TaskType]:
        return iter(self._by_name.values())

    def get(self, name: str) -> TaskType:
        """Raises Invalid for a name that is not registered, naming those that are."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(sorted(self._by_name))
            raise Invalid(
                "unknown_task_type",
                f"Task type {name[:128]!r} is not registered",
                field_errors={"taskType": f"Not a registered task type; use one of: {known}"},
            ) from None

    def of(self, name: str) -> TaskType:
        """The type of a stored task; one whose YAML is gone keeps the defaults so that it can still end."""
        return self._by_name.get(name) or TaskType(name=name, title=name)
