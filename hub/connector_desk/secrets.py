"""The secrets that a connector file names, and which of them are set. Used by the doctor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec

from connectors.connector import Check
from connectors.form import ConnectorFile
from connectors.secret_refs import Secrets
from core import clock


def secret_checks(settings: ConnectorFile) -> list[Check]:
    """One for each setting that holds secrets: at least one must be set and not past its `until`; every other that is
    not set is doubtful."""
    return [_check(path, secrets) for path, secrets in _secrets(settings, "")]


def _check(path: str, secrets: Secrets) -> Check:
    active = {position for position, _ in secrets.active(clock.now())}
    idle = [entry for position, entry in enumerate(secrets.entries) if position not in active]
    name = f"secret {path}"
    if not active:
        fix = "; ".join(
            f"`until: {entry.until}` is over, name a newer secret" if entry.secret else f"set {entry.ref}"
            for entry in idle
        )
        return Check(
            name=name, ok=False, said="no active secret", fix=f"{fix[0].upper()}{fix[1:]}, then restart."
        )
    said = f"{len(active)} active"
    empty = [entry.ref for entry in idle if not entry.secret]
    if empty:
        fix = f"Set {', '.join(empty)}, or take it out of the file."
        return Check(name=name, ok=None, said=f"{said}, {len(empty)} empty", fix=fix)
    return Check(name=name, ok=True, said=f"{said}, {len(idle)} past its `until`" if idle else said)


def _secrets(value: object, path: str) -> Iterator[tuple[str, Secrets]]:
    if isinstance(value, Secrets):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        if getattr(value, "enabled", True) is False:
            return  # a way in that is switched off needs no secret
        for field in msgspec.structs.fields(value):
            yield from _secrets(
                getattr(value, field.name), f"{path}.{field.encode_name}" if path else field.encode_name
            )
    elif isinstance(value, dict):
        for name, member in cast("dict[str, object]", value).items():
            yield from _secrets(member, f"{path}.{name}")
    elif isinstance(value, list):
        for index, member in enumerate(cast("list[object]", value)):
            yield from _secrets(member, f"{path}[{index}]")
