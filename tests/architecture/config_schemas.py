"""JSON Schemas of the files of `config/`, made from the Structs, so that an editor completes and checks them. Written by
`python -m tests.architecture.config_reference`, compared by `test_config_docs.py`."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from connectors.expressions import Mapped
from connectors.secret_refs import Secrets
from tests.architecture.config_forms import CUSTOM, FORMS, Form
from tests.architecture.config_meanings import MEANINGS

_REFERENCE = {"type": "string", "pattern": r"^\$\{(env|file):[^}]+\}$"}
_SECRET = {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.*)$"}
_DATED_SECRET = {
    "type": "object",
    "properties": {"secret": _SECRET, "until": {"type": "string", "format": "date"}},
    "required": ["secret"],
    "additionalProperties": False,
}
_SECRETS = {
    "anyOf": [
        _SECRET,
        _DATED_SECRET,
        {"type": "array", "minItems": 1, "items": {"anyOf": [_SECRET, _DATED_SECRET]}},
    ]
}


def schemas() -> dict[str, str]:
    """File name in `config/schema` -> its text."""
    return {
        f"{form.schema}.schema.json": json.dumps(schema(form), indent=2, ensure_ascii=False) + "\n"
        for form in FORMS
        if form.schema is not None
    }


def schema(form: Form) -> dict[str, Any]:
    made = msgspec.json.schema(form.struct, schema_hook=_custom, ref_template="#/$defs/{name}")
    for name, definition in made["$defs"].items():
        for field, inner in definition.get("properties", {}).items():
            inner["description"] = _meaning(name.strip("_"), field, form)
        definition.pop("title", None)
        if name.startswith("Outbound_"):  # a route's own outcomes may stand there under the route's name
            definition["additionalProperties"] = {
                "$ref": f"#/$defs/{name.replace('Outbound', 'Outcomes', 1)}"
            }
        if "description" in definition:
            definition["description"] = " ".join(definition["description"].split())
    loosened = _as_yaml(made, references=form.schema == "hub")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"config/{form.file}",
        **loosened,
    }


def _meaning(struct: str, field: str, form: Form) -> str:
    """A Struct has its own fields, or those of the common form, which are told there: a generic one is named after what
    fills it (`Outbound_PagerDutyStep`), a connector's step and its file inherit."""
    inherited = [form.but.__name__] if form.but is not None and struct == form.struct.__name__ else []
    homes = (struct, struct.partition("_")[0], *inherited, "Outcomes", "Step", "Inbound")
    places = [f"{home}.{field}" for home in homes]
    return MEANINGS[next((place for place in places if place in MEANINGS), places[0])]


def _custom(kind: type) -> dict[str, Any]:
    if kind is Secrets:
        return dict(_SECRETS)
    return {"title": CUSTOM[kind]} if kind is Mapped else {"title": CUSTOM[kind], "type": "string"}


def _as_yaml(value: Any, *, references: bool) -> Any:
    """JSON has no decimals, YAML writes them as numbers; and a number of hub.yaml may be `${env:NAME}`."""
    if isinstance(value, list):
        return [_as_yaml(one, references=references) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _as_yaml(inner, references=references) for key, inner in value.items()}
    if made.get("format") == "decimal":
        del made["format"]
        made["type"] = ["number", "string"]
    elif references and made.get("type") in ("integer", "boolean", "number"):
        kept = {key: made.pop(key) for key in ("description", "default") if key in made}
        made = {"anyOf": [made, dict(_REFERENCE)], **kept}
    return made
