"""The lives of things (`core/*/states.py`): every state has its row, its sentence and a way to it; and the files of a
concept are named as in every other one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, last, modules
from tests.architecture.state_tables import StateTable, state_tables

TABLES = state_tables()
CONCEPTS = sorted(path.parent.name for path in (ROOT / "core").glob("*/tables.py"))

# A concept whose use cases are not in an actions.py, and where they are instead.
ELSEWHERE = {
    "access": "one file for each thing that has a life of its own: keys, people, organisations, sessions",
    "audit": "record.py has its only use case",
    "ledger": "post.py is the only writer, on purpose",
    "rates": "decide.py: one decision on samples; the feed that writes it is hub/rate_feed.py",
    "outbox": "rows.py: lease, done, later, dead",
    "tasks": "creation.py and changes.py; what ends a task needs routing and is in core/routing/endings.py",
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_has_a_row(table: StateTable) -> None:
    assert set(table.moves) == set(table.states)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_move_leads_to_a_state(table: StateTable) -> None:
    assert {after for moves in table.moves.values() for after in moves} <= set(table.states)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_can_be_reached(table: StateTable) -> None:
    assert sorted(set(table.used) - table.reachable()) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_life_can_end(table: StateTable) -> None:
    """Some state is terminal, or one that only an operator's redrive leaves (a dead letter)."""
    assert table.terminal


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_has_a_sentence(table: StateTable) -> None:
    assert [state for state in table.used if len(table.meanings[state]) < len("to be sent")] == []


def test_the_tables_are_found() -> None:
    assert {table.concept for table in TABLES} == {
        "bank",
        "billing",
        "callbacks",
        "intake",
        "payouts",
        "replies",
        "routing",
        "tasks",
        "verification",
        "workers",
    }


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_concept_with_rows_has_its_use_cases_in_actions(concept: str) -> None:
    folder = ROOT / "core" / concept
    assert (folder / "actions.py").exists() != (concept in ELSEWHERE), (
        f"put the use cases of core/{concept} into actions.py, or say here where they are"
    )


def test_a_life_belongs_to_rows() -> None:
    assert [
        path.as_posix() for path in _concept_files("states.py") if not (path.parent / "tables.py").exists()
    ] == []


def test_states_and_models_are_pure() -> None:
    """What decides can be tested without a database: neither imports one."""
    found: list[str] = []
    for module in modules("core"):
        if last(module.name) not in ("states", "model"):
            continue
        for node in module.nodes(ast.Import, ast.ImportFrom):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [getattr(node, "module", "")]
            )
            found += [
                f"{module.path}: {name}" for name in names if str(name).startswith(("sqlalchemy", "core.db"))
            ]
    assert found == []


def _concept_files(name: str) -> list[Path]:
    return sorted((ROOT / "core").glob(f"*/{name}"))
