"""connectors/README.md keeps its word: its file is whole and passes its own tests, every step and command is named."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import click
import msgspec

from connectors.config import load
from connectors.file_tests import run_tests
from connectors.form import Outbound, Step
from connectors.registry import CONNECTORS, connector
from hub.cli import connectors
from hub.connector_desk.coverage import untested
from tests.architecture.source import ROOT

TEXT = (ROOT / "connectors" / "README.md").read_text()
ENVIRON = dict.fromkeys(re.findall(r"env:([A-Z_]+)", TEXT), "x")


def test_the_file_on_the_page_is_whole() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    config = load(example, "README.yaml", ENVIRON)
    assert config.warnings == ()
    outcomes = run_tests(config, ROOT / "config" / "connectors" / "fixtures")
    assert [(one.name, one.problem) for one in outcomes if not one.passed] == []
    assert len(outcomes) == 3
    missing = [line.partition(":")[0] for line in untested(config.settings)]
    assert missing == ["route more-to-read", "outbound.failed", "outbound.expired"]


def steps_of(name: str) -> set[str]:
    """The names of a connector's steps."""
    outbound: Any = get_type_hints(connector(name).settings, include_extras=True)["outbound"]
    [step] = [one for one in get_args(outbound) if isinstance(one, type) and issubclass(one, Step)]
    assert issubclass(Outbound, msgspec.Struct)
    return {field.encode_name for field in msgspec.structs.fields(step)} - {"only_if"}


def test_every_step_is_explained() -> None:
    table = TEXT[TEXT.index("### Steps") : TEXT.index("### From a first file")]
    explained = set(re.findall(r"`([a-z_]+):", table))
    steps = {step for name in CONNECTORS for step in steps_of(name)}
    assert sorted(steps - explained) == []


def test_every_command_is_listed() -> None:
    group = connectors.command
    assert isinstance(group, click.Group)
    assert [name for name in group.commands if f"`hub connectors {name}" not in TEXT] == []
