"""`hub check`: reads every configuration file and says what is wrong with it."""

from __future__ import annotations

import click

from hub import config_files
from hub.settings_file import load_settings
from hub.wiring import check_money


@click.command("check")
def command() -> None:
    """Read every configuration file; exit 2 with file, path and fix when one is wrong."""
    settings, directory = load_settings()
    types = list(config_files.task_types(directory))
    check_money(settings, config_files.plans(directory))
    policy, people = config_files.policy(directory), config_files.people(directory)
    for warning in config_files.out_of_reach(policy, people.trust):
        click.echo(f"warning: {warning}", err=True)
    connectors = config_files.connectors(directory, config_files.process_environment())
    for config in connectors.values():
        for warning in config.warnings:
            click.echo(f"warning: {warning}", err=True)
    click.echo(
        f"{directory}: {len(types)} task types, {len(list(people.quizzes))} quizzes, {len(connectors)} connectors, "
        f"rails {', '.join(settings.rails.use)}: fine"
    )
