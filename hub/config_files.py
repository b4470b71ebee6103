"""Finds, reads and checks the files of `config/`. Every error names file, path and fix. Called by `hub/wiring.py`
and `hub check`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from connectors import yaml_file
from connectors.config import ConnectorConfig, load
from core.billing.plans import Plan, Plans
from core.errors import Misconfigured
from core.forms.profile import check
from core.routing.model import Policy
from core.tasks.types import TaskType, TaskTypes
from core.verification.stages import check_stages
from core.verification.stages.rules import check_rules
from hub.settings import Settings

Form = TypeVar("Form", bound=msgspec.Struct)

# Short names for what every deployment sets.
_SHORT: dict[str, tuple[str, ...]] = {
    "HUB_DATA_DIR": ("data_dir",),
    "HUB_DATABASE_URL": (
        "database",
        "url",
    ),
    "HUB_REDIS_URL": (
        "queue",
        "url",
    ),
    "HUB_PUBLIC_URL": (
        "server",
        "public_url",
    ),
    "HUB_SECRET_KEYS": ("secret_keys",),
}
_REFERENCE = re.compile(r"\$\{(env|file):([^}]+)\}")


def folder(environ: Mapping[str, str]) -> Path:
    """`$HUB_CONFIG_DIR`, else `./config`, else the copy inside the package."""
    if named := environ.get("HUB_CONFIG_DIR"):
        return Path(named)
    here = Path("config")
    if (here / "hub.yaml").exists():
        return here
    packaged = Path(__file__).parent / "default_config"
    return packaged if packaged.exists() else Path(__file__).parent.parent / "config"


def settings(directory: Path, environ: Mapping[str, str]) -> Settings:
    """`hub.yaml` with the environment over it. Raises Misconfigured."""
    path = directory / "hub.yaml"
    document = _read(path) if path.exists() else {}
    for name, value in environ.items():
        where = _SHORT.get(name) or (
            tuple(name[5:].lower().split("__")) if name.startswith("HUB__") else None
        )
        if where is not None:
            _set(document, where, value, name)
    return _convert(document, Settings, path.name, environ)


def task_types(directory: Path) -> TaskTypes:
    """One file per type. The answer schema, the stages and the rules are checked here, not at the first answer."""
    types: list[TaskType] = []
    for path in sorted((directory / "task_types").glob("*.yaml")):
        kind = _convert(_read(path), TaskType, path.name, {})
        if kind.name != path.stem:
            raise Misconfigured(
                "task_type_file", f"{path.name}: name is {kind.name!r}; call the file {kind.name}.yaml"
            )
        check_stages(kind)
        check_rules(kind)
        if kind.output_schema is not None:
            check(kind.output_schema)
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
    return Plans(_convert(_read(path), _PlansFile, path.name, {}).plans)


def policy(directory: Path) -> Policy:
    path = directory / "routing.yaml"
    return _convert(_read(path), Policy, path.name, {}) if path.exists() else Policy()


def connectors(directory: Path, environ: Mapping[str, str]) -> dict[str, ConnectorConfig]:
    """Every configured connector by its id."""
    found: dict[str, ConnectorConfig] = {}
    for path in sorted((directory / "connectors").glob("*.yaml")):
        config = load(path.read_text(), path.name, environ)
        if config.settings.id in found:
            raise Misconfigured(
                "connector_file", f"{path.name}: id {config.settings.id!r} is used by another file too"
            )
        found[config.settings.id] = config
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return yaml_file.read(path.read_text(), path.name)
    except OSError as error:
        raise Misconfigured("config_unreadable", f"{path}: {error.strerror}") from error


def _convert(document: dict[str, Any], form: type[Form], name: str, environ: Mapping[str, str]) -> Form:
    unknown = yaml_file.unknown_keys(document, form)
    if unknown:
        raise Misconfigured(
            "config_unknown_key", f"{name}: " + "; ".join(f"{path}: {what}" for path, what in unknown.items())
        )
    try:
        return msgspec.convert(_substituted(document, name, environ), form, strict=False)
    except msgspec.ValidationError as error:
        raise Misconfigured("config_invalid", f"{name}: {error}") from error


def _substituted(value: Any, name: str, environ: Mapping[str, str]) -> Any:
    """`${env:NAME}` and `${file:/path}` after parsing, so that a secret cannot inject YAML."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: _substituted(inner, name, environ) for key, inner in members.items()}
    if isinstance(value, list):
        return [_substituted(inner, name, environ) for inner in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value

    def resolve(match: re.Match[str]) -> str:
        kind, key = match.groups()
        try:
            return environ[key] if kind == "env" else Path(key).read_text().strip()
        except (KeyError, OSError) as error:
            raise Misconfigured("config_reference", f"{name}: ${{{kind}:{key}}} cannot be read") from error

    return _REFERENCE.sub(resolve, value)


def _set(document: dict[str, Any], path: tuple[str, ...], value: str, name: str) -> None:
    for key in path[:-1]:
        inner: object = document.setdefault(key, {})
        if not isinstance(inner, dict):
            raise Misconfigured("config_environment", f"{name}: {key} is not a group of settings")
        document = cast("dict[str, Any]", inner)
    document[path[-1]] = value.split(",") if path[-1] in ("allow", "secret_keys", "use") else value


def process_environment() -> Mapping[str, str]:
    return os.environ


def day(text: str) -> date:
    """Raises ValueError for anything but YYYY-MM-DD."""
    return date.fromisoformat(text)
