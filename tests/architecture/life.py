"""The names by which the parts of a task's life find each other, as they stand in the source: transactions, crash
points and topics. Read by `test_crash_points.py` and `test_topics.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec

from tests.architecture.source import Module, called, last, text_of

_TRANSACTION_ARGUMENT = {
    "begin": 0,
    "fenced": 1,
    "finishing": 1,
    "local": 0,
}  # `local` is that of hub/jobs/topics.py


class Named(msgspec.Struct, frozen=True, order=True):
    """A name and where it stands. `name` is None when it is not a literal."""

    path: str
    line: int
    name: str | None

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name!r}"


def transactions(modules: tuple[Module, ...]) -> list[Named]:
    """Every name given to a transaction of the unit of work."""
    found: list[Named] = []
    for module in modules:
        for call in module.calls():
            position = _TRANSACTION_ARGUMENT.get(last(called(call)))
            if position is None or len(call.args) <= position:
                continue
            found += [Named(module.path, call.lineno, name) for name in _texts(call.args[position])]
    return found


def crash_points(modules: tuple[Module, ...]) -> list[Named]:
    """Every point passed by `crash.reach`."""
    return [
        Named(module.path, call.lineno, text_of(call.args[0]))
        for module in modules
        for call in module.calls()
        if called(call) == "crash.reach"
    ]


def emitted(modules: tuple[Module, ...]) -> list[Named]:
    """Every topic given to `tx.emit`: as a literal, as a literal argument of a function that hands its parameter on,
    or as the `topic=` of a value that is emitted later. `lease.topic` and `timer.topic` hand on what is counted
    where it was made."""
    forwards = dict(_forwards(modules))
    found: list[Named] = []
    for module in modules:
        for call in module.calls():
            found += [Named(module.path, call.lineno, name) for name in _topics(call, forwards)]
    return found


def _topics(call: ast.Call, forwards: dict[str, int]) -> Iterator[str | None]:
    name = last(called(call))
    if name == "emit" and call.args:
        first = call.args[0]
        handed_on = isinstance(first, ast.Name) or (
            isinstance(first, ast.Attribute) and first.attr == "topic"
        )
        if not handed_on:
            yield from _texts(first)
    elif name in forwards and len(call.args) > forwards[name]:
        yield from _texts(call.args[forwards[name]])
    for keyword in call.keywords:
        if keyword.arg == "topic" and (text := text_of(keyword.value)) is not None:
            yield text


def _forwards(modules: tuple[Module, ...]) -> Iterator[tuple[str, int]]:
    """Function name -> position of the parameter that it gives to `emit` as the topic."""
    for module in modules:
        for function in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
            parameters = [arg.arg for arg in function.args.args]
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and last(called(call)) == "emit" and call.args:
                    first = call.args[0]
                    if isinstance(first, ast.Name) and first.id in parameters:
                        yield function.name, parameters.index(first.id)


def _texts(node: ast.expr) -> list[str | None]:
    """The literal, both literals of a conditional, or None for anything else that is not a plain variable."""
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.Name):
        return []  # a parameter; its callers are looked at
    return [text_of(node)]
