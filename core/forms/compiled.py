"""A checked answer schema, ready to judge answers and to be drawn. Made by `core/forms/profile.py`, which also
keeps it; used by `core/forms/validate.py` and `core/forms/spot.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from core.forms import pointers
from core.forms.walk import Schema

_ROOT = "urn:hub:answer"
_CLASS_OF = {
    "draft-06": (jsonschema_rs.Draft6Validator, jsonschema_rs.Draft6),
    "draft-07": (jsonschema_rs.Draft7Validator, jsonschema_rs.Draft7),
    "2019-09": (jsonschema_rs.Draft201909Validator, jsonschema_rs.Draft201909),
    "2020-12": (jsonschema_rs.Draft202012Validator, jsonschema_rs.Draft202012),
}
# 64 KB is the compiled size of a pattern. Measured on 32,000 characters: the worst pattern that passes takes 1.4 ms,
# the worst that passes at the default of 10 MB takes 1.4 s.
_REGEX = jsonschema_rs.RegexOptions(size_limit=1 << 16)


def _any_text(_: str) -> bool:
    """`format: regex` is not judged: compiling whatever a person types, for each value, is work without a bound."""
    return True


class CompiledSchema:
    """`root` is the schema without `$schema` and `$id` (order kept), `digest` the SHA-256 of its text,
    `schemas` every subschema by location, `targets` where each `$ref` leads, `visits` see `core/forms/cost.py`."""

    def __init__(
        self,
        *,
        digest: str,
        draft: str,
        root: dict[str, Any],
        schemas: Mapping[str, Schema],
        targets: Mapping[str, str],
        visits: Mapping[str, tuple[int, ...]],
    ):
        """Raises jsonschema_rs.ValidationError when the schema breaks its draft's own rules."""
        self.digest = digest
        self.draft = draft
        self.root = root
        self.schemas = schemas
        self.targets = targets
        self.visits = visits
        self.has_patterns = any(
            isinstance(schema, dict) and ("pattern" in schema or "patternProperties" in schema)
            for schema in schemas.values()
        )
        self._class, number = _CLASS_OF[draft]
        self._validators: dict[str, jsonschema_rs.Validator] = {"": self._compile(root, None)}
        self._registry = jsonschema_rs.Registry([(_ROOT, root)], draft=number)

    @property
    def validator(self) -> jsonschema_rs.Validator:
        return self._validators[""]

    def validator_at(self, location: str) -> jsonschema_rs.Validator:
        """The validator of one subschema, references included; compiled at first use."""
        if location not in self._validators:
            reference = {"$ref": f"{_ROOT}#{pointers.to_fragment(location)}"}
            self._validators[location] = self._compile(reference, self._registry)
        return self._validators[location]

    def _compile(
        self, schema: dict[str, Any], registry: jsonschema_rs.Registry | None
    ) -> jsonschema_rs.Validator:
        # offline: jsonschema-rs would fetch http and open file:// otherwise. mask: its messages quote the answer.
        return self._class(
            schema,
            formats={"regex": _any_text},
            validate_formats=True,
            registry=registry,
            mask="...",
            pattern_options=_REGEX,
            offline=True,
        )
