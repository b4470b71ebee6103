"""`hub simulate`: runs a routing policy against people who are made up from a seed, or against what happened on this hub, and
prints what would come of it beside the policy in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from core.routing.simulator.figures import Figures
    from core.routing.simulator.world import World

COLUMNS = ("in time", "and right", "answered", "accuracy", "cost sat", "gini", "used", "backups")


@click.command("simulate")
@click.option(
    "--policy",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A routing.yaml to try; without it the policy in force stands alone.",
)
@click.option(
    "--population",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file of the people and tasks (core/routing/simulator/world.py, Population).",
)
@click.option(
    "--load", type=float, default=None, help="Work over hands, above 0; 1 is as much as can be done."
)
@click.option(
    "--tasks", type=click.IntRange(1, 1_000_000), default=None, help="How many tasks; 3000 without a file."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same figures.")
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Means over so many seeds."
)
@click.option("--history", is_flag=True, help="The tasks and people of this hub instead of made-up ones.")
@click.option(
    "--environment",
    type=click.Choice(["live", "test"]),
    default="live",
    show_default=True,
    help="With --history.",
)
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="With --history.")
@click.option("--peers", is_flag=True, help="Beside the plain ways too: random, round robin, cheapest …")
@click.pass_context
def command(
    context: click.Context,
    file: Path | None,
    population: Path | None,
    load: float | None,
    tasks: int | None,
    seed: int,
    seeds: int,
    history: bool,
    environment: str,
    days: int,
    peers: bool,
) -> None:
    """Simulate a routing policy. Nothing is offered to anybody and nothing is written."""
    from core.routing.simulator.engine import simulate
    from core.routing.simulator.figures import mean
    from core.routing.simulator.ways import PEERS, by_policy, peer
    from hub import config_files
    from hub.cli.common import table
    from hub.settings_file import load_settings

    _must_go_together(context, history)
    _, directory = load_settings()
    ways = [by_policy(config_files.policy(directory), name="in force")]
    if file is not None:
        ways.append(by_policy(config_files.policy_file(file), name=file.name))
    if peers:
        ways += [peer(name, backups=False) for name in PEERS]
    worlds = (
        [_recorded(environment, days, seed + n) for n in range(seeds)]
        if history
        else [_made_up(population, load, tasks, seed + n) for n in range(seeds)]
    )
    if history:
        _say_of_what(worlds[0])
    rows = [(way.name, *_shown(mean([simulate(one, way) for one in worlds]))) for way in ways]
    table(rows, ("policy", *COLUMNS))


def _must_go_together(context: click.Context, history: bool) -> None:
    """What would be ignored is refused: figures of another world than was asked for mislead."""
    made_up, recorded = ("population", "load", "tasks"), ("environment", "days")
    for name in made_up if history else recorded:
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            told = "is of made-up tasks: leave --history away" if history else "goes with --history"
            raise click.UsageError(f"--{name} {told}")


def _made_up(file: Path | None, load: float | None, tasks: int | None, seed: int) -> World:
    from core.routing.simulator.world import Population, world
    from hub.settings_file import convert, read

    document = {"tasks": 3_000} if file is None else read(file)
    given = {name: value for name, value in (("load", load), ("tasks", tasks)) if value is not None}
    name = "the population" if file is None else file.name
    return world(convert(document | given, Population, name, {}), seed)


def _recorded(environment: str, days: int, seed: int) -> World:
    from core.errors import NotFound
    from hub.cli.common import run
    from hub.wiring import Wiring

    async def read(wiring: Wiring) -> World:
        from core.routing.simulator.history import recorded

        async with wiring.services.work.read(unlimited=True) as session:
            return await recorded(
                session,
                wiring.services.types,
                wiring.policy,
                days=days,
                seed=seed,
                environment=environment,
            )

    found = run(read)
    if not found.jobs or not found.people:
        raise NotFound(
            "no_history",
            f"There are no {environment} tasks of the last {days} days, or no workers who are there; take more --days, "
            "another --environment, or leave --history away",
        )
    return found


def _say_of_what(found: World) -> None:
    """What stands behind the figures, and what no policy could do anything about."""
    from core.routing.simulator.history import nobody_for

    click.echo(f"{len(found.jobs)} tasks, {len(found.people)} people")
    count, reasons = nobody_for(found)
    if count:
        told = ", ".join(f"{reason} {times}" for reason, times in reasons.most_common())
        click.echo(
            f"{count} of the tasks none of these people may take by the policy in force; they fall at: {told}"
        )


def _shown(found: Figures) -> tuple[str, ...]:
    shares = (found.hits, found.hits_right, found.answered, found.accuracy)
    return (
        *(f"{share:.3f}" for share in shares),
        f"{found.cost_msat / 1000:.0f}",
        f"{found.gini:.2f}",
        f"{found.utilisation:.2f}",
        f"{found.backups:.3f}",
    )
