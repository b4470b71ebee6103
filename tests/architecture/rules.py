"""Our own rules as functions from a module to its breaches. `test_rules.py` runs them over the whole source and each of
them over a sample that breaks it. What ruff, pyright and import-linter already check is not repeated here.

How to except one line is told in `source.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import msgspec

from tests.architecture.source import Breach, Module, called, dotted, last, text_of

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60  # a function must be shorter

_OUTBOX_SQL = "core/db/hot.py"  # a lease is compared by its token there, which is stricter than a state
_COMMITS = ("core/db/unit_of_work.py", "core/db/migrate.py")
_MONEY = ("core/money.py", "core/ledger/", "core/payouts/", "core/billing/", "connectors/rails/")
_CLOCKS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
    }
)
_DATE_CLOCKS = frozenset({"now", "utcnow", "today"})
_LOG_CALLS = frozenset({"exception", "error", "warning", "critical"})
_SET_STATE = re.compile(r"\bUPDATE\b.*\bSET\b[^;]*?\b(state|status)\s*=", re.IGNORECASE | re.DOTALL)
_REASON = re.compile(
    r"(noqa:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|(?:type|pyright):\s*ignore\[[\w-]+(?:,\s*[\w-]+)*\])(.*)"
)
_SPAN = re.compile(r"(seconds|timeout|delay|after|_S)$|^seconds", re.IGNORECASE)
_SHORTEST_REASON = 4
_SILENCER = re.compile(r"#\s*(noqa\b|(?:type|pyright):\s*ignore\b)")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`why` is what the message says to whoever broke it; `where` tells whether a path is under the rule."""

    name: str
    why: str
    where: Callable[[str], bool]
    find: Callable[[Module], Iterator[Breach]]

    def breaches(self, module: Module) -> list[Breach]:
        """Those that no comment excepts."""
        if not self.where(module.path):
            return []
        excepted = {one.line for one in module.exceptions() if one.rule == self.name and one.reasoned}
        found = list(self.find(module))
        return [b for b in found if not (b.line in excepted or (b.line == 0 and excepted))]

    def excepts_something(self, module: Module, line: int) -> bool:
        return self.where(module.path) and any(b.line in (0, line) for b in self.find(module))


def _everywhere(path: str) -> bool:
    return True


def _source(path: str) -> bool:
    return path.startswith(("core/", "connectors/", "hub/"))


def _commits(module: Module) -> Iterator[Breach]:
    for call in module.calls():
        name = last(called(call))
        # `begin("name")` is the unit of work's, a bare `begin()` a session's or a connection's; a savepoint is no commit
        if called(call) == "savepoint.commit" or not isinstance(call.func, ast.Attribute):
            continue
        if name == "commit" or (name == "begin" and not call.args):
            yield Breach(module.path, call.lineno, f"calls {name}()")
    for node in module.nodes(ast.Constant):
        if node.value == "AUTOCOMMIT":
            yield Breach(module.path, node.lineno, "switches autocommit on")


def _floats(module: Module) -> Iterator[Breach]:
    seconds = {id(node) for node in _seconds(module)}
    for node in module.nodes(ast.Constant, ast.Call):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in seconds:
            yield Breach(module.path, node.lineno, f"has the float {node.value!r}")
        elif isinstance(node, ast.Call) and called(node) == "float":
            yield Breach(module.path, node.lineno, "calls float()")


def _seconds(module: Module) -> Iterator[ast.AST]:
    """Values that their own name calls a span of time, which is the one thing in a money file that may be a float."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and all(_SPAN.search(last(dotted(target))) for target in targets):
                yield node.value
        elif isinstance(node, ast.keyword):
            if node.arg and _SPAN.search(node.arg):
                yield node.value
        elif isinstance(node, ast.Call) and last(called(node)) == "sleep":
            yield from node.args
        elif isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            late = positional[len(positional) - len(node.defaults) :]
            for arg, default in [
                *zip(late, node.defaults, strict=True),
                *zip(node.kwonlyargs, node.kw_defaults, strict=True),
            ]:
                if default is not None and _SPAN.search(arg.arg):
                    yield default


def _clocks(module: Module) -> Iterator[Breach]:
    for node in module.nodes(ast.Attribute, ast.ImportFrom):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            owner, _, attribute = name.rpartition(".")
            if name in _CLOCKS or (attribute in _DATE_CLOCKS and last(owner) in ("datetime", "date")):
                yield Breach(module.path, node.lineno, f"reads {name}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            for alias in node.names:
                if f"time.{alias.name}" in _CLOCKS:
                    yield Breach(module.path, node.lineno, f"imports time.{alias.name}")


def _long_files(module: Module) -> Iterator[Breach]:
    if module.length > MAX_FILE_LINES:
        yield Breach(module.path, 0, f"has {module.length} lines, {MAX_FILE_LINES} are the limit")


def _long_functions(module: Module) -> Iterator[Breach]:
    for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines >= MAX_FUNCTION_LINES:
            what = f"{node.name}() has {lines} lines, it must stay under {MAX_FUNCTION_LINES}"
            yield Breach(module.path, node.lineno, what)


def _broad(node: ast.expr | None) -> bool:
    if node is None:
        return True
    if isinstance(node, ast.Tuple):
        return any(_broad(one) for one in node.elts)
    return last(dotted(node)) in ("Exception", "BaseException")


def _swallowed(module: Module) -> Iterator[Breach]:
    for node in module.nodes(ast.ExceptHandler, ast.Call):
        if isinstance(node, ast.Call):
            if last(called(node)) == "suppress" and any(_broad(one) for one in node.args):
                yield Breach(module.path, node.lineno, "suppresses every exception")
        elif isinstance(node, ast.ExceptHandler) and _broad(node.type):
            inside = [inner for statement in node.body for inner in ast.walk(statement)]
            raises = any(isinstance(inner, ast.Raise) for inner in inside)
            logs = any(isinstance(inner, ast.Call) and _is_log(inner) for inner in inside)
            noqa = "noqa: BLE001" in module.comments.get(node.lineno, "")  # its reason is the rule below
            if not (raises or logs or noqa):
                yield Breach(module.path, node.lineno, "catches every exception and tells nobody")


def _is_log(call: ast.Call) -> bool:
    owner, _, name = called(call).rpartition(".")
    return name in _LOG_CALLS and last(owner) in ("log", "logger", "_log")


def _prints(module: Module) -> Iterator[Breach]:
    for call in module.calls():
        if called(call) in ("print", "pprint", "sys.stdout.write"):
            yield Breach(module.path, call.lineno, f"calls {called(call)}()")


def _state_writes(module: Module) -> Iterator[Breach]:
    for node in module.nodes(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Call, ast.Constant):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in ("state", "status"):
                    yield Breach(module.path, node.lineno, f"assigns {dotted(target)}")
        elif isinstance(node, ast.Call):
            yield from _state_calls(module, node)
        elif (text := text_of(node)) is not None and _SET_STATE.search(text):
            assert isinstance(node, ast.Constant)
            yield Breach(module.path, node.lineno, "has an UPDATE that sets a state")


def _state_calls(module: Module, call: ast.Call) -> Iterator[Breach]:
    name = last(called(call)) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
    if (
        name in ("setattr", "set_committed_value")
        and len(call.args) > 1
        and text_of(call.args[1]) in ("state", "status")
    ):
        yield Breach(module.path, call.lineno, f"sets a state by {name}()")
    if name == "values" and any(keyword.arg in ("state", "status") for keyword in call.keywords):
        yield Breach(module.path, call.lineno, "has an UPDATE that sets a state")


def _docstrings(module: Module) -> Iterator[Breach]:
    if module.text.strip() and not ast.get_docstring(module.tree):
        yield Breach(module.path, 0, "opens without a docstring")


def _bare_silencers(module: Module) -> Iterator[Breach]:
    for line, comment in module.comments.items():
        if not _SILENCER.search(comment):
            continue
        match = _REASON.search(comment)
        if match is None:
            yield Breach(module.path, line, f"names no rule: {comment}")
        elif len(match[2].strip(" -—:;#")) < _SHORTEST_REASON:
            yield Breach(module.path, line, f"gives no reason: {comment}")


def _rows_outside_tables(module: Module) -> Iterator[Breach]:
    for node in module.nodes(ast.ClassDef):
        if any(last(dotted(base)) == "Base" for base in node.bases) and not module.path.endswith(
            "/tables.py"
        ):
            yield Breach(module.path, node.lineno, f"{node.name} is a table outside a tables.py")


def _transitions_outside_states(module: Module) -> Iterator[Breach]:
    if module.path.endswith("/states.py"):
        return
    for node in module.nodes(ast.Assign, ast.AnnAssign):
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        for target in targets:
            if dotted(target).endswith("TRANSITIONS"):
                yield Breach(module.path, node.lineno, f"{dotted(target)} stands outside a states.py")


RULES: tuple[Rule, ...] = (
    Rule(
        name="one-commit",
        why="only core/db/unit_of_work.py commits, so that no state change leaves its jobs and its audit entry behind",
        where=lambda path: _source(path) and path not in _COMMITS,
        find=_commits,
    ),
    Rule(
        name="no-float",
        why="money is integer msat or Decimal; no float comes near it",
        where=lambda path: path.startswith(_MONEY),
        find=_floats,
    ),
    Rule(
        name="one-clock",
        why="core/clock.py is the only reader of time (deadlines that processes share: the database's clock)",
        where=lambda path: _source(path) and path != "core/clock.py",
        find=_clocks,
    ),
    Rule(
        name="file-length",
        why="split the file by purpose",
        where=lambda path: _source(path) or path.startswith("tests/"),
        find=_long_files,
    ),
    Rule(name="function-length", why="split the function", where=_source, find=_long_functions),
    Rule(
        name="nothing-swallowed",
        why="re-raise, log, or say in a `noqa: BLE001 - reason` who gets the exception instead",
        where=_source,
        find=_swallowed,
    ),
    Rule(
        name="no-print",
        why="only the command line prints; everything else logs",
        where=lambda path: _source(path) and not path.startswith("hub/cli/"),
        find=_prints,
    ),
    Rule(
        name="state-by-move",
        why="a state changes only through core/db/compare_and_set.py, which asks the transition table",
        where=lambda path: (
            path.startswith(("core/", "hub/"))
            and not path.startswith("hub/demo/")  # the simulated vendor keeps its own world
            and path not in ("core/db/compare_and_set.py", _OUTBOX_SQL)
        ),
        find=_state_writes,
    ),
    Rule(
        name="docstring",
        why="every file opens by saying what it is for and who calls it",
        where=_everywhere,
        find=_docstrings,
    ),
    Rule(
        name="reasoned-silence",
        why="write `# noqa: RULE - reason` or `# type: ignore[rule] - reason`",
        where=_everywhere,
        find=_bare_silencers,
    ),
    Rule(
        name="tables-in-tables",
        why="a reader looks for rows in tables.py",
        where=lambda path: path.startswith("core/"),
        find=_rows_outside_tables,
    ),
    Rule(
        name="transitions-in-states",
        why="a reader looks for the life of a thing in states.py",
        where=_source,
        find=_transitions_outside_states,
    ),
)
