"""Reads `config/hub.yaml` and what the environment sets over it. Light on purpose: parents of other processes need
no more than this. Every error names file, path and fix."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from connectors import yaml_file
from core.errors import Misconfigured
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
    document = read(path) if path.exists() else {}
    for name, value in environ.items():
        where = _SHORT.get(name) or (
            tuple(name[5:].lower().split("__")) if name.startswith("HUB__") else None
        )
        if where is not None:
            _set(document, where, value, name)
    return convert(document, Settings, path.name, environ)


def load_settings(environ: Mapping[str, str] | None = None) -> tuple[Settings, Path]:
    """The settings and the folder they came from. Raises Misconfigured."""
    values = os.environ if environ is None else environ
    directory = folder(values)
    return settings(directory, values), directory


def read(path: Path) -> dict[str, Any]:
    try:
        return yaml_file.read(path.read_text(), path.name)
    except OSError as error:
        raise Misconfigured("config_unreadable", f"{path}: {error.strerror}") from error


def convert(document: dict[str, Any], form: type[Form], name: str, environ: Mapping[str, str]) -> Form:
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
    document[path[-1]] = value.split(",") if path[-1] in ("allow", "secret_keys", "sources", "use") else value
