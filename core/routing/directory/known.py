"""What is predicted and what was seen of each worker at each task type, in memory beside the directory: an offer reads none
of it from the database. Filled and kept up to date by `follow.py`, asked by `select.py`. Knows no database.

Rows are those of `core/routing/times.py` (`pair:known`, `worker:known`, `kind:known`, `pair:right`): three numbers each, 28
bytes for one of a worker that was there when the directory was built."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import NamedTuple

from core.routing.lineup import Three
from core.workers.reliability import Counts, shrunk

RIGHT, KIND = "pair:right", "kind:known"


class Column:
    """Three numbers for some of all ranks: sorted arrays from the building, and what changed since."""

    def __init__(self) -> None:
        self._ranks, self._numbers = array("I"), array("d")
        self._changed: dict[int, Three] = {}

    def append(self, rank: int, numbers: Three) -> None:
        """While it is being built; then `sort`."""
        self._ranks.append(rank)
        self._numbers.extend(numbers)

    def sort(self) -> None:
        ranks, numbers = self._ranks, self._numbers
        order = sorted(range(len(ranks)), key=ranks.__getitem__)
        self._ranks = array("I", [ranks[at] for at in order])
        self._numbers = array("d", [one for at in order for one in numbers[3 * at : 3 * at + 3]])

    def put(self, rank: int, numbers: Three) -> None:
        self._changed[rank] = numbers

    def get(self, rank: int) -> Three | None:
        found = self._changed.get(rank)
        if found is not None:
            return found
        at = bisect_left(self._ranks, rank)
        if at == len(self._ranks) or self._ranks[at] != rank:
            return None
        first, second, third = self._numbers[3 * at : 3 * at + 3]
        return first, second, third

    def __bool__(self) -> bool:
        return bool(self._ranks or self._changed)


_NOTHING = Column()


class OfType(NamedTuple):
    """What is known for tasks of one type: `pair` and `worker` as `predict.summary` has them, `right` the counts of right
    and wrong answers."""

    pair: Column
    worker: Column
    right: Column
    kind: Three | None

    @property
    def of_workers(self) -> bool:
        """Whether there is any prediction for one worker; else all have that of the kind."""
        return bool(self.pair) or bool(self.worker)

    def speed(self, rank: int) -> Three | None:
        """As `times.with_known`; a row of `predict.summary` is such a `Speed`."""
        return self.pair.get(rank) or self.worker.get(rank) or self.kind

    def at_type(self, rank: int, reliability: float) -> float | None:
        """As `times.with_known`."""
        found = self.right.get(rank)
        return None if found is None else shrunk(Counts(good=found[0], bad=found[1]), reliability)


class Known:
    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], Column] = {}
        self._kinds: dict[tuple[str, str], Three] = {}

    def fill(self, rank: int | None, whose: str, task_type: str, part: str, *numbers: float) -> None:
        """A row while it is being built; then `filled`. `rank` is None for what is of no worker."""
        if part == KIND:
            self.put(rank, whose, task_type, part, *numbers)
        elif rank is not None:
            first, second, third = numbers
            self._column(task_type, part).append(rank, (first, second, third))

    def filled(self) -> None:
        for column in self._columns.values():
            column.sort()

    def put(self, rank: int | None, whose: str, task_type: str, part: str, *numbers: float) -> None:
        """A row that is new or was changed."""
        first, second, third = numbers
        if part == KIND:
            self._kinds[whose, task_type] = (first, second, third)
        elif rank is not None:
            self._column(task_type, part).put(rank, (first, second, third))

    def of(self, environment: str, task_type: str) -> OfType:
        columns = self._columns
        return OfType(
            columns.get((task_type, "pair:known"), _NOTHING),
            columns.get(("", "worker:known"), _NOTHING),
            columns.get((task_type, RIGHT), _NOTHING),
            self._kinds.get((environment, task_type)),
        )

    def _column(self, task_type: str, part: str) -> Column:
        return self._columns.setdefault((task_type, part), Column())
