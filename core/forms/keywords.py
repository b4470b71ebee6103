"""The JSON Schema keywords an answer schema may use, per draft, and where each one keeps its subschemas.
Data only; read by `core/forms/profile.py`, `walk.py`, `cost.py` and `spot.py`."""

from __future__ import annotations

from typing import Final

DEFAULT_DRAFT: Final = "2020-12"

# Every way the drafts write their own name. A `$schema` outside this list is refused before jsonschema-rs sees it.
DRAFT_OF_URL: Final = {
    "https://json-schema.org/draft/2020-12/schema": "2020-12",
    "https://json-schema.org/draft/2019-09/schema": "2019-09",
    "http://json-schema.org/draft-07/schema": "draft-07",
    "https://json-schema.org/draft-07/schema": "draft-07",
    "http://json-schema.org/draft-06/schema": "draft-06",
    "https://json-schema.org/draft-06/schema": "draft-06",
}

HOLDS_ONE: Final = frozenset(
    {
        "additionalProperties",
        "unevaluatedProperties",
        "propertyNames",
        "items",
        "contains",
        "unevaluatedItems",
    }
    | {"additionalItems", "not", "if", "then", "else", "contentSchema"}
)
HOLDS_MAP: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
HOLDS_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
DEFINITIONS: Final = frozenset({"$defs", "definitions"})
# Subschemas that judge the same value as the schema around them; all others judge a child of it.
IN_PLACE: Final = frozenset(
    {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"}
)

ANNOTATIONS: Final = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "example",
        "$comment",
        "deprecated",
        "readOnly",
        "writeOnly",
    }
    # Pydantic writes `discriminator` beside every tagged union; it only repeats what `const` already says.
    | {"$id", "$schema", "discriminator"}
)
_SINCE_06: Final = frozenset(
    {"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"}
    | {
        "maxLength",
        "minLength",
        "pattern",
        "format",
        "items",
        "maxItems",
        "minItems",
        "uniqueItems",
        "contains",
    }
    | {
        "maxProperties",
        "minProperties",
        "required",
        "properties",
        "patternProperties",
        "additionalProperties",
    }
    | {"propertyNames", "allOf", "anyOf", "oneOf", "not", "$ref", "definitions", "$defs"}
)
_SINCE_07: Final = _SINCE_06 | {"if", "then", "else", "contentMediaType", "contentEncoding"}
_SINCE_2019: Final = _SINCE_07 | {
    *("dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"),
    *("minContains", "maxContains", "contentSchema"),
}
KEYWORDS_OF: Final = {
    "draft-06": _SINCE_06 | {"additionalItems", "dependencies"},
    "draft-07": _SINCE_07 | {"additionalItems", "dependencies"},
    "2019-09": _SINCE_2019 | {"additionalItems"},
    "2020-12": _SINCE_2019 | {"prefixItems"},
}
REF_HIDES_SIBLINGS: Final = frozenset({"draft-06", "draft-07"})

HINT_WIDGET: Final = "x-hub-widget"
HINT_ORDER: Final = "x-hub-order"
HINT_ENUM_TITLES: Final = "x-hub-enum-titles"
HINT_HELP: Final = "x-hub-help"
HINTS: Final = frozenset({HINT_WIDGET, HINT_ORDER, HINT_ENUM_TITLES, HINT_HELP})
WIDGETS: Final = frozenset({"textarea", "radio", "select"})

# What to write instead of the keywords people most often bring along.
INSTEAD: Final = {
    "nullable": 'write type: ["string", "null"] (or anyOf with {"type": "null"})',
    "id": "write $id",
    "$anchor": "name the target by its place: #/$defs/name",
    "$dynamicAnchor": "name the target by its place: #/$defs/name",
    "$dynamicRef": "write $ref with #/$defs/name",
    "$recursiveAnchor": "name the target by its place: #/$defs/name",
    "$recursiveRef": "write $ref with #",
    "$vocabulary": "remove it",
    "extends": "write allOf",
    "dependencies": "write dependentRequired or dependentSchemas",
    "additionalItems": "write prefixItems and items",
    "prefixItems": "write items as a list, or leave $schema out to use 2020-12",
}
