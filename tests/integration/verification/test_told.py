"""What the asker is told after an answer was given out, on both databases: every payment of several people, and what a spot
check found wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, update

from core.db.unit_of_work import UnitOfWork
from core.outbox import rows
from core.outbox.rows import Lease
from core.outbox.tables import OutboxRow
from core.payouts.case import load
from core.payouts.record import reverse
from core.payouts.tables import Payout
from core.tasks.tables import Task, TaskEvent
from core.tasks.view import encode, view
from core.workers.tables import Worker
from tests.integration.verification.test_reviews import GOOD, SPOT, Stage
from tests.integration.verification.test_several_answers import YES, seeded, three
from tests.payout_lab import Lab


async def shown(work: UnitOfWork, task_id: str) -> dict[str, Any]:
    """As the API shows the task."""
    async with work.read() as session:
        return msgspec.json.decode(encode(view(await session.get_one(Task, task_id))))


async def test_every_payment_of_several_people_is_shown(work: UnitOfWork, tmp_path: Path) -> None:
    hub, _, task_id, people = await seeded(work, three(most=2), workers=2, most=2)
    async with work.begin("test.addresses") as tx:
        for number, worker in enumerate(people):
            address = f"w{number}@sandbox.test"
            await tx.session.execute(update(Worker).where(Worker.id == worker).values(payout_address=address))
    for turn in await hub.assignments(task_id):
        await hub.accept(turn)
        await hub.submit(turn, YES)
    await hub.drain()
    assert "payoutResult" not in await shown(work, task_id)
    lab = Lab(work, tmp_path)
    leases: list[Lease] = []
    async with work.begin("outbox.lease") as tx:
        jobs = await tx.session.scalars(select(OutboxRow.id).where(OutboxRow.topic == "payout.reserved"))
        for job in list(jobs):
            lease = await rows.lease(tx, job)
            assert lease is not None
            leases.append(lease)
    await asyncio.gather(*(lab.run_pay(lease) for lease in leases))
    found = await shown(work, task_id)
    async with work.read() as session:
        payouts = {one.id: one for one in await session.scalars(select(Payout))}
    assert {one["id"] for one in found["payoutResults"]} == set(payouts)
    assert len(payouts) == 2
    assert found["payoutResult"] == found["payoutResults"][0]
    first = found["payoutResult"]["id"]
    assert payouts[first].settled_at == min(one.settled_at for one in payouts.values() if one.settled_at)
    async with work.begin("payouts.reverse") as tx:  # a bank takes the first one back
        await reverse(tx, await load(tx.session, first, lock=True), "returned")
    after = await shown(work, task_id)
    assert [one["id"] for one in after["payoutResults"]] == sorted(set(payouts) - {first})
    assert after["payoutResult"] == after["payoutResults"][0]


async def test_an_error_that_a_spot_check_finds_is_told(work: UnitOfWork) -> None:
    stage = await Stage(work, SPOT).open()
    task_id = await stage.answered(GOOD)
    async with work.begin("test.callback") as tx:
        url = "https://asker.example/hook"
        await tx.session.execute(update(Task).where(Task.id == task_id).values(callback_url=url))
    await stage.rule(await stage.only_review(), stage.otto, output={"answer": "no"}, note="It says no")
    found = await shown(work, task_id)
    assert (found["status"], found["output"]) == ("verified", GOOD)  # what was given out stays visible
    assert found["correction"].pop("at").endswith("Z")
    assert found["correction"] == {"reason": "It says no", "output": {"answer": "no"}}
    async with work.read() as session:
        events = list(await session.scalars(select(TaskEvent).order_by(TaskEvent.version)))
    assert [one.type for one in events][-2:] == ["task.verified", "task.corrected"]
    assert msgspec.json.decode(events[-1].snapshot)["correction"]["reason"] == "It says no"
    assert "task.event" in await stage.hub.drain()


async def test_a_spot_check_that_agrees_says_nothing(work: UnitOfWork) -> None:
    stage = await Stage(work, SPOT).open()
    task_id = await stage.answered(GOOD)
    await stage.rule(await stage.only_review(), stage.otto, right=[await stage.submission(task_id)])
    assert "correction" not in await shown(work, task_id)
