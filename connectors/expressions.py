"""The two small languages of a connector file: JMESPath picks and maps, minijinja writes prose.
Both are compiled while the file loads (`connectors/config.py`) and evaluated by `connectors/routes.py` and
`connectors/outbound.py`. Chosen because both survive hostile input: no loops or regex in the one, fuel in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, cast

import jmespath
import minijinja

from connectors.expression_functions import HubFunctions
from core.errors import Misconfigured

MAX_LENGTH = 2_000
MAX_DEPTH = 40  # an expression's tree; far below Python's own limit, so that depth never depends on the caller's stack
FUEL = 20_000

_jmespath: Any = cast("Any", jmespath)
_FUNCTIONS: Any = HubFunctions()
_OPTIONS: Any = _jmespath.Options(custom_functions=_FUNCTIONS)
_KNOWN_FUNCTIONS: frozenset[str] = frozenset(_FUNCTIONS.FUNCTION_TABLE)

# Nodes whose later children look at what the first one gave, not at the document.
_INNER_AFTER_FIRST = frozenset(
    {"subexpression", "index_expression", "projection", "value_projection", "filter_projection", "pipe"}
)


def nearest(word: str, known: Mapping[str, object] | frozenset[str] | set[str] | list[str]) -> str:
    """` (did you mean `x`?)` when a known word is close, else nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean `{close[0]}`?)" if close else ""


class Expression:
    """One JMESPath expression. `roots` are the names the document has at its top, so that a misspelt one and a
    forgotten pair of quotes are found at load. Raises ValueError with the reason."""

    __slots__ = ("_compiled", "source")

    def __init__(self, source: str, roots: frozenset[str] = frozenset()):
        if len(source) > MAX_LENGTH:
            raise ValueError(f"the expression has {len(source)} characters, {MAX_LENGTH} are allowed")
        try:
            compiled: Any = _jmespath.compile(source)
        except RecursionError as error:
            raise ValueError("the expression is nested too deep") from error
        except ValueError as error:  # every JMESPath error is one
            raise ValueError(f"not a JMESPath expression: {' '.join(str(error).split())}") from error
        _check(compiled.parsed, roots)
        self.source = source
        self._compiled = compiled

    def search(self, document: Mapping[str, Any], where: str) -> Any:
        """What the expression picks out of the document. Raises Misconfigured, which names `where`."""
        try:
            return self._compiled.search(document, options=_OPTIONS)
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise Misconfigured(
                "expression_failed",
                f"{where}: `{self.source}` failed: {' '.join(str(error).split())}",
                path=where,
            ) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r})"


class Condition(Expression):
    """A `when`: true or false, nothing between."""

    def holds(self, document: Mapping[str, Any], where: str) -> bool:
        """Raises Misconfigured when the answer is neither: null would read as "no match" and lose an escalation."""
        answer = self.search(document, where)
        if not isinstance(answer, bool):
            raise Misconfigured(
                "condition_not_boolean",
                f"{where}: `{self.source}` gave {type(answer).__name__}, not true or false; "
                "compare it with something, such as `== 'P1'`",
                path=where,
            )
        return answer


class OutcomeExpression(Expression):
    """An expression of `outbound:`, over {task, result, ticket} instead of the vendor's document."""

    __slots__ = ()


class OutcomeCondition(Condition):
    """An `only_if` of `outbound:`."""

    __slots__ = ()


class Mapped:
    """A mapped value: a text is a JMESPath expression, an object or list maps each of its members, any other YAML
    value is a constant. Raises ValueError with the member's path inside the value."""

    __slots__ = ("node",)

    def __init__(self, value: object, roots: frozenset[str] = frozenset()):
        self.node = _mapped(value, roots, "", 0)

    def evaluate(self, document: Mapping[str, Any], where: str) -> Any:
        """The mapped value, JSON-shaped. Raises Misconfigured, which names the member."""
        return _evaluate(self.node, document, where)


class OutcomeMapped(Mapped):
    """A mapped value of `outbound:`."""

    __slots__ = ()


class Template:
    """Prose for a note. Undefined names are an error, loops burn fuel; HTML is escaped when the target reads HTML.
    `roots` are the names it may use. Raises ValueError at load."""

    __slots__ = ("_name", "source")

    def __init__(self, source: str, *, html: bool, roots: frozenset[str] = frozenset()):
        if len(source) > MAX_LENGTH * 4:
            raise ValueError(f"the text has {len(source)} characters, {MAX_LENGTH * 4} are allowed")
        try:
            names = _PROSE.undeclared_variables_in_str(source)
        except minijinja.TemplateError as error:
            raise ValueError(f"not a minijinja template: {error.message}") from error
        for name in sorted(names - roots - _PROSE_GLOBALS):
            raise ValueError(
                f"`{name}` is not known here{nearest(name, roots)}; known: {', '.join(sorted(roots))}"
            )
        self.source = source
        self._name = "note.html" if html else "note.txt"

    def render(self, context: Mapping[str, Any], where: str) -> str:
        """The text. Raises Misconfigured, which names `where`, for an undefined value or a spent tank."""
        try:
            return _PROSE.render_str(self.source, self._name, **context)
        except minijinja.TemplateError as error:
            raise Misconfigured("template_failed", f"{where}: {error.message}", path=where) from error


class PlainTemplate(Template):
    """Prose for a place that reads plain text whatever the vendor's notes are: a field's value, a label."""

    __slots__ = ()


def _auto_escape(name: str) -> bool:
    return name.endswith(".html")


_PROSE_GLOBALS = frozenset({"range", "dict", "namespace"})  # minijinja's own, which it lists as undeclared
_PROSE = minijinja.Environment(
    fuel=FUEL,
    undefined_behavior="strict",
    auto_escape_callback=_auto_escape,
    debug=False,
    keep_trailing_newline=False,
)


def _mapped(value: object, roots: frozenset[str], at: str, depth: int) -> object:
    if depth > 8:
        raise ValueError(f"{at or 'the value'} is nested more than 8 levels deep")
    if isinstance(value, str):
        try:
            return Expression(value, roots)
        except ValueError as error:
            raise ValueError(f"{at}: {error}" if at else str(error)) from error
    if isinstance(value, dict):
        members = cast("dict[object, object]", value)
        return {
            str(k): _mapped(v, roots, f"{at}.{k}" if at else str(k), depth + 1) for k, v in members.items()
        }
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_mapped(v, roots, f"{at}[{i}]", depth + 1) for i, v in enumerate(items)]
    if isinstance(value, Decimal):
        return float(value)  # a constant of a JSON payload; payouts are not mapped and keep their Decimal
    if value is None or isinstance(value, (bool, int)):
        return value
    raise ValueError(
        f"{at or 'the value'} cannot be a {type(value).__name__}; quote it as a JMESPath literal"
    )


def _evaluate(node: object, document: Mapping[str, Any], where: str) -> Any:
    if isinstance(node, Expression):
        return node.search(document, where)
    if isinstance(node, dict):
        members = cast("dict[str, object]", node)
        return {key: _evaluate(member, document, f"{where}.{key}") for key, member in members.items()}
    if isinstance(node, list):
        items = cast("list[object]", node)
        return [_evaluate(member, document, f"{where}[{index}]") for index, member in enumerate(items)]
    return node


def _check(tree: dict[str, Any], roots: frozenset[str]) -> None:
    """Depth, function names and top-level names of a parsed expression. Raises ValueError."""
    for node, depth, outer in _walk(tree):
        if depth > MAX_DEPTH:
            raise ValueError("the expression is nested too deep")
        name = str(node.get("value"))
        if node["type"] == "function_expression" and name not in _KNOWN_FUNCTIONS:
            raise ValueError(f"there is no function `{name}`{nearest(name, _KNOWN_FUNCTIONS)}")
        if node["type"] == "field" and outer and roots and name not in roots:
            raise ValueError(
                f"there is no `{name}` to read from, only {', '.join(sorted(roots))}{nearest(name, roots)}; "
                f"a constant is written with quotes inside: \"'{name}'\""
            )


def _walk(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int, bool]]:
    """(node, depth, whether it looks at the document itself) of every node, without recursion."""
    stack: list[tuple[Any, int, bool]] = [(tree, 0, True)]
    while stack:
        node, depth, outer = stack.pop()
        yield node, depth, outer
        for index, child in enumerate(node.get("children", [])):
            if isinstance(child, dict):
                inner = node["type"] == "expref" or (node["type"] in _INNER_AFTER_FIRST and index > 0)
                stack.append((cast("Any", child), depth + 1, outer and not inner))
