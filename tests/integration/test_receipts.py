"""Receipts on both databases: issued once, in a chain that two issuers cannot fork, after the payment is proven; never
changed; given out by the API and the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from core import clock
from core.access.sealing import Sealer, new_key
from core.db.unit_of_work import UnitOfWork
from core.errors import LeaseLost, Misconfigured, Unavailable
from core.payouts.case import load
from core.receipts import actions, keys, queries
from core.receipts.canonical import digest
from core.receipts.model import GENESIS, KeySet, Kind, Receipt, Said, Signed
from core.receipts.tables import ReceiptKey, ReceiptRow
from core.receipts.verify import answers_differ, judge
from core.tasks.tables import Task
from core.tasks.view import encode, view
from tests.factories import DOLLAR, organisation, task
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation
from tests.payout_lab import Killed, Lab

ISSUER = actions.Issuer(hub="https://hub.test", sealer=Sealer([new_key()]))


async def everything(work: UnitOfWork) -> tuple[list[Signed], KeySet]:
    async with work.read() as session:
        return [one async for one in queries.chain(session)], await keys.public_keys(session)


async def issue(work: UnitOfWork, task_id: str) -> None:
    """As the job's runner does: what waited too long for the lock of the chain is tried again."""
    for last in (False, False, True):
        try:
            async with work.begin("receipts.issue") as tx:
                await actions.of_verified(tx, task_id, ISSUER)
        except Unavailable:
            if last:
                raise
        else:
            return


async def verified_tasks(work: UnitOfWork, count: int) -> list[str]:
    async with work.begin("test.seed") as tx:
        owner = await organisation(tx, balance_msat=100 * DOLLAR)
        made = [
            await task(tx, owner, status="verified", output={"n": n}, ended_at=clock.now())
            for n in range(count)
        ]
        return [one.id for one in made]


async def test_a_verified_answer_has_a_receipt(work: UnitOfWork) -> None:
    hub = Hub(work, a_type(answers_limit=3))
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        for reliability in (0.9, 0.8):
            await a_worker(tx, reliability=reliability)
        task_id = await a_task(tx, owner)
    await hub.drain()
    await hub.answer(task_id, {"answer": 7})
    await hub.drain("submission.received", "task.posted", "worker.free")
    await hub.answer(task_id, {"answer": "yes"})
    await hub.drain("submission.received")
    async with work.begin("outbox.lease") as tx:
        found = await tx.execute("SELECT subject FROM outbox WHERE topic = 'receipt.verified'")
        assert [row[0] for row in found] == [task_id]
    await issue(work, task_id)
    [signed], public = await everything(work)
    assert judge([signed], public, whole=True) == []
    assert answers_differ([signed], {"answer": "yes"}) == []
    assert answers_differ([signed], {"answer": "no"}) != []
    receipt = msgspec.convert(signed.receipt, Receipt)
    assert (receipt.number, receipt.previous, receipt.hub) == (1, GENESIS, "https://hub.test")
    assert (receipt.task.id, receipt.task.organisation, receipt.task.type) == (task_id, owner, "triage")
    said = receipt.verification
    assert said is not None
    assert (said.workers, said.agreed) == (2, 1)
    assert said.verdicts[0] == Said(answer=1, stage="schema", outcome="fail")
    assert {(one.stage, one.outcome) for one in said.verdicts if one.answer == 2} >= {
        ("schema", "pass"),
        ("rules", "pass"),
    }
    async with work.read() as session:
        row = await session.get_one(Task, task_id)
    assert msgspec.json.decode(encode(view(row)))["receipt"] == {
        "id": receipt.id,
        "path": f"/v1/tasks/{task_id}/receipt",
    }


async def test_a_payment_is_proven_by_a_second_one(work: UnitOfWork, tmp_path: Path) -> None:
    lab = Lab(work, tmp_path)
    payout = await lab.earned()
    await lab.pay()
    lease = await lab.take("receipt.settled")
    assert lease is not None
    assert lease.subject == payout.id
    async with work.finishing(lease, "receipts.issue") as tx:
        await actions.of_payout(tx, lease.subject, Kind.SETTLED, ISSUER)
    [first, second], public = await everything(work)  # the job of `verified` has not run yet
    assert judge([first, second], public, whole=True) == judge([first, second], public) == []
    paid = msgspec.convert(second.receipt, Receipt).payment
    assert paid is not None
    async with work.read() as session:
        case = await load(session, payout.id)
    assert (paid.id, paid.state, paid.amount, paid.currency, paid.amount_msat) == (
        payout.id,
        "settled",
        "0.50",
        "USD",
        "500000",
    )
    assert (paid.payment_hash, paid.preimage) == (case.sent.payment_hash, case.sent.preimage)
    assert paid.verified == digest(first.receipt)
    assert paid.transfers == sorted(paid.transfers)
    assert any(payout.id in transfer for transfer in paid.transfers)
    await issue(work, payout.task_id)
    assert len((await everything(work))[0]) == 2


async def test_again_is_nothing(work: UnitOfWork) -> None:
    [task_id] = await verified_tasks(work, 1)
    for _ in range(3):
        await issue(work, task_id)
    assert len((await everything(work))[0]) == 1


async def test_two_at_once_make_one_chain(work: UnitOfWork) -> None:
    task_ids = await verified_tasks(work, 12)
    await asyncio.gather(*(issue(work, task_id) for task_id in task_ids * 2))
    found, public = await everything(work)
    assert [one.receipt["number"] for one in found] == list(range(1, 13))
    assert sorted(one.receipt["task"]["id"] for one in found) == sorted(task_ids)
    assert judge(found, public, whole=True) == []
    assert len(public.keys) == 1


async def test_a_process_that_dies_leaves_nothing_and_the_next_issues_it(work: UnitOfWork) -> None:
    [task_id] = await verified_tasks(work, 1)

    async def dies() -> None:
        async with work.begin("receipts.issue") as tx:
            await actions.of_verified(tx, task_id, ISSUER)
            raise Killed

    with pytest.raises(Killed):
        await dies()
    assert await everything(work) == ([], KeySet(keys=[]))
    await issue(work, task_id)
    assert len((await everything(work))[0]) == 1


async def test_a_job_that_lost_its_lease_issues_nothing(work: UnitOfWork, tmp_path: Path) -> None:
    lab = Lab(work, tmp_path)
    await lab.earned()
    await lab.pay()
    late = await lab.take("receipt.settled")
    assert late is not None
    assert await lab.take("receipt.settled") is not None  # somebody else has it now
    with pytest.raises(LeaseLost):
        async with work.finishing(late, "receipts.issue") as tx:
            await actions.of_payout(tx, late.subject, Kind.SETTLED, ISSUER)
    assert (await everything(work))[0] == []


@pytest.mark.parametrize("sql", ["UPDATE receipts SET text = '{}'", "DELETE FROM receipts"])
async def test_the_database_refuses_a_change(work: UnitOfWork, sql: str) -> None:
    await issue(work, (await verified_tasks(work, 1))[0])
    with pytest.raises(DBAPIError, match="append only"):
        async with work.begin("test.change") as tx:
            await tx.execute(sql)


async def test_what_got_past_the_triggers_is_seen(work: UnitOfWork) -> None:
    for task_id in await verified_tasks(work, 4):
        await issue(work, task_id)
    found, public = await everything(work)
    assert judge(found, public, whole=True) == []
    assert [fault.receipt for fault in judge([found[0], *found[2:]], public, whole=True)] == [
        found[2].receipt["id"]
    ]
    swapped = [found[1], found[0], *found[2:]]
    assert judge(swapped, public, whole=True) != []
    assert judge(found[1:], public, whole=True) != []


async def test_a_new_key_signs_on_and_the_old_one_is_forgotten(work: UnitOfWork) -> None:
    task_ids = await verified_tasks(work, 2)
    await issue(work, task_ids[0])
    async with work.begin("receipts.rotate") as tx:
        new = await keys.rotate(tx, ISSUER.sealer, actor="hub")
    await issue(work, task_ids[1])
    found, public = await everything(work)
    assert judge(found, public, whole=True) == []
    assert [one.receipt["key"] for one in found] == [public.keys[1].kid, new]
    assert [key.retired_at is None for key in public.keys] == [True, False]
    async with work.read() as session:
        rows = {row.id: row.sealed for row in await session.scalars(select(ReceiptKey))}
    assert rows[public.keys[1].kid] is None
    assert rows[new] is not None
    assert ISSUER.sealer.unseal(rows[new]) not in rows[new]


async def test_another_sealing_key_signs_nothing(work: UnitOfWork) -> None:
    [first, second] = await verified_tasks(work, 2)
    await issue(work, first)
    other = actions.Issuer(hub="https://hub.test", sealer=Sealer([new_key()]))
    with pytest.raises(Misconfigured, match="sealed value"):
        async with work.begin("receipts.issue") as tx:
            await actions.of_verified(tx, second, other)
    async with work.read() as session:
        assert len(list(await session.scalars(select(ReceiptRow.number)))) == 1
