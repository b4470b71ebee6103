"""Keeps what `predict.py` learns: reads predictions for a list of workers, and adds the evidence of a turn that has ended in
the transaction that ended it. Called by `assignments.leave` and by whoever scores candidates.

All writes of a transaction are one statement at its end (`Transaction.at_end`), its rows in one order: workers' own first,
then what all share. Nothing else is locked after them, so nobody who holds them waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.routing.model import Candidate, Policy
from core.routing.predict import (
    Prediction,
    State,
    Step,
    Tally,
    answered_offer,
    apply,
    gave_up,
    learn,
    predict,
    read_back,
    summary,
)
from core.routing.states import AssignmentState
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.workers.reliability import Counts, shrunk

_READ = {
    "postgresql": """
        SELECT whose, part, n, total, square, count FROM completion_times
        WHERE whose = ANY($1::text[]) AND task_type = ANY($2::text[])""",
    "sqlite": """
        SELECT whose, part, n, total, square, count FROM completion_times
        WHERE whose IN (SELECT value FROM json_each(?1)) AND task_type IN (SELECT value FROM json_each(?2))""",
}
_COLUMNS = "whose, task_type, part, keep, n, total, square, count"
_ADD = """
    ON CONFLICT (whose, task_type, part) DO UPDATE SET keep = excluded.keep,
        n = completion_times.n * excluded.keep + excluded.n,
        total = completion_times.total * excluded.keep + excluded.total,
        square = completion_times.square * excluded.keep + excluded.square,
        count = completion_times.count + excluded.count"""
_WRITE = {
    "postgresql": f"""
        INSERT INTO completion_times ({_COLUMNS}) SELECT * FROM unnest(
            $1::text[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::int[]) {_ADD}""",  # noqa: S608 - text of ours
    "sqlite": f"INSERT INTO completion_times ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) {_ADD}",  # noqa: S608 - text of ours
}
# A worker's row is in hand here already wherever a turn gave back capacity. Small changes do not wake the routers.
_USUAL = """
    UPDATE workers SET usual_seconds = $2::int WHERE id = $1
    AND (usual_seconds IS NULL OR abs(usual_seconds - $2::int) * 10 > usual_seconds)"""
_PARTS = "part IN ('pair:known', 'worker:known', 'kind:known')"
_RIGHT = "SELECT worker_id, {}'pair:right', good, bad, 0 FROM worker_records"
_AMONG = {"postgresql": "= ANY({}::text[])", "sqlite": "IN (SELECT value FROM json_each({}))"}


def _known(dialect: str) -> str:
    """What is known of $1 (workers, and the environment) at the types $2: predictions, and counts of right answers."""
    whose, types = (_AMONG[dialect].format(name) for name in ("$1", "$2"))
    sql = f"""
        SELECT whose, part, n, total, square FROM completion_times WHERE whose {whose} AND task_type {types} AND {_PARTS}
        UNION ALL {_RIGHT.format("")} WHERE worker_id {whose} AND task_type {types}"""  # noqa: S608 - text of ours
    return for_dialect(sql, dialect)


def _followed(dialect: str, where: str) -> str:
    """The same with the type, of $1 at all types, or of everybody."""
    whose, worker = (where and f"{name} {_AMONG[dialect].format('$1')}" for name in ("whose", "worker_id"))
    sql = f"""
        SELECT whose, task_type, part, n, total, square FROM completion_times WHERE {_PARTS} {whose and "AND " + whose}
        UNION ALL {_RIGHT.format("task_type, ")} {worker and "WHERE " + worker}"""  # noqa: S608 - text of ours
    return for_dialect(sql, dialect)


KNOWN = {dialect: _known(dialect) for dialect in _AMONG}
# For the directory (`core/routing/directory/known.py`), which has it of everybody.
KNOWN_OF_ALL = {dialect: _followed(dialect, "") for dialect in _AMONG}
KNOWN_OF_SOME = {dialect: _followed(dialect, "some") for dialect in _AMONG}
_ORDER = {"worker": 0, "pair": 1, "kind": 2, "all": 3}
TYPICAL_SECONDS = Policy().weights.typical_seconds

_LET_GO = (AssignmentState.DECLINED, AssignmentState.LAPSED)


class _Evidence(msgspec.Struct, frozen=True):
    """What a turn showed. `seconds` of work, None when it was about the offer alone."""

    worker_id: str
    environment: str
    task_type: str
    seconds: float | None
    censored: bool = False
    steps: Mapping[str, Step] = {}


async def states(
    session: AsyncSession,
    environment: str,
    task_type: str,
    worker_ids: Iterable[str],
    typical_seconds: float = TYPICAL_SECONDS,
) -> dict[str, State]:
    """What is known of each worker for that type, one query for all."""
    wanted = list(dict.fromkeys(worker_ids))
    connection = await session.connection()
    dialect = connection.dialect.name
    parameters = (_list([environment, *wanted], dialect), _list(["", task_type], dialect))
    found: dict[str, dict[str, Tally]] = {}
    rows: Sequence[Any] = (await connection.exec_driver_sql(_READ[dialect], parameters)).all()
    for whose, part, n, total, square, count in rows:
        found.setdefault(whose, {})[part] = Tally(n, total, square, count)
    shared = found.get(environment, {})
    return {one: State({**shared, **found.get(one, {})}, typical_seconds) for one in wanted}


async def predictions(
    session: AsyncSession,
    environment: str,
    task_type: str,
    worker_ids: Iterable[str],
    typical_seconds: float = TYPICAL_SECONDS,
) -> dict[str, Prediction]:
    """How long each of these workers would take for a task of that type, by worker id. One query for all; somebody of whom
    nothing is known is predicted as the average newcomer."""
    known = await states(session, environment, task_type, worker_ids, typical_seconds)
    return {one: predict(state) for one, state in known.items()}


async def predicted(
    session: AsyncSession, environment: str, task_type: str, candidates: list[Candidate]
) -> list[Candidate]:
    """The candidates with what was last predicted for each of them and the type, and how often they are right at it. One
    query for all."""
    if not candidates:
        return candidates
    connection = await session.connection()
    dialect = connection.dialect.name
    parameters = known_of(environment, task_type, candidates, dialect)
    rows: Sequence[Any] = (await connection.exec_driver_sql(KNOWN[dialect], parameters)).all()
    return with_known(candidates, rows)


def known_of(environment: str, task_type: str, candidates: list[Candidate], dialect: str) -> tuple[Any, Any]:
    """The parameters of `KNOWN`."""
    whose = [environment, *(one.worker_id for one in candidates)]
    return _list(whose, dialect), _list(["", task_type], dialect)


def with_known(candidates: list[Candidate], rows: Sequence[Any]) -> list[Candidate]:
    """From the rows of `KNOWN`. The time: of the worker in the type; else of the worker whatever the type; else of a
    newcomer of the type. Of whom nothing is known at all, nothing is said. Right answers: of the worker in the type alone,
    drawn to their overall share."""
    found = {(whose, part): Tally(n, total, square) for whose, part, n, total, square in rows}
    kind = next((tally for (_, part), tally in found.items() if part == "kind:known"), None)
    result: list[Candidate] = []
    for one in candidates:
        tally = found.get((one.worker_id, "pair:known")) or found.get((one.worker_id, "worker:known")) or kind
        right = found.get((one.worker_id, "pair:right"))
        if tally is not None or right is not None:
            one = msgspec.structs.replace(
                one,
                prediction=None if tally is None else read_back(tally),
                at_type=None
                if right is None
                else shrunk(Counts(good=right.n, bad=right.total), one.reliability),
            )
        result.append(one)
    return result


def ended(tx: Transaction, task: Task, turn: Assignment, to: AssignmentState, now_ms: int) -> None:
    """Learn from the turn, which is about to go from its state `to`: an answer shows a time, work that was cut short that it
    takes at least so long, an offer whether it is taken. A clock that was set back before the start teaches nothing."""
    steps: Mapping[str, Step] = {}
    seconds, censored = None, False
    if turn.state == AssignmentState.OFFERED:
        if to == AssignmentState.LAPSED and now_ms < clock.to_ms(turn.expires_at):
            return  # the task ended under the offer
        steps = answered_offer(accepted=to not in _LET_GO)
    elif to == AssignmentState.RELEASED:
        steps = gave_up()
    elif turn.accepted_at is not None and to in (AssignmentState.SUBMITTED, AssignmentState.LAPSED):
        seconds = (now_ms - clock.to_ms(turn.accepted_at)) / 1000
        censored = to == AssignmentState.LAPSED
        if seconds < 0:
            return
    else:
        return
    item = _Evidence(turn.worker_id, task.environment, task.task_type, seconds, censored, steps)
    tx.at_end(_add, item)


async def _add(tx: Transaction, items: list[Any]) -> None:
    changed: dict[tuple[str, str, str], Step] = {}
    for item in items:
        steps = item.steps
        if item.seconds is not None:
            where = (item.environment, item.task_type, [item.worker_id])
            known = await states(tx.session, *where)
            steps = learn(known[item.worker_id], item.seconds, item.censored)
            told = summary(apply(known[item.worker_id], steps))
            steps |= told
            usual = round(read_back(told["worker:known"].on(Tally())).p90_seconds)
            await tx.execute(for_dialect(_USUAL, tx.dialect), (item.worker_id, min(usual, 2**31 - 1)))
        for part, step in steps.items():
            key = (*_key(part, item), part)
            changed[key] = step if key not in changed else step.after(changed[key])
    rows = [(*key, s.keep, s.n, s.total, s.square, s.count) for key, s in sorted(changed.items(), key=_rank)]
    if tx.dialect == "postgresql":
        await tx.execute(_WRITE["postgresql"], tuple(list(column) for column in zip(*rows, strict=True)))
    else:
        await tx.execute(for_dialect(_WRITE["sqlite"], "sqlite"), rows)


def _key(part: str, item: _Evidence) -> tuple[str, str]:
    scope = part.partition(":")[0]
    whose = item.worker_id if scope in ("worker", "pair") else item.environment
    return whose, item.task_type if scope in ("kind", "pair") else ""


def _rank(changed: tuple[tuple[str, str, str], Step]) -> tuple[int, tuple[str, str, str]]:
    key = changed[0]
    return _ORDER[key[2].partition(":")[0]], key


def _list(values: Sequence[str], dialect: str) -> Any:
    return list(values) if dialect == "postgresql" else msgspec.json.encode(values).decode()
