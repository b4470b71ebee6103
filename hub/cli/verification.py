"""`hub verification`: what another policy would have done with the tasks that were."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import select

from core.access.tables import Organisation
from core.billing.plans import Plan
from core.routing.house import GOLD_ORGANISATION
from core.verification import backtest as backtesting
from core.verification.backtest import Recorded, Summary
from core.verification.policy import Checks, Requirement
from hub.cli.common import run, table
from hub.config_files import checks_file
from hub.wiring import Wiring

HEADINGS = [
    "policy",
    "tasks",
    "given out",
    "QA",
    "refused",
    "short",
    "accuracy",
    "known",
    "answers/task",
    "sat/task",
    "median s",
    "p90 s",
]


@click.group("verification")
def command() -> None:
    """How answers are checked."""


@command.command("backtest")
@click.argument("policy", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--type", "task_type", default="", help="Only tasks of this type.")
@click.option("--limit", default=10_000, show_default=True, help="The newest so many tasks.")
def backtest(policy: Path, task_type: str, limit: int) -> None:
    """Replay recorded tasks through another verification.yaml and print what it changes: accuracy where the truth is
    known (a reviewer decided, or gold), cost, latency. Nothing is written."""
    wanted = checks_file(policy)

    async def act(wiring: Wiring) -> dict[str, Summary]:
        plans: dict[str, Plan | None] = {}
        async with wiring.services.work.read(unlimited=True) as session:
            rows = await session.execute(select(Organisation.id, Organisation.plan))
            for name, plan in rows.all():
                known = plan in wiring.services.plans.names and name != GOLD_ORGANISATION
                plans[name] = wiring.services.plans.get(plan) if known else None
            loaded = backtesting.load(session, task_type=task_type, limit=limit)
            recorded = [one async for one in loaded]

        def by(checks: Checks) -> backtesting.Choose:
            def choose(one: Recorded) -> Requirement:
                return checks.requirement(
                    task_type=one.task_type,
                    stages=one.stages,
                    risk=one.risk,
                    plan=plans.get(one.organisation),
                    environment=one.environment,
                )

            return choose

        policies: list[tuple[str, backtesting.Choose]] = [
            ("as recorded", lambda one: one.record.requirement),
            ("as configured", by(wiring.services.types.checks)),
            (policy.name, by(wanted)),
        ]
        return backtesting.compare(recorded, policies)

    table([_row(name, found) for name, found in run(act).items()], HEADINGS)


def _row(name: str, one: Summary) -> list[object]:
    def number(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    return [
        name,
        one.tasks,
        one.released,
        one.qa,
        one.failed,
        one.short,
        number(one.accuracy, 3),
        one.known,
        number(one.answers_per_task, 2),
        number(one.paid_per_task / 1000, 1),
        number(one.median_seconds, 1),
        number(one.p90_seconds, 1),
    ]
