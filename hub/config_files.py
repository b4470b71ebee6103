"""Finds, reads and checks the files of `config/`. Every error names file, path and fix. Called by `hub/wiring.py`
and `hub check`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec

from connectors.config import ConnectorConfig, load
from core.billing.plans import Plan, Plans
from core.errors import HubError, Misconfigured
from core.forms.profile import check
from core.routing.model import Policy
from core.tasks.types import TaskType, TaskTypes
from core.verification.stages import check_stages
from core.verification.stages.rules import check_rules
from hub.settings_file import convert, read


def task_types(directory: Path) -> TaskTypes:
    """One file per type. The answer schema, the stages and the rules are checked here, not at the first answer."""
    types: list[TaskType] = []
    for path in sorted((directory / "task_types").glob("*.yaml")):
        kind = convert(read(path), TaskType, path.name, {})
        if kind.name != path.stem:
            raise Misconfigured(
                "task_type_file", f"{path.name}: name is {kind.name!r}; call the file {kind.name}.yaml"
            )
        try:
            check_stages(kind)
            check_rules(kind)
            if kind.output_schema is not None:
                check(kind.output_schema)
        except HubError as error:
            raise Misconfigured(
                error.code, f"{path.name}: {error.message}", field_errors=error.field_errors
            ) from error
        types.append(kind)
    if not types:
        raise Misconfigured(
            "no_task_types", f"{directory / 'task_types'} has no file; the hub takes no task without"
        )
    return TaskTypes(types)


class _PlansFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plans: list[Plan]


def plans(directory: Path) -> Plans:
    path = directory / "plans.yaml"
    return Plans(convert(read(path), _PlansFile, path.name, {}).plans)


def policy(directory: Path) -> Policy:
    path = directory / "routing.yaml"
    return convert(read(path), Policy, path.name, {}) if path.exists() else Policy()


def connectors(directory: Path, environ: Mapping[str, str]) -> dict[str, ConnectorConfig]:
    """Every configured connector by its id."""
    found: dict[str, ConnectorConfig] = {}
    for path in sorted((directory / "connectors").glob("*.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Misconfigured(
                "connector_file", f"{path.name}: not UTF-8 text ({error}); save it as UTF-8"
            ) from error
        config = load(text, path.name, environ)
        if config.settings.id in found:
            raise Misconfigured(
                "connector_file", f"{path.name}: id {config.settings.id!r} is used by another file too"
            )
        found[config.settings.id] = config
    return found


def process_environment() -> Mapping[str, str]:
    return os.environ


def day(text: str) -> date:
    """Raises ValueError for anything but YYYY-MM-DD."""
    return date.fromisoformat(text)
