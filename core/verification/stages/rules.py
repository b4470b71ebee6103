"""Second stage: the operator's rules for this task type, JMESPath over {payload, output, task} that must give true.
The configuration is checked by `check_rules` when it loads."""

from __future__ import annotations

import functools
from typing import Any, cast

import jmespath
from jmespath import functions

from core.errors import Misconfigured
from core.tasks.types import Rule, Severity, TaskType
from core.verification.stage import Evidence, Outcome, Reason, Verdict

_jmespath: Any = cast("Any", jmespath)
_FUNCTIONS: dict[str, dict[str, Any]] = cast("Any", functions).Functions.FUNCTION_TABLE
_ROOTS = ("payload", "output", "task")

# How many children of a node look at the document itself; the others look at what the first one gave, or (`&name`)
# at an item of a list. Nodes that are not named: all.
_LOOKS_AT_DOCUMENT = {
    "subexpression": 1,
    "index_expression": 1,
    "projection": 1,
    "value_projection": 1,
    "filter_projection": 1,
    "pipe": 1,
    "expref": 0,
}

# What a rule may raise on an answer that it was not written for: JMESPath's own errors are ValueErrors; comparing or
# sorting mixed values, and numbers beyond a float, raise Python's.
_EVALUATION_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, AttributeError)


class RulesStage:
    name = "rules"

    def judge(self, evidence: Evidence) -> Verdict:
        """Fails with the message of every rule of severity fail that does not give true, else unsure with those of the
        others. A rule that cannot be evaluated on this answer counts as one that does not give true: the answer is not
        of the kind that the rule speaks of, and nothing unchecked goes out."""
        document = {"payload": evidence.payload, "output": evidence.output, "task": evidence.task}
        broken = [
            (rule.severity, Reason(code=code, message=rule.message))
            for rule in evidence.task_type.rules
            if (code := _broken(rule, document)) is not None
        ]
        for severity, outcome in ((Severity.FAIL, Outcome.FAIL), (Severity.UNSURE, Outcome.UNSURE)):
            reasons = [reason for wrong, reason in broken if wrong is severity]
            if reasons:
                return Verdict(stage=self.name, outcome=outcome, reasons=reasons)
        return Verdict(stage=self.name, outcome=Outcome.PASS)


def check_rules(task_type: TaskType) -> None:
    """Every rule compiles, calls functions that exist with as many values as they take, and reads only `payload`,
    `output` and `task`. Raises Misconfigured, which names the rule."""
    names: set[str] = set()
    for rule in task_type.rules:
        where = f"task type {task_type.name!r}, rule {rule.name!r}"
        if rule.name in names:
            raise Misconfigured("bad_rule", f"{where}: there are two rules of this name", rule=rule.name)
        names.add(rule.name)
        try:
            tree = _compiled(rule.expect).parsed
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise Misconfigured(
                "bad_rule", f"{where}: not a JMESPath expression: {reason}", rule=rule.name
            ) from error
        wrong = next((found for node in _nodes(tree) if (found := _wrong_call(node))), None) or _wrong_root(
            tree
        )
        if wrong is not None:
            raise Misconfigured("bad_rule", f"{where}: {wrong}", rule=rule.name)


def _broken(rule: Rule, document: dict[str, Any]) -> str | None:
    """The code of what is wrong, None when the rule gives true. True itself, not what Python holds for true."""
    try:
        return None if _compiled(rule.expect).search(document) is True else f"rule_{rule.name}"
    except _EVALUATION_ERRORS:
        return f"rule_error_{rule.name}"


@functools.lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    return _jmespath.compile(expression)


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a node that are nodes; a slice has numbers among them."""
    return [cast("dict[str, Any]", child) for child in node.get("children", []) if isinstance(child, dict)]


def _nodes(tree: dict[str, Any]) -> list[dict[str, Any]]:
    found = [tree]
    for node in found:
        found.extend(_children(node))
    return found


def _wrong_call(node: dict[str, Any]) -> str | None:
    if node["type"] != "function_expression":
        return None
    name, given = str(node["value"]), len(node["children"])
    if name not in _FUNCTIONS:
        return f"there is no function `{name}`"
    signature: list[dict[str, Any]] = list(_FUNCTIONS[name]["signature"])
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        return f"`{name}` takes {'at least ' if variadic else ''}{len(signature)} values, not {given}"
    return None


def _wrong_root(tree: dict[str, Any]) -> str | None:
    """A bare word at the top that is neither root: most often a text without its quotes."""
    stack: list[dict[str, Any]] = [tree]
    while stack:
        node = stack.pop()
        if node["type"] == "field" and node["value"] not in _ROOTS:
            return f"there is no `{node['value']}` to read from, only payload, output and task; quote a text: '...'"
        children = _children(node)
        stack.extend(children[: _LOOKS_AT_DOCUMENT.get(node["type"], len(children))])
    return None
