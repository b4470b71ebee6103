"""Which cells the crash matrix has, and the table of how they ended. Data and text only."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.payout_matrix import Cell, Outcome
from tests.chaos.payout_points import CLOCKS, DATABASE, POINTS, ZOMBIES, Blow, Clock, Receiver

WRONG_CLOCKS = (Clock.AHEAD, Clock.BEHIND, Clock.MACHINE_AHEAD, Clock.MACHINE_BEHIND)


def every_cell() -> list[Cell]:
    """Everything that a hub on SQLite can meet."""
    return [
        *(
            Cell(point, to, restart=restart)
            for point in POINTS
            for to in Receiver
            for restart in (False, True)
        ),
        *(Cell(point, to, Blow.FREEZE) for point in ZOMBIES for to in Receiver),
        *(
            Cell(point, to, clock=clock)
            for point in CLOCKS
            for to in (Receiver.NOW, Receiver.FROZEN)
            for clock in WRONG_CLOCKS
        ),
    ]


def sample() -> list[Cell]:
    """What is worth seeing on PostgreSQL too: each point with the fate that leaves most doubt, and the sleepers."""
    return [
        *(Cell(point, Receiver.FROZEN, restart=number % 2 == 0) for number, point in enumerate(POINTS)),
        *(Cell(point, Receiver.NOW, Blow.FREEZE) for point in ZOMBIES),
    ]


def with_database_killed() -> list[Cell]:
    return [Cell(point, to, Blow.DATABASE) for point in DATABASE for to in (Receiver.NOW, Receiver.FROZEN)]


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a point: `1` is paid once, `P` waits for a person with nothing lost, `!` anything else; the second sign is
    with the rail killed and started again."""
    lines = [f"{'':52}" + "".join(f"{to:>16}" for to in Receiver)]
    rows: dict[tuple[str, Clock], dict[Receiver, list[Outcome]]] = {}
    for one in outcomes:
        cells = rows.setdefault((one.cell.point.label, one.cell.clock), {})
        cells.setdefault(one.cell.receiver, []).append(one)
    for (label, clock), row in rows.items():
        name = label if clock is Clock.RIGHT else f"{label}, {clock}"
        signs = [" ".join(sign(one) for one in row.get(to, [])) for to in Receiver]
        lines.append(f"{name:52}" + "".join(f"{one:>16}" for one in signs))
    wrong = [
        f"{one.cell.point.label} / {one.cell.receiver} / {one.cell.blow} / restart {one.cell.restart} / "
        f"{one.cell.clock} ({one.seconds:.0f} s): {one.verdict.problem}"
        for one in outcomes
        if one.verdict.problem
    ]
    return "\n".join([*lines, summary(outcomes), *wrong])


def sign(one: Outcome) -> str:
    if one.verdict.problem:
        return "!"
    return "P" if one.verdict.person else str(one.verdict.times)


def summary(outcomes: Sequence[Outcome]) -> str:
    twice = sum(one.verdict.times > 1 for one in outcomes)
    lost = sum(one.verdict.times == 0 and not one.verdict.person for one in outcomes)
    person = sum(one.verdict.person for one in outcomes)
    slowest = max((one.seconds for one in outcomes), default=0)
    return (
        f"{len(outcomes)} cells: paid twice {twice}, lost {lost}, waits for a person {person}; "
        f"the slowest took {slowest:.0f} s"
    )
