"""Every topic that is emitted has a handler in `hub/jobs/topics.py`, and every handler is emitted to: a job without a
handler would wait for ever, a handler without a job is dead code."""

from __future__ import annotations

import ast

from core.routing import sla
from tests.architecture.life import emitted
from tests.architecture.source import dotted, module, modules, text_of

# The simulator emits to nobody's outbox: its words are those of PagerDuty.
SOURCE = tuple(one for one in modules("core", "hub") if not one.path.startswith("hub/demo/"))


def handled() -> set[str]:
    """The keys of the table that `topics()` gives, with those of `sla.TOPICS` that it unpacks."""
    tables = [
        node.value
        for node in module("hub/jobs/topics.py").nodes(ast.Return)
        if isinstance(node.value, ast.Dict)
    ]
    [table] = [table for table in tables if isinstance(table, ast.Dict)]
    found: set[str] = set()
    for key, value in zip(table.keys, table.values, strict=True):
        if key is not None:
            name = text_of(key)
            assert name is not None, "a topic is written as a literal"
            found.add(name)
        else:
            assert isinstance(value, ast.DictComp)
            assert dotted(value.generators[0].iter) == "sla.TOPICS"
            found.update(sla.TOPICS)
    return found


def test_every_topic_is_a_literal_somewhere() -> None:
    assert [str(one) for one in emitted(SOURCE) if one.name is None] == []


def test_every_emitted_topic_is_handled() -> None:
    known = handled()
    assert [str(one) for one in emitted(SOURCE) if one.name not in known] == []


def test_every_handled_topic_is_emitted() -> None:
    names = {one.name for one in emitted(SOURCE)}
    assert sorted(handled() - names) == []


def test_the_table_is_read_as_it_is() -> None:
    assert {"inbound.received", "task.posted", "task.at_80", "callback.send"} <= handled()
