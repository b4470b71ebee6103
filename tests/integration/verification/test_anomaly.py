"""The anomaly stage on both databases: it remembers in the transaction of the judgement, what is odd beyond doubt goes to a
reviewer and is never refused, the review finds pairs and marks them once, and routing learns who belongs together."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.billing import actions as billing
from core.db.unit_of_work import Transaction, UnitOfWork
from core.errors import Conflict, Invalid
from core.routing.tables import Assignment, Submission
from core.tasks.model import Environment
from core.verification import marked
from core.verification.anomaly import book, marks, reversal, review
from core.verification.anomaly.model import Device, Memory, Pool, Signal
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.anomaly.tables import AnomalyMemory, AnswerSignal, WorkerMark, WorkerPair
from core.verification.tables import Review, VerdictRow
from core.workers.records import add_evidence
from core.workers.tables import Worker
from tests.factories_routing import PAYOUT_MSAT, Hub, a_task, a_type, a_worker, an_organisation

STAGES = ["schema", "rules", "anomaly"]
QUESTION = (
    "Is the parcel that the customer complains of in her message of Monday covered by the shop's insurance, "
    "and which of the three reasons on the list applies to it?"
)


async def doubtful(session: AsyncSession, worker_id: str) -> list[str]:
    """The kinds of the worker's open marks for which answers are doubted."""
    open_ = {row.kind for row in await marks.of_worker(session, worker_id) if row.closed_at is None}
    return sorted(open_ - marks.MILD)


async def asked(work: UnitOfWork) -> tuple[Hub, str, str]:
    """A live task in one worker's hands: (hub, task, worker)."""
    hub = Hub(work, a_type(stages=STAGES))
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        await billing.credit(tx, owner, "live", 10 * PAYOUT_MSAT, "first", "test")
        worker = await a_worker(tx, environment=Environment.LIVE)
        task = await a_task(tx, owner, environment="live", payload={"question": QUESTION})
    await hub.drain()
    return hub, task, worker


async def memory_of(work: UnitOfWork, owner: str, kind: type[Any] = Memory) -> Any:
    async with work.read() as session:
        rows = await session.scalars(select(AnomalyMemory).where(AnomalyMemory.owner.like(owner)))
        return msgspec.json.decode(rows.one().memory, type=kind)


async def verdict(work: UnitOfWork) -> VerdictRow:
    async with work.read() as session:
        return (await session.scalars(select(VerdictRow).where(VerdictRow.stage == "anomaly"))).one()


async def test_an_ordinary_answer_passes_and_is_remembered(work: UnitOfWork) -> None:
    hub, task, worker = await asked(work)
    await hub.answer(task, {"answer": "yes"})
    await hub.drain()
    assert (await hub.task(task)).status == "verified"
    said = await verdict(work)
    assert (said.outcome, said.score, said.reasons) == ("pass", 1.0, [])
    memory = await memory_of(work, worker)
    assert (memory.answers, len(memory.log_seconds), len(memory.choices), memory.odd) == (1, 1, 1, [[]])
    pool = await memory_of(work, "pool:%", Pool)
    assert (len(pool.log_seconds), sum(pool.choices.values())) == (1, 1.0)


async def test_what_is_odd_beyond_doubt_waits_for_a_reviewer(work: UnitOfWork) -> None:
    hub, task, worker = await asked(work)
    await hub.answer(task, {"answer": QUESTION})
    await hub.drain()
    said = await verdict(work)
    assert said.outcome == "unsure"
    assert [reason["code"] for reason in said.reasons] == ["anomaly_prompt"]
    [held] = await hub.assignments(task)
    assert (held.state, held.reason) == ("submitted", None)  # neither refused nor paid
    async with work.read() as session:
        assert [row.kind for row in await session.scalars(select(Review))] == ["qa"]
    assert (await memory_of(work, worker)).odd == [[Signal.PROMPT]]


async def test_a_job_that_runs_again_remembers_nothing_twice(work: UnitOfWork) -> None:
    hub, task, worker = await asked(work)
    await hub.answer(task, {"answer": "yes"})
    async with work.read() as session:
        submission = (await session.scalars(select(Submission.id))).one()
    for _ in range(2):
        async with work.begin("test.emit") as tx:
            tx.emit("submission.received", submission)
        await hub.drain()
    assert (await memory_of(work, worker)).answers == 1


async def test_what_the_form_noticed_is_kept_once(work: UnitOfWork) -> None:
    hub, task, worker = await asked(work)
    [turn] = await hub.assignments(task)
    for pasted in (40, 0):
        async with work.begin("routing.submit") as tx:
            await book.notice(tx, turn.id, turn.worker_id, Device(pastes=1, pasted=pasted, id="d" * 32))
    async with work.read() as session:
        assert await book.device_of(session, turn.id) == Device(pastes=1, pasted=40, id="d" * 32)
        assert (await session.get_one(AnswerSignal, turn.id)).worker_id == worker


async def a_crowd(tx: Transaction, tasks: int) -> list[str]:
    """Workers c0 and c1 give one random answer to everything, h0 to h4 are right in nine of ten; all seven answer tasks
    that ended two minutes ago."""
    dice, owner = random.Random(5), await an_organisation(tx)
    people = [await a_worker(tx) for _ in range(7)]
    then = clock.now() - timedelta(seconds=120)
    for number in range(tasks):
        shared = dice.choice(["a", "b", "c"])
        task = await a_task(
            tx, owner, funded=False, status="verified", ended_at=then + timedelta(milliseconds=number // 2)
        )
        for place, worker in enumerate(people):
            right = "a" if dice.random() < 0.9 else "b"
            turn = Assignment(
                id=ids.new("asg"),
                task_id=task,
                worker_id=worker,
                slot=place,
                kind="redundant",
                state="counted",
                score=1.0,
                offered_at=then,
                expires_at=then,
                due_at=then,
            )
            tx.session.add(turn)
            await tx.session.flush()
            tx.session.add(
                Submission(
                    id=ids.new("sub"),
                    assignment_id=turn.id,
                    task_id=task,
                    worker_id=worker,
                    output={"answer": shared if place < 2 else right},
                    created_at=then,
                )
            )
    return people


async def reviewed(work: UnitOfWork) -> None:
    async with work.begin("anomaly.pairs") as tx:
        await review.read_tasks(tx)
    async with work.begin("anomaly.workers") as tx:
        await review.look_at_workers(tx, "test")
    async with work.begin("anomaly.clusters") as tx:
        await review.name_clusters(tx)


async def test_a_colluding_pair_is_found_marked_and_kept_apart(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        people = await a_crowd(tx, 24)
        await tx.execute("DELETE FROM outbox")
    for _ in range(2):
        await reviewed(work)
    async with work.read() as session:
        sums = {(row.first, row.second): row for row in await session.scalars(select(WorkerPair))}
        found = list(await session.scalars(select(WorkerMark).order_by(WorkerMark.worker_id)))
        clusters = dict((await session.execute(select(Worker.id, Worker.cluster_id))).all())
    assert len(sums) == 21
    assert {row.common for row in sums.values()} == {24}  # the second review added nothing
    pair = (min(people[:2]), max(people[:2]))
    assert (sums[pair].agreed, sums[pair].common) == (24, 24)
    assert [(mark.worker_id, mark.kind, mark.times) for mark in found] == [(one, "pair", 1) for one in pair]
    assert found[0].words.startswith(f"the same answer as {pair[1]} in 24 of 24 questions; ")
    assert {one: cluster for one, cluster in clusters.items() if cluster} == dict.fromkeys(pair, pair[0])


async def test_a_shared_address_or_device_is_a_cluster_and_no_doubt(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        a, b, c, d = [await a_worker(tx, payout_address=f"{name}@sandbox.test") for name in "xxyz"]
        task = await a_task(tx, owner)
        for place, worker in enumerate((c, d)):
            now = clock.now()
            turn = Assignment(
                id=ids.new("asg"), task_id=task, worker_id=worker, slot=place, kind="primary",
                state="offered", score=1.0, offered_at=now, expires_at=now, due_at=now,
            )  # fmt: skip
            tx.session.add(turn)
            await tx.session.flush()
            await book.notice(tx, turn.id, turn.worker_id, Device(id="one browser"))
    await reviewed(work)
    async with work.read() as session:
        clusters = dict((await session.execute(select(Worker.id, Worker.cluster_id))).all())
        assert clusters == {a: a, b: a, c: c, d: c}
        assert [row.kind for row in await marks.of_worker(session, a)] == ["shared"]
        assert await doubtful(session, a) == []


async def test_evidence_that_a_worker_turned_bad_is_a_mark_and_ends_with_an_operators_word(
    work: UnitOfWork,
) -> None:
    async with work.begin("test.seed") as tx:
        worker = await a_worker(tx)
        for right in [1.0] * 30 + [0.0] * 12:
            await add_evidence(tx, worker, "triage", "gold", right)
        now = await tx.now_ms()
        tx.session.add(
            AnomalyMemory(task_type="triage", environment="test", owner=worker, memory="{}", updated_at=now)
        )
    await reviewed(work)
    async with work.read() as session:
        [mark] = await marks.of_worker(session, worker)
        assert (mark.kind, mark.task_type) == ("turned", "triage")
        assert await doubtful(session, worker) == ["turned"]
    with pytest.raises(Invalid):
        async with work.begin("marks.close") as tx:
            await marks.close(tx, mark.id, actor="person:op", note=" ")
    async with work.begin("marks.close") as tx:
        await marks.close(tx, mark.id, actor="person:op", note="The gold was wrong")
    with pytest.raises(Conflict):
        async with work.begin("marks.close") as tx:
            await marks.close(tx, mark.id, actor="person:op", note="Again")
    await reviewed(work)
    async with work.read() as session:
        assert [row.id for row in await marks.of_worker(session, worker)] == [mark.id]
        assert await doubtful(session, worker) == []


async def test_a_mark_that_is_not_borne_out_any_more_is_dropped_and_may_come_again(work: UnitOfWork) -> None:
    async def answered(*right: float) -> None:
        async with work.begin("test.evidence") as tx:
            for one in right:
                await add_evidence(tx, worker, "triage", "gold", one)

    async def dropped(tx: Transaction, mark_id: str, why: str) -> None:
        await marked.clear(tx, mark_id, actor="hub", note=why)

    async def marks_now() -> list[tuple[str, str | None]]:
        async with work.begin("anomaly.workers") as tx:
            await review.look_at_workers(tx, "test", None, dropped)
        async with work.read() as session:
            return [(row.kind, row.closed_by) for row in await marks.of_worker(session, worker)]

    async with work.begin("test.seed") as tx:
        worker = await a_worker(tx)
        now = await tx.now_ms()
        tx.session.add(
            AnomalyMemory(task_type="triage", environment="test", owner=worker, memory="{}", updated_at=now)
        )
    await answered(*[1.0] * 30, *[0.0] * 8)
    assert await marks_now() == [("turned", None)]
    await answered(*[1.0] * 10)
    assert await marks_now() == [("turned", None)]  # too few to say that it is over
    await answered(*[1.0] * 12)
    assert await marks_now() == [("turned", "hub")]
    await answered(*[0.0] * 12)
    assert await marks_now() == [("turned", None), ("turned", "hub")]


async def test_what_an_operator_confirmed_is_not_dropped(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker = await a_worker(tx)
        why = Suspicion(kind=MarkKind.CONSTANT, p=1e-9, words="40 times", evidence={"times": 40})
        mark = await marks.opened(tx, worker, "triage", why)
        assert mark is not None
    async with work.begin("test.gone") as tx:
        found = await reversal.borne_out_no_more(tx, {(worker, "triage"): []})
        assert [row.id for row in found] == [mark.id]
        assert await reversal.borne_out_no_more(tx, {(worker, "triage"): [why]}) == []
        await marks.confirmed(tx, mark.id, actor="person:op", note="Always yes")
        assert await reversal.borne_out_no_more(tx, {(worker, "triage"): []}) == []


async def test_one_mark_of_a_kind_with_the_newest_numbers(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker = await a_worker(tx)
    for times in (20, 20, 25):
        why = Suspicion(kind=MarkKind.CONSTANT, p=1e-9, words=f"{times} times", evidence={"times": times})
        async with work.begin("anomaly.workers") as tx:
            await marks.opened(tx, worker, "triage", why)
    async with work.read() as session:
        [mark] = await marks.still_open(session)
    assert (mark.words, mark.times) == ("25 times", 2)
