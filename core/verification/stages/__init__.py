"""The stages there are. A task type lists those its answers go through, by these names and in its own order."""

from __future__ import annotations

from core.errors import Misconfigured
from core.tasks.types import TaskType
from core.verification.stage import Stage
from core.verification.stages.anomaly import AnomalyStage
from core.verification.stages.rules import RulesStage
from core.verification.stages.schema import SchemaStage

STAGES: dict[str, Stage] = {stage.name: stage for stage in (SchemaStage(), RulesStage(), AnomalyStage())}


def stage(name: str) -> Stage:
    """Raises Misconfigured for a stage that this hub does not have."""
    try:
        return STAGES[name]
    except KeyError:
        raise Misconfigured(
            "unknown_stage", f"There is no verification stage {name!r}; use: {', '.join(STAGES)}", stage=name
        ) from None


def check_stages(task_type: TaskType) -> None:
    """A task type names at least one stage, each once, and only those that exist. Raises Misconfigured."""
    if not task_type.stages:
        raise Misconfigured(
            "no_stages", f"task type {task_type.name!r}: name at least one verification stage"
        )
    for name in task_type.stages:
        stage(name)
    if len(set(task_type.stages)) < len(task_type.stages):
        raise Misconfigured(
            "stage_twice", f"task type {task_type.name!r}: a verification stage is named twice"
        )
