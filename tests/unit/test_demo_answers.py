"""Simulated people's answers: they satisfy the schemas that the demo and strangers with a test key use."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.forms.validate import errors
from hub.demo import answers

SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}},
    {
        "type": "object",
        "required": ["lines", "mail"],
        "properties": {
            "lines": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/line"}},
            "mail": {"type": "string", "format": "email"},
            "note": {"type": ["string", "null"], "minLength": 200, "maxLength": 300},
        },
        "$defs": {
            "line": {
                "type": "object",
                "required": ["count", "price"],
                "properties": {
                    "count": {"type": "integer", "minimum": 3, "maximum": 5},
                    "price": {"type": "number", "minimum": 1},
                    "day": {"type": "string", "format": "date"},
                },
            }
        },
    },
    {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "fixed": {"const": 7}}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_answer_satisfies_its_schema(schema: dict[str, Any]) -> None:
    for seed in range(50):
        assert errors(schema, answers.answer(schema, random.Random(seed))) == []


def test_a_careful_triage_satisfies_the_shipped_type_and_a_careless_one_breaks_only_rules() -> None:
    kind = yaml.safe_load(Path("config/task_types/incident_triage.yaml").read_text())
    for seed in range(50):
        careful = answers.triage(random.Random(seed), care=1.0)
        careless = answers.triage(random.Random(seed), care=0.0)
        assert errors(kind["output_schema"], careful) == []
        assert errors(kind["output_schema"], careless) == []
        assert (careful["severity"], careful["action"]) not in {
            ("false_alarm", "roll_back"),
            ("critical", "ignore"),
        }
        assert (careless["severity"], careless["action"]) in {
            ("false_alarm", "roll_back"),
            ("critical", "ignore"),
        }
