"""What `hub prepare` has made and hands to `hub demo` in a private file: what the banner shows. Light on purpose: the
reader is the process that keeps the demo alive and does nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Demo(msgspec.Struct, kw_only=True):
    """What the demo has to remember between two starts. The file is readable by its owner alone."""

    api_key: str
    organisation_id: str
    webhook_secret: str
    worker_ids: dict[str, str]
    you: str
    operator: str


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Made anew at every start: one-time sign-in tokens and the simulated workers' sessions."""

    worker: str
    operator: str
    sessions: dict[str, str]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    demo: Demo
    links: Links


def plan_file(folder: Path) -> Path:
    """What the simulator reads."""
    return folder / "simulation.json"


def hand_over(folder: Path, prepared: Prepared) -> None:
    write_private(_file(folder), prepared)


def take(folder: Path) -> Prepared:
    """Read it and remove it: the sign-in links inside are for one use."""
    path = _file(folder)
    prepared = msgspec.json.decode(path.read_bytes(), type=Prepared)
    path.unlink()
    return prepared


def write_private(path: Path, value: object) -> None:
    """As JSON that its owner alone can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(value))


def _file(folder: Path) -> Path:
    return folder / "prepared.json"
