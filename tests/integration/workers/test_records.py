"""Evidence in, reliability and tier out, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.errors import Invalid
from core.outbox.tables import OutboxRow
from core.workers import records, standing
from core.workers.records import add_evidence, take_back_evidence
from core.workers.reliability import Counts, added, shrunk
from core.workers.tables import TierChange, Worker, WorkerRecordMonth
from core.workers.tiers import Tier, Trust
from tests.factories_routing import a_worker

TRUST = Trust()


async def reconsidered(work: UnitOfWork, worker_id: str, trust: Trust = TRUST) -> TierChange | None:
    async with work.begin("workers.reconsider") as tx:
        return await standing.reconsider(tx, worker_id, trust)


async def seen(work: UnitOfWork, worker_id: str, right: float, times: int, kind: str = "gold") -> None:
    async with work.begin("test.evidence") as tx:
        for _ in range(times):
            await add_evidence(tx, worker_id, "triage", records.Kind(kind), right)


async def test_evidence_is_counted_by_kind_and_forgets(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    async with work.begin("test.evidence") as tx:
        await add_evidence(tx, worker_id, "triage", "gold", 1.0)
        await add_evidence(tx, worker_id, "triage", "consensus", 0.8, 0.5)
        row = await add_evidence(tx, worker_id, "triage", "qa", 0.0)
        await add_evidence(tx, worker_id, "refund", "gold", 1.0)
        assert [job.topic for job in tx.jobs] == ["worker.evidence"] * 4
    expected = added(added(added(Counts(), 1.0, 1.0), 0.8, 0.5), 0.0, 1.0)
    assert (row.good, row.bad) == (pytest.approx(expected.good), pytest.approx(expected.bad))
    assert (row.seen, row.seen_right, row.answers) == (2.5, pytest.approx(1.4), 3)
    assert (row.gold_seen, row.gold_right, row.qa_seen, row.qa_agreed) == (1, 1, 1, 0)
    async with work.read() as session:
        assert [one.task_type for one in await records.of_worker(session, worker_id)] == ["refund", "triage"]
        months = (
            await session.scalars(select(WorkerRecordMonth).order_by(WorkerRecordMonth.task_type))
        ).all()
    assert [(one.task_type, one.weight) for one in months] == [("refund", 1.0), ("triage", 2.5)]


async def test_a_better_judge_takes_evidence_back(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    async with work.begin("test.evidence") as tx:
        await add_evidence(tx, worker_id, "triage", "consensus", 0.9, 0.6)
        await take_back_evidence(tx, worker_id, "triage", 0.9, 0.6)
    async with work.read() as session:
        [row] = await records.of_worker(session, worker_id)
    assert (row.good, row.bad, row.seen, row.answers) == (pytest.approx(0), pytest.approx(0), 0, 0)


@pytest.mark.parametrize(("right", "weight"), [(1.1, 1), (-0.1, 1), (1, 1.1), (1, -1)])
async def test_evidence_is_between_nothing_and_all(work: UnitOfWork, right: float, weight: float) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    with pytest.raises(Invalid):
        async with work.begin("test.evidence") as tx:
            await add_evidence(tx, worker_id, "triage", "gold", right, weight)


async def test_two_answers_judged_at_the_same_time_both_count(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    await asyncio.gather(*(seen(work, worker_id, 1.0, 1) for _ in range(4)))
    async with work.read() as session:
        [row] = await records.of_worker(session, worker_id)
    assert (row.answers, row.seen) == (4, 4.0)


async def test_reliability_is_the_mean_shrunk_to_the_tier(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx, tier=1)
    await seen(work, worker_id, 1.0, 2)
    assert await reconsidered(work, worker_id) is None
    expected = shrunk(added(Counts(good=1), 1.0, 1.0), 0.75)
    async with work.read() as session:
        assert (await session.get_one(Worker, worker_id)).reliability == pytest.approx(expected)
        [row] = await records.of_worker(session, worker_id)
    assert standing.at_type(row, 0.9) == pytest.approx(shrunk(standing.counts(row), 0.9))
    assert standing.at_type(None, 0.9) == 0.9


async def test_a_worker_rises_once_a_day_and_falls_at_once(work: UnitOfWork) -> None:
    trust = Trust(tiers=[*TRUST.tiers[:2], Tier(name="two", may="", usual=0.8), *TRUST.tiers[3:]])
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    await seen(work, worker_id, 1.0, 9)
    assert await reconsidered(work, worker_id, trust) is None
    await seen(work, worker_id, 1.0, 3)
    up = await reconsidered(work, worker_id, trust)
    assert up is not None
    assert (up.from_tier, up.to_tier, up.rule, up.actor, up.evidence["gold"]) == (
        0,
        1,
        "promotion",
        "hub",
        12,
    )
    assert (
        await reconsidered(work, worker_id, trust) is None
    )  # tier 2 asks for nothing, but it is the same day
    await seen(work, worker_id, 0.0, 8)
    down = await reconsidered(work, worker_id, trust)
    assert down is not None
    assert (down.from_tier, down.to_tier, down.rule) == (1, 0, "alarm")
    assert down.evidence["alarmed_at_ms"] is not None
    async with work.read() as session:
        assert (await session.get_one(Worker, worker_id)).tier == 0
        kept = await standing.tier_changes(session, worker_id)
        jobs = await session.scalars(select(OutboxRow.topic).where(OutboxRow.topic == "worker.evidence"))
        assert [(one.from_tier, one.to_tier) for one in kept] == [(1, 0), (0, 1)]
        assert len(jobs.all()) == 20


async def test_an_operator_sets_any_tier_with_a_reason(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx, tier=3)
    with pytest.raises(Invalid) as refused:
        async with work.begin("workers.tier") as tx:
            await standing.set_tier(tx, worker_id, 0, "  ", actor="person:o")
    assert refused.value.field_errors == {"reason": "The worker reads it"}
    async with work.begin("workers.tier") as tx:
        change = await standing.set_tier(tx, worker_id, 0, "Two accounts of one person", actor="person:o")
    assert (change.from_tier, change.to_tier, change.actor) == (3, 0, "person:o")
    assert change.evidence == {"reason": "Two accounts of one person"}
    async with work.read() as session:
        worker = await session.get_one(Worker, worker_id)
        stands = await standing.standing_of(session, worker, [], clock.now_ms())
        topics = list(await session.scalars(select(OutboxRow.topic).where(OutboxRow.subject == worker_id)))
    assert stands.lowered_at_ms == clock.to_ms(change.at)
    assert topics == ["worker.evidence"]
    assert await reconsidered(work, worker_id, TRUST) is None
    async with work.read() as session:
        assert (await session.get_one(Worker, worker_id)).reliability == pytest.approx(TRUST.usual(0))
