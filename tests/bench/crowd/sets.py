"""Reads crowd label sets: a folder each with label.csv (item,worker,label) and truth.csv (item,truth)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CrowdSet:
    name: str
    labels: dict[str, dict[str, str]]  # item -> worker -> label
    truth: dict[str, str]  # not of every item

    @property
    def options(self) -> list[str]:
        found = {label for given in self.labels.values() for label in given.values()}
        return sorted(found | set(self.truth.values()), key=lambda one: (len(one), one))


def found(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The sets in the folder, and what is skipped with the reason."""
    sets: list[Path] = []
    skipped: dict[str, str] = {}
    for path in sorted(one for one in folder.iterdir() if one.is_dir()):
        if reason := _unfit(path):
            skipped[path.name] = reason
        else:
            sets.append(path)
    return sets, skipped


def _unfit(path: Path) -> str | None:
    for name, columns in (("label.csv", {"item", "worker", "label"}), ("truth.csv", {"item", "truth"})):
        if not (path / name).is_file():
            return f"no {name}"
        with (path / name).open(newline="", encoding="utf-8") as file:
            header = set(next(csv.reader(file), []))
        if not columns <= header:
            return f"{name} has the columns {sorted(header)}, not {sorted(columns)}"
    return None


def read(path: Path) -> CrowdSet:
    """Of two labels of one worker for one item the first counts."""
    labels: dict[str, dict[str, str]] = {}
    with (path / "label.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels.setdefault(row["item"], {}).setdefault(row["worker"], row["label"])
    with (path / "truth.csv").open(newline="", encoding="utf-8") as file:
        truth = {row["item"]: row["truth"] for row in csv.DictReader(file)}
    return CrowdSet(path.name, labels, {item: one for item, one in truth.items() if item in labels})
