"""The lists by which the hub finds what was added: connectors, rails, stages, commands. Every entry can be loaded and is
what the list says; every folder that looks like a connector is on the list."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click
import pytest

from connectors.connector import Connector
from connectors.form import ConnectorFile
from connectors.rails import RAILS, RailConfig
from connectors.registry import CONNECTORS, connector
from core.errors import Misconfigured
from core.verification.stages import STAGES
from hub import __main__ as command_line
from tests.architecture.source import ROOT

COMMANDS = command_line.cli.list_commands(click.Context(command_line.cli))


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_a_connector_can_be_loaded(name: str) -> None:
    found = connector(name)
    assert isinstance(found, Connector)
    assert found.name == name
    assert issubclass(found.settings, ConnectorFile)
    assert CONNECTORS[name] == f"connectors.{name}:CONNECTOR"


def test_every_connector_folder_is_registered() -> None:
    folders = sorted(path.parent.name for path in (ROOT / "connectors").glob("*/normalize.py"))
    assert folders == sorted(CONNECTORS)


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_a_connector_has_the_same_files(name: str) -> None:
    files = {path.name for path in (ROOT / "connectors" / name).glob("*.py")}
    assert {"__init__.py", "settings.py", "verify.py", "normalize.py", "reply.py"} <= files


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_a_connector_ships_an_example(name: str) -> None:
    assert (ROOT / "config" / "connectors" / f"{name}.yaml").exists()


@pytest.mark.parametrize("name", sorted(RAILS))
def test_a_rail_can_be_built_or_says_what_it_needs(name: str, tmp_path: Path) -> None:
    try:
        said = RAILS[name](RailConfig(name=name, data_dir=tmp_path)).capabilities.network
    except Misconfigured as error:
        said = error.message
    assert said in ("bc", "tb", "tbs", "bcrt") or said.startswith(f"hub.yaml: rails.options.{name}.")


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_is_a_file_of_its_own(name: str) -> None:
    assert (ROOT / "core" / "verification" / "stages" / f"{name}.py").exists()


def test_every_stage_file_is_registered() -> None:
    files = {path.stem for path in (ROOT / "core" / "verification" / "stages").glob("*.py")} - {"__init__"}
    assert sorted(files) == sorted(STAGES)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_can_be_loaded(name: str) -> None:
    command = command_line.cli.get_command(click.Context(command_line.cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_every_command_file_is_a_command() -> None:
    """What the commands share is named here; anything else in hub/cli is a command that nobody can call."""
    shared = {"__init__", "asgi", "common", "stack", "organisation_people"}
    files = {path.stem for path in (ROOT / "hub" / "cli").glob("*.py")} - shared
    assert sorted(files) == sorted(name.replace("-", "_") for name in COMMANDS)


def test_the_console_script_exists() -> None:
    assert callable(import_module("hub.__main__").main)
