"""The command line: `hub`, or `python -m hub`. Every command lives in its own file under `hub/cli/` and imports late,
because a command that prints one line should not load a web framework."""

from __future__ import annotations

import sys

import click

from core.errors import HubError, Misconfigured

# command -> (module, what it does); the module is imported when the command is called.
_COMMANDS = {
    "up": ("hub.cli.up", "Start everything: web, workers, and the embedded database and queue"),
    "demo": ("hub.cli.demo", "The same with simulated people, PagerDuty and test money"),
    "serve": ("hub.cli.serve", "The web process alone"),
    "work": ("hub.cli.work", "One worker process (--queue default|money)"),
    "prepare": ("hub.cli.prepare", "What the demo does to its database before it starts"),
    "demo-simulator": ("hub.cli.demo_simulator", "The simulator process of the demo"),
    "simulate": (
        "hub.cli.simulate",
        "A routing policy against simulated people, or against what happened here",
    ),
    "routing": ("hub.cli.routing", "Shadow: what another policy would do with the tasks of now"),
    "migrate": ("hub.cli.migrate", "Bring the database to this version's schema"),
    "check": ("hub.cli.check", "Read every configuration file and say what is wrong"),
    "organisations": (
        "hub.cli.organisations",
        "Organisations: plan, credit, top-up over Lightning, statements",
    ),
    "keys": ("hub.cli.keys", "Mint, list and revoke API keys"),
    "people": ("hub.cli.people", "Add workers and operators, make one-time sign-in links"),
    "task": ("hub.cli.task", "Show a task's whole trail, replay its decisions, or cancel it"),
    "task-types": ("hub.cli.task_types", "Kinds of questions: list them, run their examples"),
    "gold": ("hub.cli.gold", "Questions whose answer is known: list, import, export, retire"),
    "verification": ("hub.cli.verification", "Replay recorded tasks through another policy"),
    "payouts": ("hub.cli.payouts", "Payouts: list, show, retry, pause, resume, reconcile, explain"),
    "rails": ("hub.cli.rails", "Each rail: reachable, balance, breaker, in doubt, last reconciliation"),
    "sandbox": ("hub.cli.sandbox", "Pay a top-up's invoice of the sandbox rail, with TEST MONEY"),
    "ledger": ("hub.cli.ledger", "Check the books, show balances"),
    "receipt": ("hub.cli.receipt", "Receipts: show, verify offline, check the chain, keys"),
    "rates": ("hub.cli.rates", "The exchange rate: sources, what was dropped, the decision"),
    "bank": ("hub.cli.bank", "Bank payments: accounts, batches of two people, the bank's answers"),
    "jobs": ("hub.cli.jobs", "Dead letters: list and redrive"),
    "inbound": ("hub.cli.inbound", "Deliveries that failed: list and replay"),
    "connectors": ("hub.cli.connectors", "Connectors: list, test, doctor, replay, dead letters, quarantine"),
}


class _Late(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = __import__(_COMMANDS[cmd_name][0], fromlist=["command"])
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Late)
@click.version_option(package_name="humanrail-hub")
def cli() -> None:
    """A self-hosted hub that turns an escalation into a verified human answer and pays the person at once."""


def main() -> None:
    try:
        cli(prog_name="hub")  # also when a test, or python -m, calls it
    except Misconfigured as error:
        click.echo(f"configuration: {error.message}", err=True)
        for path, what in error.field_errors.items():
            click.echo(f"  {path}: {what}", err=True)
        sys.exit(2)
    except HubError as error:
        click.echo(f"{error.code}: {error.message}", err=True)
        for path, what in error.field_errors.items():
            click.echo(f"  {path}: {what}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
