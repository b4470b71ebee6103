"""`hub connectors`: what is configured, and the tests inside a connector's file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from connectors.config import load
from connectors.file_tests import run_tests
from hub import config_files
from hub.cli.common import table
from hub.settings_file import load_settings


@click.group("connectors")
def command() -> None:
    """Connector files."""


@command.command("list")
def list_all() -> None:
    """Every configured connector with its webhook address."""
    settings, directory = load_settings()
    found = config_files.connectors(directory, os.environ)
    table(
        [
            (
                name,
                c.settings.connector,
                c.settings.organisation,
                c.settings.environment,
                c.settings.mode,
                f"{settings.public_url}/hooks/in/{name}",
            )
            for name, c in found.items()
        ],
        ["id", "connector", "organisation", "environment", "mode", "webhook address"],
    )


@command.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def test(file: Path) -> None:
    """Run the tests inside FILE, offline; exit 1 when one fails."""
    config = load(file.read_text(), file.name, os.environ)
    outcomes = run_tests(config, file.parent / "fixtures")
    for outcome in outcomes:
        click.echo(
            f"{'ok  ' if outcome.passed else 'FAIL'} {outcome.name}{'' if outcome.passed else ': ' + outcome.problem}"
        )
    if not outcomes:
        click.echo(f"{file}: has no tests: section")
    sys.exit(0 if outcomes and all(outcome.passed for outcome in outcomes) else 1)
