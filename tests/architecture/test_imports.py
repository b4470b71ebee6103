"""What import-linter's contracts (pyproject.toml) leave open: no module waits for itself, and a file is imported at the
top so that a reader sees what it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

from connectors.registry import CONNECTORS
from tests.architecture.source import ROOT, Module, modules

CONNECTOR_FILES = tuple(f"connectors/{name}/__init__.py" for name in CONNECTORS)
SOURCE = {module.name: module for module in modules()}

# Late imports are for start-up time (a command that prints one line must not load a web framework), for the registry,
# and for the half of a connector that calls its vendor: it brings the vendor's library, which a web process never needs.
LATE = ("hub/cli/", "hub/__main__.py", "connectors/registry.py", *CONNECTOR_FILES)


def test_no_import_cycle() -> None:
    """A cycle works until somebody imports the other end first."""
    try:
        TopologicalSorter({name: imported(module) for name, module in SOURCE.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_imports_stand_at_the_top() -> None:
    late = [
        f"{module.path}:{node.lineno}"
        for module in SOURCE.values()
        if not module.path.startswith(LATE)
        for function in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and not _heavy(node)
    ]
    assert late == []


def _heavy(node: ast.Import | ast.ImportFrom) -> bool:
    """A library that not every process needs may be imported where it is used; our own modules may not."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return not any(name.split(".")[0] in ("core", "connectors", "hub") for name in names)


def imported(module: Module) -> set[str]:
    """Our own modules that this one imports when it runs (not those for the type checker alone)."""
    for_types = {
        id(inner)
        for node in module.nodes(ast.If)
        if ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    names: set[str] = set()
    for node in module.nodes(ast.Import, ast.ImportFrom):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in SOURCE else node.module)
    return {name for name in names if name in SOURCE and name != module.name}


HEAVY = {"aiohttp", "alembic", "arq", "cryptography", "litestar", "redis", "sqlalchemy"}


def loaded(*names: str) -> set[str]:
    """The libraries in memory after these modules of ours are imported, in a process that has nothing else."""
    code = f"import sys, {', '.join(names)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_what_keeps_a_stack_alive_is_small() -> None:
    """It lives as long as the hub, and all of this would lie idle in it."""
    keeping = ("hub.cli.up", "hub.cli.demo", "hub.cli.stack", "hub.demo.banner", "hub.demo.prepared")
    assert loaded("hub.__main__", *keeping) & HEAVY == set()


def test_what_serves_does_not_migrate() -> None:
    assert loaded("hub.cli.asgi") & {"alembic", "mako", "pygments"} == set()
    assert (
        loaded("hub.cli.common", "hub.jobs.topics", "hub.jobs.arq_worker") & {"alembic", "litestar"} == set()
    )
