"""`hub task-types`: the kinds of questions that this hub takes, and their examples."""

from __future__ import annotations

import sys

import click

from core.errors import NotFound
from core.verification import examples
from hub import config_files
from hub.cli.common import table
from hub.settings_file import load_settings


@click.group("task-types")
def command() -> None:
    """Kinds of questions."""


@command.command("list")
def list_all() -> None:
    """Every type with its stages, rules and examples."""
    _, directory = load_settings()
    types = config_files.task_types(directory)
    table(
        [(one.name, one.risk_tier, ",".join(one.stages), len(one.rules), len(one.examples)) for one in types],
        ["name", "risk", "stages", "rules", "examples"],
    )


@command.command("test")
@click.argument("names", nargs=-1)
def test(names: tuple[str, ...]) -> None:
    """Run the examples of the named types, or of all: each answer through schema and rules. Exits 1 when one does not
    say what it should."""
    _, directory = load_settings()
    types = {one.name: one for one in config_files.task_types(directory)}
    unknown = [name for name in names if name not in types]
    if unknown:
        raise NotFound(
            "unknown_task_type", f"There is no task type {unknown[0]!r}; see `hub task-types list`"
        )
    wrong = 0
    for name in names or sorted(types):
        ran = examples.run(types[name])
        if not ran:
            click.echo(f"{name}: no examples; add some under `examples:` in {name}.yaml")
        for one in ran:
            wrong += not one.expected
            click.echo(f"{'ok  ' if one.expected else 'FAIL'} {name}: {one.name}")
            if not one.expected:
                why = ", ".join(f"{reason.code} {reason.pointer or ''}".strip() for reason in one.reasons)
                click.echo(f"     said {one.outcome}{f': {why}' if why else ''}")
    sys.exit(1 if wrong else 0)
