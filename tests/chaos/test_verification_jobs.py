"""kill -9 just before and just after the commit of the jobs of verification (topics `submission.received`, `task.more`,
`task.decide`, `gold.offer`), on both databases: before it nothing has happened, after it all of it, and whoever comes next ends it once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.ledger.check import check
from core.outbox.tables import OutboxRow
from core.payouts.tables import Payout
from core.routing.tables import Assignment
from core.tasks.tables import Task
from core.verification.tables import DecisionRow, GoldExposure, GoldItem, VerdictRow, VerificationRun
from tests.factories_routing import Hub, a_worker
from tests.integration.verification import test_gold, test_several_answers
from tests.integration.verification.test_several_answers import YES, give, seeded, three

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
SIDES = pytest.mark.parametrize("side", ["before", "after"])
ROOT = Path(__file__).parents[2]


async def _job(work: UnitOfWork, topic: str) -> str:
    """The one that waits, due now."""
    async with work.begin("test.now") as tx:
        await tx.execute(
            f"UPDATE outbox SET due_at = created_at WHERE topic = '{topic}' AND state = 'pending'"
        )
        found = await tx.session.scalars(
            select(OutboxRow.id).where(OutboxRow.topic == topic, OutboxRow.state == "pending")
        )
        return found.all()[0]


async def _killed(work: UnitOfWork, job_id: str, case: str, point: str) -> None:
    """The job in a process that dies at the point."""
    url = work.database.engine.url.set(drivername=work.database.dialect)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.chaos.job_process",
            url.render_as_string(hide_password=False),
            job_id,
            case,
        ],
        env={**os.environ, "HUB_CRASH_AT": point},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


async def _counts(work: UnitOfWork) -> dict[str, int]:
    """How many rows there are of what these jobs write."""
    kinds = (Assignment, Task, Payout, DecisionRow, GoldExposure, VerificationRun, VerdictRow)
    async with work.read() as session:
        return {one.__tablename__: len((await session.scalars(select(one))).all()) for one in kinds}


async def _state(work: UnitOfWork, job_id: str) -> str:
    async with work.read() as session:
        return (await session.get_one(OutboxRow, job_id)).state


async def _somebody_else(hub: Hub) -> None:
    """The lease of the dead runs out; what is due is run."""
    async with hub.work.begin("test.lapsed") as tx:
        await tx.execute("UPDATE outbox SET lease_until = created_at WHERE state = 'leased'")
    await hub.drain()


async def _struck(hub: Hub, topic: str, case: str, transaction: str, side: str) -> None:
    """Strike the waiting job there; what its commit was worth is there or not, as the side says; then somebody ends it."""
    work = hub.work
    job_id, before = await _job(work, topic), await _counts(work)
    await _killed(work, job_id, case, f"{transaction}:{side}")
    happened = await _counts(work) != before
    assert (happened, await _state(work, job_id)) == (
        (True, "done") if side == "after" else (False, "leased")
    )
    await _somebody_else(hub)
    assert await _state(work, job_id) == "done"
    async with work.read() as session:
        assert not await check(session)


@SIDES
async def test_an_answer_is_judged_and_paid_once(work: UnitOfWork, side: str) -> None:
    hub, _, task_id, [only] = await seeded(work, three(least=1, most=1), workers=1, most=1)
    await give(hub, task_id, only, YES)
    await _struck(hub, "submission.received", "one", "tasks.verify", side)
    assert (await hub.task(task_id)).status == "verified"
    assert list(await test_several_answers.paid(work, task_id)) == [only]
    assert await test_several_answers.steps(work, task_id) == ["verified"]
    async with work.read() as session:
        [run] = (await session.scalars(select(VerificationRun))).all()
        stages = (await session.scalars(select(VerdictRow.stage).order_by(VerdictRow.id))).all()
    assert (run.state, stages) == ("passed", run.stages)


@SIDES
async def test_further_people_are_asked_once(work: UnitOfWork, side: str) -> None:
    hub, _, task_id, _ = await seeded(work, three(least=3), workers=2, most=3)
    async with work.begin("test.more") as tx:
        await a_worker(tx)
        tx.emit("task.more", task_id)
    await _struck(hub, "task.more", "more", "routing.more", side)
    turns = await hub.assignments(task_id)
    assert len({turn.worker_id for turn in turns}) == 3
    assert sorted(turn.slot for turn in turns) == [0, 1, 2]


@SIDES
async def test_the_end_is_decided_and_paid_once(work: UnitOfWork, side: str) -> None:
    hub, _, task_id, [only] = await seeded(work, three(), workers=1, most=3)
    await give(hub, task_id, only, YES)
    await hub.drain()
    await hub.pass_time(1300)
    await hub.drain("task.hard_stop")
    await _struck(hub, "task.decide", "decide", "tasks.decide", side)
    assert (await hub.task(task_id)).status == "verified"
    assert list(await test_several_answers.paid(work, task_id)) == [only]
    assert (await test_several_answers.steps(work, task_id)).count("verified") == 1


@SIDES
async def test_gold_is_asked_once(work: UnitOfWork, side: str) -> None:
    hub, organisation, [worker] = await test_gold.seeded(work)
    await test_gold.real(hub, organisation)
    await _struck(hub, "gold.offer", "gold", "gold.offer", side)
    async with work.read() as session:
        [exposure] = (await session.scalars(select(GoldExposure))).all()
        turns = await session.scalars(
            select(Assignment.worker_id).where(Assignment.task_id == exposure.task_id)
        )
        assert (exposure.worker_id, turns.all()) == (worker, [worker])
        assert (await session.scalars(select(GoldItem.exposures))).one() == 1
