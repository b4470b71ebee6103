"""Everything an answer schema says about one place in the answer: `$ref`, `allOf`, conditions and chosen branches
laid flat into a list of parts that all apply. Called by `core/forms/plan.py` (to draw) and `validate.py` (to find)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from core.forms import keywords as kw
from core.forms import pointers
from core.forms.budget import Budget
from core.forms.compiled import CompiledSchema
from core.forms.walk import Schema

# A value that is not there (JSON null is a value).
MISSING = msgspec.UNSET

_NO_SHAPE = (
    frozenset({"required", "not", "minProperties", "maxProperties", "dependentRequired"}) | kw.ANNOTATIONS
)
_PLAIN = frozenset({"const", "enum", "type"}) | kw.ANNOTATIONS | {kw.HINT_ENUM_TITLES}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One schema that applies here, without looking into its in-place keywords. `chosen`: through a branch."""

    location: str
    schema: dict[str, Any]
    chosen: bool


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One way to go in a Choice: a subschema, or (for `type` lists) one type name."""

    location: str
    type: str | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A oneOf, anyOf or list of types that a person must choose from. `number` counts them at this place."""

    number: int
    branches: tuple[Branch, ...]
    picked: int | None


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """The flat view of one place. `impossible`: no value fits. `nullable`: null is one of the alternatives.
    `depends` names the properties on whose values it depends what applies here ("*": on any). `types` is None for
    "any"."""

    parts: tuple[Part, ...]
    choices: tuple[Choice, ...]
    nullable: bool
    impossible: bool
    depends: frozenset[str]
    types: frozenset[str] | None

    @property
    def only(self) -> str:
        """The one type allowed here; "" for any or several."""
        return next(iter(self.types)) if self.types and len(self.types) == 1 else ""


Pick = Callable[[int, tuple[Branch, ...]], int | None]


def no_pick(number: int, branches: tuple[Branch, ...]) -> int | None:
    """The pick of somebody who has not chosen yet."""
    return None


def lay_flat(
    doc: CompiledSchema, locations: Sequence[str], value: object, budget: Budget, pick: Pick = no_pick
) -> Spot:
    """The spot of the schemas at `locations` (all apply), for the `value` there so far (or MISSING).

    `pick(number, branches)` tells which branch was chosen; what it cannot afford from `budget` is left out.
    """
    flattener = _Flattener(doc, value, budget, pick)
    for location in locations:
        flattener.add(location, chosen=False)
    return flattener.finish()


class _Flattener:
    def __init__(self, doc: CompiledSchema, value: object, budget: Budget, pick: Pick):
        self.doc = doc
        self.value = value
        self.budget = budget
        self.pick = pick
        self.parts: list[Part] = []
        self.choices: list[Choice] = []
        self.nullable = self.impossible = False
        self.depends: set[str] = set()

    def add(self, location: str, *, chosen: bool) -> None:
        schema = self.doc.schemas[location]
        if isinstance(schema, bool):
            self.impossible = self.impossible or not schema
            return
        if not self.budget.parts():
            return
        target = self.doc.targets.get(location)
        if target is None or self.doc.draft not in kw.REF_HIDES_SIBLINGS:
            self.parts.append(Part(location=location, schema=schema, chosen=chosen))
        if target is not None:
            self.add(target, chosen=chosen)
        for index in range(len(schema.get("allOf", ()))):
            self.add(pointers.join(location, "allOf", index), chosen=chosen)
        self._conditions(location, schema, chosen)
        for keyword in ("oneOf", "anyOf"):
            if keyword in schema:
                self._alternatives(pointers.join(location, keyword), len(schema[keyword]), chosen)

    def _conditions(self, location: str, schema: dict[str, Any], chosen: bool) -> None:
        if "if" in schema and ("then" in schema or "else" in schema):
            self.depends |= _mentioned(schema["if"])
            holds = self.value is not MISSING and self.budget.fits(
                self.doc, pointers.join(location, "if"), self.value
            )
            arm = "then" if holds else "else"
            if arm in schema and self.value is not MISSING:
                self.add(pointers.join(location, arm), chosen=chosen)
        held = self.value
        present = cast("dict[str, object]", held) if isinstance(held, dict) else {}
        for keyword in ("dependentSchemas", "dependencies"):
            for name, dependent in schema.get(keyword, {}).items():
                self.depends.add(name)
                if name in present and not isinstance(dependent, list):
                    self.add(pointers.join(location, keyword, name), chosen=chosen)
        self.depends |= schema.get("dependentRequired", {}).keys()

    def _alternatives(self, place: str, count: int, chosen: bool) -> None:
        if not self.budget.parts(count):
            return
        locations = [pointers.join(place, index) for index in range(count)]
        shapes = [location for location in locations if not self._only_null(location)]
        self.nullable = self.nullable or len(shapes) < len(locations)
        seen = [self._through(location) for location in shapes]
        if len(shapes) == 1:
            self.add(shapes[0], chosen=chosen)
        elif shapes and all(_plain(schema) for schema in seen):
            self.parts.append(Part(location=place, schema=_as_enum(seen), chosen=chosen))
        elif not all(isinstance(schema, dict) and schema.keys() <= _NO_SHAPE for schema in seen):
            self._choose(tuple(Branch(location=location) for location in shapes), chosen)

    def _choose(self, branches: tuple[Branch, ...], chosen: bool) -> None:
        number = len(self.choices)
        picked = self.pick(number, branches)
        self.choices.append(Choice(number=number, branches=branches, picked=picked))
        if picked is not None and branches[picked].type is None:
            self.add(branches[picked].location, chosen=True)

    def _through(self, location: str) -> Schema:
        """The schema there, or the one its bare `$ref` leads to."""
        schema = self.doc.schemas[location]
        while (
            isinstance(schema, dict)
            and location in self.doc.targets
            and schema.keys() - kw.ANNOTATIONS == {"$ref"}
        ):
            location = self.doc.targets[location]
            schema = self.doc.schemas[location]
        return schema

    def _only_null(self, location: str) -> bool:
        schema = self._through(location)
        if isinstance(schema, bool):
            return False
        constant = "const" in schema and schema["const"] is None
        return constant or schema.get("type") in ("null", ["null"]) or schema.get("enum") == [None]

    def finish(self) -> Spot:
        types = _types(self.parts)
        if types is not None and "null" in types and len(types) > 1:
            self.nullable, types = True, types - {"null"}
        listed = any("enum" in part.schema or "const" in part.schema for part in self.parts)
        if types is not None and len(types) > 1 and not listed:
            self._choose(tuple(Branch(location="", type=name) for name in sorted(types)), chosen=False)
            branch = self.choices[-1]
            if branch.picked is not None:
                types = frozenset({branch.branches[branch.picked].type or ""})
        if types is not None and not types:
            self.impossible = True
        return Spot(
            parts=tuple(self.parts),
            choices=tuple(self.choices),
            nullable=self.nullable,
            impossible=self.impossible,
            depends=frozenset(self.depends),
            types=types,
        )


ANY_PROPERTY = "*"


def _mentioned(condition: Schema) -> set[str]:
    """The properties that an `if` looks at; ANY_PROPERTY when it is not just a matter of looking."""
    if isinstance(condition, bool):
        return set()
    if condition.keys() - kw.ANNOTATIONS - {"properties", "required", "type"}:
        return {ANY_PROPERTY}
    return {*condition.get("properties", {}), *condition.get("required", ())}


def _plain(schema: Schema) -> bool:
    return (
        not isinstance(schema, bool) and schema.keys() <= _PLAIN and ("const" in schema or "enum" in schema)
    )


def _as_enum(schemas: Sequence[Any]) -> dict[str, Any]:
    """oneOf of {const, title} is how 2020-12 writes an enum with titles."""
    values: list[Any] = []
    titles: list[str] = []
    for schema in schemas:
        own = [schema["const"]] if "const" in schema else schema["enum"]
        values += own
        titles += [str(schema.get("title", "")) if len(own) == 1 else ""] * len(own)
    return {"enum": values, kw.HINT_ENUM_TITLES: titles}


def _types(parts: Sequence[Part]) -> frozenset[str] | None:
    """The types all parts allow; guessed from other keywords where no part names one; None for any."""
    types: frozenset[str] | None = None
    for part in parts:
        if "type" in part.schema:
            named = part.schema["type"]
            own = frozenset(cast("list[str]", named) if isinstance(named, list) else [str(named)])
            own = own | {"integer"} if "number" in own else own
            types = own if types is None else types & own
    if types is None:
        guesses = [guess for part in parts if (guess := _guess(part.schema))]
        return frozenset(guesses[:1]) or None
    return types - {"integer"} if "number" in types else types


_GUESSES = (
    ("object", {"properties", "required", "additionalProperties", "patternProperties", "propertyNames"}),
    (
        "object",
        {"minProperties", "maxProperties", "unevaluatedProperties", "dependentRequired", "dependentSchemas"},
    ),
    (
        "array",
        {"items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems", "unevaluatedItems"},
    ),
    ("string", {"minLength", "maxLength", "pattern", "format"}),
    ("number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
)


def _guess(schema: dict[str, Any]) -> str | None:
    return next((name for name, signs in _GUESSES if schema.keys() & signs), None)
