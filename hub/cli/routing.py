"""`hub routing`: looking at routing without touching it."""

from __future__ import annotations

from pathlib import Path

import click

from core.routing.shadow import Compared, agreement, compare
from hub import config_files
from hub.cli.common import run, table
from hub.wiring import Wiring, in_force


@click.group("routing")
def command() -> None:
    """Who is offered what."""


@command.command("shadow")
@click.argument("policy", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True, help="Open tasks.")
@click.option("--environment", type=click.Choice(["live", "test"]), default="live", show_default=True)
def shadow(policy: Path, limit: int, environment: str) -> None:
    """Whom the POLICY (a routing.yaml) would ask for the tasks that are open now, beside the policy in force. Nobody is
    offered anything."""
    found_policy = config_files.policy_file(policy)

    async def act(wiring: Wiring) -> list[Compared]:
        wanted = in_force(found_policy, wiring.services.plans, wiring.services.trust)  # pools of experts too
        async with wiring.services.work.read(unlimited=True) as session:
            return await compare(
                session,
                wiring.services.types,
                wiring.policy,
                wanted,
                environment=environment,
                limit=limit,
            )

    found = run(act)
    if not found:
        click.echo(f"no task of the {environment} environment is open: nothing to compare")
        return
    rows = [
        (
            one.task_id,
            one.task_type,
            _first(one.in_force),
            _first(one.shadow),
            "" if one.agrees else "differs",
        )
        for one in found
    ]
    table(rows, ("task", "type", "in force", policy.name, ""))
    told = agreement(found)
    click.echo(
        f"{told.tasks} open tasks: the same first choice for {told.same_first:.0%}, {told.same_three:.0%} of the first three; "
        f"{told.only_in_force} only the policy in force can give, {told.only_shadow} only {policy.name}"
    )


def _first(ids: list[str]) -> str:
    return ids[0] if ids else "nobody"
