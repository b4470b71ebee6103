"""The hub's own organisation: it asks gold. A task of it is for one worker alone, so that routing offers it to nobody else
and ends it when that worker lets it go."""

from __future__ import annotations

from core.tasks.tables import Task

GOLD_ORGANISATION = "hub_gold"


def for_one_alone(task: Task) -> bool:
    return task.organisation_id == GOLD_ORGANISATION
