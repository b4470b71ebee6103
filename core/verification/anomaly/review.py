"""The slow half of the anomaly stage, every ten minutes: reads what has ended since the last time, tests pairs and
workers, opens marks, and names the clusters that routing keeps apart. Topic `anomaly.review`; each step is a transaction
of its own that can be repeated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction, UnitOfWork
from core.outbox.rows import Lease
from core.receipts.canonical import digest
from core.routing.tables import Submission
from core.tasks.model import Environment
from core.tasks.states import ENDED
from core.tasks.tables import Task
from core.verification.anomaly import marks, pairs, reversal, suspicion
from core.verification.anomaly.detect import merged
from core.verification.anomaly.model import Memory, Pool
from core.verification.anomaly.pairs import LEAST_ANSWERS, LEAST_COMMON, Pair, Sums
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.anomaly.tables import AnomalyMemory, AnomalyProgress, AnswerSignal, WorkerPair
from core.verification.anomaly.text import choice
from core.workers.records import of_type
from core.workers.tables import Worker, WorkerRecord

EVERY_MS = 600_000
TASKS = 200  # of one transaction
SETTLED_MS = 60_000  # a task whose end is younger may have a neighbour that is not committed yet
LOOK_BACK_MS = 86_400_000  # whoever answered within it is looked at
MOST_WORKERS = 5_000
FORGOTTEN_MS = 180 * 86_400_000  # a pair that has met no more, and too seldom to be tested
SHARING_AT_MOST = 20  # accounts behind one device: more is an office, or the operator's own machine
_NAME = "tasks"

_ADD = """
    INSERT INTO worker_pairs (first, second, environment, common, agreed, expected, variance, updated_at)
    VALUES ($1, $2, $3, $4::int, $5::int, $6::float8, $7::float8, $8::bigint)
    ON CONFLICT (first, second, environment) DO UPDATE SET
        common = worker_pairs.common + excluded.common, agreed = worker_pairs.agreed + excluded.agreed,
        expected = worker_pairs.expected + excluded.expected, variance = worker_pairs.variance + excluded.variance,
        updated_at = excluded.updated_at"""


Held = Callable[[Transaction, str, str], Awaitable[object]]


async def run(work: UnitOfWork, lease: Lease, held: Held | None = None, dropped: Held | None = None) -> None:
    """One review, and the job of the next. `held` is told of each worker with a mark that doubts their answers, and of the
    environment; `dropped` closes a mark (its id, and why) that the evidence no longer bears out."""
    while True:
        async with work.fenced(lease, "anomaly.pairs") as tx:
            if await read_tasks(tx) < TASKS:
                break
    for environment in Environment:
        async with work.fenced(lease, "anomaly.workers") as tx:
            await look_at_workers(tx, str(environment), held, dropped)
    async with work.fenced(lease, "anomaly.clusters") as tx:
        await name_clusters(tx)
        await _forget(tx)
    async with work.finishing(lease, "anomaly.schedule") as tx:
        await schedule(tx, slots=1)


async def at_once(work: UnitOfWork) -> None:
    """One review outside of its ten minutes, while nobody else writes: of what was just taken in (`history.py`)."""
    async with work.begin("anomaly.pairs") as tx:
        while await read_tasks(tx, settled_ms=0) == TASKS:
            pass
    async with work.begin("anomaly.workers") as tx:
        for environment in Environment:
            await look_at_workers(tx, str(environment))
        await name_clusters(tx)


async def schedule(tx: Transaction, *, slots: int) -> None:
    """The slot that is so many ten minutes from now; a second call for it changes nothing."""
    now = await tx.now_ms()
    slot = now // EVERY_MS + slots
    tx.emit("anomaly.review", "hub", delay=max(0, slot * EVERY_MS - now) / 1000, key=f"anomaly:{slot}")


async def read_tasks(tx: Transaction, *, settled_ms: int = SETTLED_MS) -> int:
    """Add what the next ended tasks say of each pair; how many tasks were read. Repeated after a crash it goes on where
    the last commit was, so that nothing is added twice."""
    place = await tx.session.get(AnomalyProgress, _NAME)
    if place is None:
        place = AnomalyProgress(name=_NAME, at=0, subject="")
        tx.session.add(place)
    after = clock.from_ms(place.at)
    until = clock.from_ms(await tx.now_ms() - settled_ms)
    found = await tx.session.execute(
        select(Task.id, Task.ended_at, Task.task_type, Task.environment)
        .where(
            Task.ended_at.is_not(None),
            Task.ended_at < until,
            or_(Task.ended_at > after, and_(Task.ended_at == after, Task.id > place.subject)),
            Task.status.in_([str(one) for one in ENDED]),
        )
        .order_by(Task.ended_at, Task.id)
        .limit(TASKS)
    )
    tasks = found.all()
    if not tasks:
        return 0
    answers = await _answers(tx.session, [task.id for task in tasks])
    for task in tasks:
        await _pairs_of(tx, task.task_type, task.environment, answers[task.id])
    place.at, place.subject = clock.to_ms(tasks[-1].ended_at), tasks[-1].id
    await tx.session.flush()
    return len(tasks)


async def _answers(session: AsyncSession, task_ids: list[str]) -> dict[str, dict[str, str]]:
    """By task and worker. What was chosen counts where something was: no two people write the same sentence."""
    rows = await session.execute(
        select(Submission.task_id, Submission.worker_id, Submission.output).where(
            Submission.task_id.in_(task_ids)
        )
    )
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for task_id, worker_id, output in rows.all():
        found[task_id][worker_id] = choice(output) or digest(output)[:16]
    return found


async def _pairs_of(tx: Transaction, task_type: str, environment: str, answers: dict[str, str]) -> None:
    if len(answers) < LEAST_ANSWERS:
        return
    records = await of_type(tx.session, task_type, list(answers))
    known = {worker: _accuracy(record) for worker, record in records.items()}
    now = await tx.now_ms()
    rows = [
        (*pair, environment, one.common, one.agreed, one.expected, one.variance, now)
        for pair, one in pairs.terms(answers, known, classes=2)
    ]
    await tx.execute(for_dialect(_ADD, tx.dialect), rows)


def _accuracy(record: WorkerRecord) -> float:
    """Shrunk as the consensus does it (six answers of the usual)."""
    return (record.good + 6 * pairs.USUAL) / (record.good + record.bad + 6)


async def look_at_workers(
    tx: Transaction, environment: str, held: Held | None = None, dropped: Held | None = None
) -> None:
    """Open, renew or drop the marks of those who answered lately."""
    since = await tx.now_ms() - LOOK_BACK_MS
    rows = await tx.session.scalars(
        select(AnomalyMemory)
        .where(
            AnomalyMemory.environment == environment,
            AnomalyMemory.updated_at >= since,
            AnomalyMemory.owner.not_like("pool:%"),
        )
        .order_by(AnomalyMemory.owner, AnomalyMemory.task_type)
        .limit(MOST_WORKERS)
    )
    lately = list(rows)
    pools = await _pools(tx.session, environment, {row.task_type for row in lately})
    records = await _records(tx.session, [(row.owner, row.task_type) for row in lately])
    usual = _usual(records)
    at: dict[str, dict[str, list[Suspicion]]] = defaultdict(dict)
    for row in lately:
        memory = msgspec.json.decode(row.memory, type=Memory)
        odd = suspicion.of_memory(memory, pools[row.task_type])
        classes = suspicion.classes_of(pools[row.task_type])
        odd += _of_record(records.get((row.owner, row.task_type)), usual.get(row.task_type, 1.0), classes)
        at[row.task_type][row.owner] = odd
    reasons: dict[str, list[Suspicion]] = defaultdict(list)
    where: dict[int, str] = {}
    for task_type, said in sorted(at.items()):
        gold = {owner: one for owner in said if (one := records.get((owner, task_type))) is not None}
        least = suspicion.least_accuracy(suspicion.classes_of(pools[task_type]), usual.get(task_type, 1.0))
        known = {owner: (one.gold_right, one.gold_seen) for owner, one in gold.items()}
        at[task_type] = suspicion.borne_out(said, known, least)
        for owner, odd in at[task_type].items():
            where |= {id(one): task_type for one in odd}
            reasons[owner] += odd
    if dropped is not None:
        now = {(owner, task_type): odd for task_type, of in at.items() for owner, odd in of.items()}
        for mark in await reversal.borne_out_no_more(tx, now):
            await dropped(tx, mark.id, reversal.WORDS)
    for worker, one in await _of_pairs(tx.session, environment):
        reasons[worker].append(one)
    for worker, shown in suspicion.found(reasons).items():
        for one in shown:
            await marks.opened(tx, worker, where.get(id(one), ""), one)
        if held is not None:
            await held(tx, worker, environment)


def _usual(records: Mapping[tuple[str, str], WorkerRecord]) -> dict[str, float]:
    """What is usual among those who answered lately, by task type."""
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (_, task_type), record in records.items():
        seen[task_type].append((record.good, record.good + record.bad))
    return {task_type: suspicion.usual_accuracy(found) for task_type, found in seen.items()}


def _of_record(record: WorkerRecord | None, usual: float, classes: int) -> list[Suspicion]:
    """What gold, consensus and reviewers say; nothing is forgotten of it, or a few bad answers would weigh too much."""
    if record is None:
        return []
    found = [suspicion.of_skill(record.seen_right, record.seen - record.seen_right, classes, usual)]
    least = suspicion.least_accuracy(classes, usual)
    if record.alarmed_at is not None and not reversal.recovered(record, least):
        found.append(
            Suspicion(
                kind=MarkKind.TURNED,
                p=1e-6,  # a CUSUM has no p-value; two in a thousand honest workers reach its limit
                words=f"answers got worse: the alarm over gold and consensus rang on {record.alarmed_at:%Y-%m-%d}",
                evidence={
                    "alarmed_at": clock.to_ms(record.alarmed_at),
                    "right": round(record.good, 2),
                    "of": round(record.good + record.bad, 2),
                },
            )
        )
    return [one for one in found if one is not None]


async def _of_pairs(session: AsyncSession, environment: str) -> list[tuple[str, Suspicion]]:
    found: list[tuple[str, Suspicion]] = []
    for (a, b), one in sorted(pairs.colluding(await _sums(session, environment)).items()):
        for worker, other in ((a, b), (b, a)):
            words = (
                f"the same answer as {other} in {one.agreed} of {one.common} questions; "
                f"the questions and both workers' ability explain {one.expected:.0f}"
            )
            evidence = {
                "with": other,
                "common": one.common,
                "agreed": one.agreed,
                "explained": round(one.expected, 1),
                "z": round(one.z, 2),
            }
            found.append((worker, Suspicion(kind=MarkKind.PAIR, p=one.p, words=words, evidence=evidence)))
    return found


async def _sums(session: AsyncSession, environment: str) -> dict[Pair, Sums]:
    rows = await session.scalars(
        select(WorkerPair).where(WorkerPair.environment == environment, WorkerPair.common >= LEAST_COMMON)
    )
    return {
        (row.first, row.second): Sums(
            common=row.common, agreed=row.agreed, expected=row.expected, variance=row.variance
        )
        for row in rows
    }


async def name_clusters(tx: Transaction) -> None:
    """Workers who share a payout address or a device, or agree beyond chance, are one cluster for routing; everybody else
    is in none. A cluster is no mark: families share addresses."""
    links: dict[Pair, str] = {}
    for what, shared in (
        ("payout address", await _sharing(tx.session, Worker.payout_address, Worker.id)),
        ("device", await _sharing(tx.session, AnswerSignal.device, AnswerSignal.worker_id)),
    ):
        for members in shared:
            links |= dict.fromkeys(((members[0], other) for other in members[1:]), what)
    for environment in Environment:
        links |= dict.fromkeys(pairs.colluding(await _sums(tx.session, str(environment))), "answers")
    wanted = pairs.groups(sorted(links))
    rows = await tx.session.execute(
        select(Worker.id, Worker.cluster_id)
        .where(or_(Worker.cluster_id.is_not(None), Worker.id.in_(list(wanted))))
        .order_by(Worker.id)
    )
    for worker_id, cluster in rows.all():
        if wanted.get(worker_id) != cluster:
            statement = update(Worker).where(Worker.id == worker_id).values(cluster_id=wanted.get(worker_id))
            await tx.session.execute(statement)
    for (a, b), what in sorted(links.items()):
        if what != "answers":
            for worker, other in ((a, b), (b, a)):
                await marks.opened(tx, worker, "", _shared(what, other))


def _shared(what: str, other: str) -> Suspicion:
    return Suspicion(
        kind=MarkKind.SHARED,
        p=1.0,
        words=f"the same {what} as {other}: the two are never asked the same question",
        evidence={"with": other, "what": what},
    )


async def _sharing(session: AsyncSession, column: Any, worker: Any) -> list[list[str]]:
    """Workers by a value that at least two of them have."""
    shared = (
        select(column)
        .where(column.is_not(None), column != "")
        .group_by(column)
        .having(func.count(func.distinct(worker)).between(2, SHARING_AT_MOST))
    )
    rows = await session.execute(select(column, worker).where(column.in_(shared)).distinct().order_by(worker))
    found: dict[str, list[str]] = defaultdict(list)
    for value, worker_id in rows.all():
        found[value].append(worker_id)
    return [members for _, members in sorted(found.items())]


async def _pools(session: AsyncSession, environment: str, task_types: Iterable[str]) -> Mapping[str, Pool]:
    rows = await session.scalars(
        select(AnomalyMemory).where(
            AnomalyMemory.environment == environment,
            AnomalyMemory.task_type.in_(list(task_types)),
            AnomalyMemory.owner.like("pool:%"),
        )
    )
    shards: dict[str, dict[str, Pool]] = defaultdict(dict)
    for row in rows:
        shards[row.task_type][row.owner] = msgspec.json.decode(row.memory, type=Pool)
    return defaultdict(Pool, {task_type: merged(found) for task_type, found in shards.items()})


async def _records(session: AsyncSession, keys: list[tuple[str, str]]) -> dict[tuple[str, str], WorkerRecord]:
    found: dict[tuple[str, str], WorkerRecord] = {}
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        columns = tuple_(WorkerRecord.worker_id, WorkerRecord.task_type)
        for row in await session.scalars(select(WorkerRecord).where(columns.in_(some))):
            found[row.worker_id, row.task_type] = row
    return found


async def _forget(tx: Transaction) -> None:
    old = await tx.now_ms() - FORGOTTEN_MS
    sql = "DELETE FROM worker_pairs WHERE updated_at < $1::bigint AND common < $2::int"
    await tx.execute(for_dialect(sql, tx.dialect), (old, LEAST_COMMON))
