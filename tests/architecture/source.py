"""The project's own source as parsed modules, and the comment by which one line may be excepted from one rule.
Used by `rules.py` and by every test of this folder.

An exception is a comment on the line that the rule names (anywhere in the file for a rule about the whole file):

    MAX_SECONDS = 2.5  # arch: no-float - a pause in seconds, not money

The word after `arch:` is the rule's name (`rules.py:RULES`). A reason is required, and an exception that excepts
nothing is itself an error, so that none outlives its cause.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

Node = TypeVar("Node", bound=ast.AST)

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "connectors", "hub")
_EXCEPTION = re.compile(r"#\s*arch:\s*(?P<rule>[a-z-]+)(?:\s*-+\s*(?P<reason>.*))?$")
_SHORTEST_REASON = 10


class Excepted(msgspec.Struct, frozen=True):
    """One `# arch:` comment."""

    line: int
    rule: str
    reason: str

    @property
    def reasoned(self) -> bool:
        return len(self.reason) >= _SHORTEST_REASON


class Breach(msgspec.Struct, frozen=True, order=True):
    """A rule broken in one place. `line` 0 is the file as a whole."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" if self.line else f"{self.path}: {self.what}"


class Module(msgspec.Struct, frozen=True):
    """One Python file. `comments` are by line, `#` included; text inside strings is not among them."""

    path: str
    text: str
    tree: ast.Module
    comments: dict[int, str]

    @property
    def name(self) -> str:
        """`core.db.engine`; a package's name for its `__init__.py`."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def length(self) -> int:
        return len(self.text.splitlines())

    def exceptions(self) -> list[Excepted]:
        found: list[Excepted] = []
        for line, comment in self.comments.items():
            if match := _EXCEPTION.search(comment):
                found.append(Excepted(line, match["rule"], (match["reason"] or "").strip()))
        return found

    def nodes(self, *kinds: type[Node]) -> Iterator[Node]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))


def parse(path: str, text: str) -> Module:
    """Also for the made-up modules on which the rules are tested."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    return Module(path, text, ast.parse(text), comments)


@functools.cache
def modules(*packages: str) -> tuple[Module, ...]:
    """Every module of these top-level folders, migrations' versions left out: they are history; and folders with a
    dot: other people's software in a venv (`tests/lightning`)."""
    found: list[Module] = []
    for package in packages or PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if "/migrations/versions/" not in path and "/." not in path:
                found.append(parse(path, file.read_text()))
    return tuple(found)


def module(path: str) -> Module:
    return parse(path, (ROOT / path).read_text())


@functools.cache
def tracked() -> tuple[str, ...]:
    """Every file that is, or by the next commit may be, in the repository; empty outside a git work tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.split("\0") if done.returncode == 0 else []
    return tuple(sorted(name for name in set(names) if name and (ROOT / name).is_file()))


def called(call: ast.Call) -> str:
    """The dotted name that is called, as it is written: `clock.now`, `self._work.begin`; `""` for anything else."""
    return dotted(call.func)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else f"?.{node.attr}"
    return ""


def last(name: str) -> str:
    return name.rpartition(".")[2]


def text_of(node: ast.AST | None) -> str | None:
    """The value of a string literal, else None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
