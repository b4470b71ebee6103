"""Docs = code, for the map in `core/README.md`: its states, its folders and files, its words."""

from __future__ import annotations

import re

from tests.architecture.core_map import README, TITLES, written
from tests.architecture.source import ROOT
from tests.architecture.state_tables import state_tables

TEXT = README.read_text()


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> list[str]:
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [row.strip("`") for row in rows[1:] if not row.startswith("-")]


def test_the_states_are_those_of_the_code() -> None:
    assert written(TEXT) == TEXT, "run `python -m tests.architecture.core_map` and commit what it wrote"


def test_every_life_is_told() -> None:
    assert sorted(TITLES) == sorted(table.name for table in state_tables())
    assert [title for title in TITLES.values() if f"### {title}\n" not in TEXT] == []


def test_every_terminal_state_is_named() -> None:
    ends = re.findall(r"Begins as `(\w+)`, ends as (.+)\.\n", TEXT)
    told = {(start, tuple(re.findall(r"`(\w+)`", end))) for start, end in ends}
    assert told == {(table.start, tuple(table.terminal)) for table in state_tables()}


def test_every_folder_is_a_concept_of_the_map() -> None:
    folders = sorted(path.parent.name for path in (ROOT / "core").glob("*/__init__.py"))
    assert first_column(section("Concepts")) == folders


def test_every_file_beside_the_folders_is_told() -> None:
    files = {path.name for path in (ROOT / "core").glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"`(\w+\.py)`", section("Concepts").rsplit("\n\n", 1)[1])) == files


def test_every_word_is_explained_once() -> None:
    words = first_column(section("Words"))
    assert len(words) == len(set(words))
    assert {
        "Organisation",
        "Task",
        "Worker",
        "Assignment",
        "Submission",
        "Payout",
        "Escalation",
        "Callback",
    } <= set(words)
