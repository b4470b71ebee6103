"""Docs = code, for the configuration: `config/README.md` and `config/schema/*.json` are what the Structs say, every
setting has a meaning, every setting is read by somebody, and the files we ship fit their schemas."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from connectors import yaml_file
from connectors.form import Step
from tests.architecture.config_forms import FORMS, all_places, groups, home_of
from tests.architecture.config_meanings import MEANINGS, VARIABLES
from tests.architecture.config_reference import README, SCHEMAS, reference
from tests.architecture.config_schemas import schemas
from tests.architecture.source import ROOT, modules

REWRITE = "run `python -m tests.architecture.config_reference` and commit what it wrote"
CONFIG = ROOT / "config"

# file -> its schema
FILES = {
    "hub.yaml": "hub",
    "plans.yaml": "plans",
    "routing.yaml": "routing",
    "trust.yaml": "trust",
    **{f"quizzes/{path.name}": "quiz" for path in sorted((CONFIG / "quizzes").glob("*.yaml"))},
    "verification.yaml": "verification",
    **{f"task_types/{path.name}": "task_type" for path in sorted((CONFIG / "task_types").glob("*.yaml"))},
    **{
        f"connectors/{path.name}": f"connector_{path.stem}"
        for path in sorted((CONFIG / "connectors").glob("*.yaml"))
    },
}

# Settings that are handed on as a whole, so that nobody reads them by name.
READ_AS_A_WHOLE = {
    "ConnectorFile.version": "the Struct itself compares it",
    "Plan.expert_pool": "not read yet, as its meaning says",
    "Plan.monthly_statement": "not read yet, as its meaning says",
    "ConnectorFile.tests": "read by connectors/file_tests.py through `settings.tests`",
}

# Settings that are read through a property of another name.
READ_THROUGH = {
    "Delivery.max_age": "max_age_seconds",
    "Reconcile.every": "every_seconds",
    "Reconcile.overlap": "overlap_seconds",
}


def test_every_setting_has_a_meaning_and_no_other() -> None:
    assert sorted(all_places() ^ set(MEANINGS)) == []


def test_the_reference_is_what_the_code_says() -> None:
    assert README.read_text() == reference(), REWRITE


def test_the_schemas_are_what_the_code_says() -> None:
    written = {path.name: path.read_text() for path in SCHEMAS.glob("*.json")}
    assert written == schemas(), REWRITE


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(schemas()[name]))


@pytest.mark.parametrize(("name", "schema"), FILES.items())
def test_a_file_that_we_ship_fits_its_schema(name: str, schema: str) -> None:
    assert _errors(schema, _document(name)) == []


def test_a_misspelt_key_does_not_fit() -> None:
    document = _document("hub.yaml")
    document["server"]["prot"] = document["server"].pop("port")
    assert _errors("hub", document) == [
        "$.server: Additional properties are not allowed ('prot' was unexpected)"
    ]


def test_a_reference_may_stand_for_a_number() -> None:
    document = _document("hub.yaml")
    document["server"]["port"] = "${env:PORT}"
    assert _errors("hub", document) == []


def test_a_secret_in_the_file_does_not_fit() -> None:
    document = _document("connectors/pagerduty.yaml")
    document["auth"]["api_token"] = "u+0123456789abcdef"
    assert len(_errors("connector_pagerduty", document)) == 1


def test_every_setting_is_read() -> None:
    """A setting that nobody reads silently does nothing, which is worse than not having it."""
    read = {
        node.attr
        for module in modules()
        if module.path != "connectors/form.py"  # a check of form is not a use
        for node in module.nodes(ast.Attribute)
        if isinstance(node.ctx, ast.Load)
    }
    places = {
        f"{home_of(shape.cls, field.name).__name__.strip('_')}.{field.encode_name}": field.name
        for form in FORMS
        for shape in _structs(form.struct)
        for field in shape.fields
    }
    assert all_places() <= set(places)
    # connectors/outbound.py renders a step by the names of its members, whatever they are.
    steps = {
        f"{shape.cls.__name__}.{field.encode_name}"
        for form in FORMS
        for step in _structs(form.struct)
        if isinstance(step.cls, type) and issubclass(step.cls, Step)  # a generic one is no class
        for shape in _structs(step.cls)
        for field in shape.fields
    }
    unread = [
        place
        for place, name in places.items()
        if READ_THROUGH.get(place, name) not in read and place not in steps | set(READ_AS_A_WHOLE)
    ]
    assert sorted(unread) == []


def test_every_variable_of_the_environment_is_told() -> None:
    names: set[str] = set()
    for module in modules():
        for node in module.nodes(ast.Constant):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"HUB_[A-Z]+(_[A-Z]+)*", node.value)
            ):
                names.add(node.value)
    assert names == set(VARIABLES)


def test_every_group_of_the_reference_has_keys() -> None:
    assert [(form.file, group.path) for form in FORMS for group in groups(form) if not group.keys] == []


def _structs(struct: type) -> list[Any]:
    from msgspec import inspect as shapes

    found: dict[type, Any] = {}

    def walk(shape: Any) -> None:
        if isinstance(shape, shapes.StructType):
            if shape.cls not in found:
                found[shape.cls] = shape
                for field in shape.fields:
                    walk(field.type)
        elif isinstance(shape, shapes.ListType):
            walk(shape.item_type)
        elif isinstance(shape, shapes.DictType):
            walk(shape.value_type)
        elif isinstance(shape, shapes.UnionType):
            for member in shape.types:
                walk(member)

    walk(shapes.type_info(struct))
    return list(found.values())


def _document(name: str) -> dict[str, Any]:
    """As an editor sees the file: decimals are numbers, dates are text."""
    document = yaml_file.read((CONFIG / name).read_text(), name)
    plain: dict[str, Any] = json.loads(
        json.dumps(
            document, default=lambda value: float(value) if hasattr(value, "is_finite") else str(value)
        )
    )
    return plain


def _errors(schema: str, document: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator(json.loads(schemas()[f"{schema}.schema.json"]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
