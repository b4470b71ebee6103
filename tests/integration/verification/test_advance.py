"""From an answer to what follows, on both databases: verified and earned, or refused and asked of somebody else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, Retryable
from core.ledger import accounts
from core.ledger.tables import LedgerAccount
from core.outbox import rows
from core.outbox.tables import OutboxRow
from core.payouts.tables import Payout
from core.rates.model import Rate
from core.routing.actions import submission_of
from core.tasks.tables import Task, TaskEvent
from core.tasks.types import Rule
from core.verification import actions
from core.verification.states import RunState
from core.verification.tables import VerdictRow, VerificationRun
from tests.factories_routing import PAYOUT_MSAT, PLANS, Hub, a_task, a_type, a_worker, an_organisation

GOOD, BAD = {"answer": "yes"}, {"answer": 7}


async def seeded(work: UnitOfWork, *, workers: int = 1, kind: dict[str, Any] | None = None, **task: Any):
    hub = Hub(work, a_type(answers_limit=2, **(kind or {})))
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        people = [await a_worker(tx, reliability=0.9 - 0.1 * n) for n in range(workers)]
        task_id = await a_task(tx, organisation, **task)
    await hub.drain()
    return hub, people, task_id


async def states(hub: Hub, task_id: str) -> list[str]:
    return [one.state for one in await hub.assignments(task_id)]


async def events(hub: Hub, task_id: str) -> list[str]:
    async with hub.work.read() as session:
        found = await session.scalars(
            select(TaskEvent.type).where(TaskEvent.task_id == task_id).order_by(TaskEvent.version)
        )
        return list(found)


async def test_a_right_answer_is_the_output_and_is_earned(work: UnitOfWork) -> None:
    hub, [worker_id], task_id = await seeded(work)
    await hub.answer(task_id, GOOD)
    assert (await hub.task(task_id)).status == "submitted"
    assert (await hub.worker(worker_id)).load == 0
    await hub.drain()
    task = await hub.task(task_id)
    assert (task.status, task.output, task.reserved_msat) == ("verified", GOOD, 0)
    assert await states(hub, task_id) == ["counted"]
    assert (await events(hub, task_id))[-3:] == ["task.assigned", "task.submitted", "task.verified"]
    async with work.read() as session:
        [run] = await session.scalars(select(VerificationRun))
        assert (run.state, run.position, run.stages) == ("passed", 2, ["schema", "rules"])
        verdicts = (await session.scalars(select(VerdictRow).order_by(VerdictRow.id))).all()
        assert [(row.stage, row.outcome, row.reasons) for row in verdicts] == [
            ("schema", "pass", []),
            ("rules", "pass", []),
        ]
        [payout] = await session.scalars(select(Payout))
        assert (payout.worker_id, payout.amount_msat) == (worker_id, PAYOUT_MSAT)
        account = await session.get_one(LedgerAccount, accounts.payable(worker_id).id)
        assert account.credits_msat - account.debits_msat == PAYOUT_MSAT
        ended = await session.scalars(select(OutboxRow.subject).where(OutboxRow.topic == "task.ended"))
        assert list(ended) == [task_id]


async def test_a_refused_answer_goes_to_others_up_to_the_limit(work: UnitOfWork) -> None:
    hub, _, task_id = await seeded(work, workers=3)
    first = await hub.answer(task_id, BAD)
    await hub.drain()
    assert await states(hub, task_id) == ["refused", "offered"]
    assert (await hub.task(task_id)).status == "assigned"
    [refused, second] = await hub.assignments(task_id)
    assert refused.id == first.id
    assert second.worker_id != first.worker_id
    assert refused.reason is not None
    assert refused.reason.startswith("/answer: ")
    await hub.answer(task_id, {})
    await hub.drain()
    task = await hub.task(task_id)
    assert task.status == "failed"
    assert task.failure_reason == "No answer passed verification (2 answers). The last: /answer: Required"
    assert (task.output, task.reserved_msat) == (None, 0)
    assert await states(hub, task_id) == ["refused", "refused"]
    async with work.read() as session:
        assert (await session.scalars(select(Payout))).all() == []


async def test_a_rule_refuses_with_its_message(work: UnitOfWork) -> None:
    rule = Rule(name="option", expect="contains(payload.options, output.answer)", message="Choose an option")
    hub, _, task_id = await seeded(
        work, workers=2, kind={"rules": [rule]}, payload={"options": ["yes", "no"]}
    )
    await hub.answer(task_id, {"answer": "maybe"})
    await hub.drain()
    [refused, _] = await hub.assignments(task_id)
    assert (refused.state, refused.reason) == ("refused", "Choose an option")
    await hub.answer(task_id, {"answer": "no"})
    await hub.drain()
    assert (await hub.task(task_id)).output == {"answer": "no"}


async def two_answers(work: UnitOfWork, first: object, second: object) -> tuple[Hub, str]:
    """The first and their backup have both answered, in this order, and nothing is judged yet."""
    hub, _, task_id = await seeded(work, workers=3)
    [primary] = await hub.assignments(task_id)
    await hub.accept(primary)
    await hub.pass_time(500)
    await hub.drain()
    backup = (await hub.assignments(task_id))[1]
    await hub.accept(backup)
    await hub.submit(primary, first)
    await hub.submit(backup, second)
    return hub, task_id


async def test_the_first_answer_wins_and_the_second_lapses_unjudged(work: UnitOfWork) -> None:
    hub, task_id = await two_answers(work, GOOD, {"answer": "other"})
    await hub.drain()
    assert (await hub.task(task_id)).output == GOOD
    [_, second] = await hub.assignments(task_id)
    assert (second.state, second.reason) == ("lapsed", "answered_by_another")
    async with work.read() as session:
        assert len((await session.scalars(select(VerificationRun))).all()) == 1


async def test_the_second_answer_is_judged_when_the_first_is_refused(work: UnitOfWork) -> None:
    hub, task_id = await two_answers(work, BAD, GOOD)
    await hub.drain()
    assert (await hub.task(task_id)).output == GOOD
    assert await states(hub, task_id) == ["refused", "counted"]
    assert (await events(hub, task_id)).count("task.submitted") == 1


async def test_a_refused_answer_while_the_backup_works_leaves_it_to_the_backup(work: UnitOfWork) -> None:
    hub, _, task_id = await seeded(work, workers=2)
    [primary] = await hub.assignments(task_id)
    await hub.accept(primary)
    await hub.pass_time(500)
    await hub.drain()
    backup = (await hub.assignments(task_id))[1]
    await hub.accept(backup)
    await hub.submit(primary, BAD)
    await hub.drain()
    assert (await hub.task(task_id)).status == "assigned"
    await hub.submit(backup, GOOD)
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"


async def test_the_same_answer_twice_is_once_and_another_is_refused(work: UnitOfWork) -> None:
    hub, _, task_id = await seeded(work)
    assignment = await hub.answer(task_id, {"answer": "yes", "n": 1})
    await hub.submit(assignment, {"n": 1, "answer": "yes"})
    with pytest.raises(Conflict, match="already"):
        await hub.submit(assignment, {"answer": "yes", "n": True})
    await hub.drain()
    await hub.submit(assignment, {"answer": "yes", "n": 1})
    assert (await hub.task(task_id)).status == "verified"


async def leased(hub: Hub, topic: str) -> rows.Lease:
    async with hub.work.begin("outbox.lease") as tx:
        for job_id in await rows.due(tx, "default"):
            row = await tx.session.get_one(OutboxRow, job_id)
            if row.topic == topic and (lease := await rows.lease(tx, job_id)) is not None:
                return lease
    raise AssertionError(f"no {topic} is due")


async def test_without_a_rate_dollars_are_earned_and_wait_for_one(work: UnitOfWork) -> None:
    hub, _, task_id = await seeded(work, payout_currency="USD", payout_amount=Decimal("0.50"))
    await hub.answer(task_id, GOOD)
    lease = await leased(hub, "submission.received")

    def no_rate() -> Rate:
        raise Retryable("no_rate", "too old")

    assert await actions.advance(work, lease, hub.types, PLANS, no_rate) is RunState.PASSED
    async with work.read() as session:
        [payout] = await session.scalars(select(Payout))
        assert (payout.state, payout.amount_msat, payout.usd_per_btc) == ("earned", 0, None)
        assert (await session.get_one(Task, task_id)).status == "verified"
        assert len((await session.scalars(select(VerdictRow))).all()) == 2
        waiting = select(OutboxRow.subject).where(OutboxRow.topic == "payout.earned")
        assert list(await session.scalars(waiting)) == [payout.id]


async def test_a_repeated_job_changes_nothing(work: UnitOfWork) -> None:
    hub, _, task_id = await seeded(work)
    await hub.answer(task_id, GOOD)
    async with work.read() as session:
        statement = select(OutboxRow.subject).where(OutboxRow.topic == "submission.received")
        [submission_id] = await session.scalars(statement)
    await hub.drain()
    async with work.begin("test.again") as tx:
        tx.emit("submission.received", submission_id)
    lease = await leased(hub, "submission.received")
    assert await actions.advance(work, lease, hub.types, PLANS, lambda: hub.rate) is RunState.PASSED
    async with work.read() as session:
        assert len((await session.scalars(select(Payout))).all()) == 1
        assert len((await session.scalars(select(Task).where(Task.status == "verified"))).all()) == 1


async def test_an_answer_whose_task_ended_lapses(work: UnitOfWork) -> None:
    """The other answer was taken while this one's job was on its way."""
    hub, task_id = await two_answers(work, GOOD, GOOD)
    await hub.drain()
    second = (await hub.assignments(task_id))[1]
    async with work.begin("test.again") as tx:
        submission = await submission_of(tx, second.id)
        assert submission is not None
        tx.emit("submission.received", submission.id)
    lease = await leased(hub, "submission.received")
    assert await actions.advance(work, lease, hub.types, PLANS, lambda: hub.rate) is RunState.LAPSED
