"""Every transition table of `core/*/states.py` as data, with the sentence that stands beside each state. Used by
`test_states.py` and, for the map in `core/README.md`, by `core_map.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from typing import Any

import msgspec

from tests.architecture.source import Module, dotted, modules

# The machine of an attempt has no state of its own for "not tried yet": `earned`, `reserved` and `withheld` are the payout's alone.
STARTS: dict[str, str] = {"core.payouts.states.ATTEMPT_TRANSITIONS": "ready"}
UNUSED: dict[str, frozenset[str]] = {
    "core.payouts.states.ATTEMPT_TRANSITIONS": frozenset({"earned", "reserved", "withheld"})
}


class StateTable(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is `core.tasks.states.TRANSITIONS`; `meanings` are the comments beside the members of its enum."""

    name: str
    states: type[StrEnum]
    moves: Mapping[Any, frozenset[Any]]
    meanings: dict[str, str]

    @property
    def concept(self) -> str:
        return self.name.split(".")[1]

    @property
    def start(self) -> str:
        """The first member is where a row begins."""
        return STARTS.get(self.name, str(next(iter(self.states))))

    @property
    def used(self) -> list[str]:
        return [str(state) for state in self.states if state not in UNUSED.get(self.name, ())]

    @property
    def terminal(self) -> list[str]:
        return [state for state in self.used if not self.moves[self.states(state)]]

    def reachable(self) -> set[str]:
        found, todo = {self.start}, [self.start]
        while todo:
            for after in self.moves[self.states(todo.pop())]:
                if str(after) not in found:
                    found.add(str(after))
                    todo.append(str(after))
        return found


def state_tables() -> list[StateTable]:
    found: list[StateTable] = []
    for module in modules("core"):
        if not module.path.endswith("/states.py"):
            continue
        loaded = import_module(module.name)
        for name in sorted((name for name in vars(loaded) if name.endswith("TRANSITIONS")), key=len):
            moves: Mapping[Any, frozenset[Any]] = getattr(loaded, name)
            states = type(next(iter(moves)))
            full = f"{module.name}.{name}"
            found.append(
                StateTable(name=full, states=states, moves=moves, meanings=_meanings(module, states))
            )
    return found


def _meanings(module: Module, states: type[StrEnum]) -> dict[str, str]:
    [definition] = [
        node for node in module.tree.body if isinstance(node, ast.ClassDef) and node.name == states.__name__
    ]
    found: dict[str, str] = {}
    for node in definition.body:
        if isinstance(node, ast.Assign):
            state = str(states[dotted(node.targets[0])])
            found[state] = re.sub(r"^#\s*", "", module.comments.get(node.lineno, ""))
    return found
