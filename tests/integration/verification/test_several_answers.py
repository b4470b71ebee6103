"""Tasks that several people answer, on both databases: asked at once and blind, decided together, paid each, and every way
in which too few of them answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from core.billing.actions import balance, credit
from core.db.unit_of_work import UnitOfWork
from core.ledger.check import check
from core.money import Currency
from core.outbox import rows
from core.payouts.tables import Payout
from core.routing.tables import Assignment
from core.tasks.model import Environment, RiskTier
from core.tasks.types import TaskTypes
from core.verification.policy import Checks, Level, Otherwise
from core.verification.replay import replay
from core.verification.reviewing import queue
from core.verification.tables import DecisionRow, VerdictRow
from tests.factories_routing import (
    FEE_MSAT,
    PAYOUT_MSAT,
    Hub,
    a_task,
    a_type,
    a_worker,
    an_organisation,
)

SCHEMA = {
    "type": "object",
    "properties": {"eligible": {"type": "boolean"}},
    "required": ["eligible"],
    "additionalProperties": False,
}
YES, NO = {"eligible": True}, {"eligible": False}


def three(least: int = 2, most: int = 3, **values: Any) -> Checks:
    level = Level(
        answers_min=least,
        answers_max=most,
        undecided=Otherwise.RELEASE,
        spot_check=0.0,
        **values,
    )
    return Checks(risk={RiskTier.LOW: level})


async def seeded(
    work: UnitOfWork, checks: Checks, *, workers: int, most: int, **task: Any
) -> tuple[Hub, str, str, list[str]]:
    kind = a_type()
    hub = Hub(work, kind)
    hub.types = TaskTypes([kind], checks)
    level = checks.risk[RiskTier.LOW]
    reserved = PAYOUT_MSAT * most + FEE_MSAT
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        people = [await a_worker(tx, reliability=0.9 - 0.1 * n) for n in range(workers)]
        task_id = await a_task(
            tx,
            organisation,
            output_schema=SCHEMA,
            answers_wanted=level.answers_min,
            answers_max=most,
            reserved_msat=reserved,
            payout_currency=str(Currency.SATS),
            **task,
        )
    await hub.drain()
    return hub, organisation, task_id, people


async def states(hub: Hub, task_id: str) -> dict[str, str]:
    return {one.worker_id: one.state for one in await hub.assignments(task_id)}


async def give(hub: Hub, task_id: str, worker_id: str, output: Any) -> Assignment:
    [turn] = [one for one in await hub.assignments(task_id) if one.worker_id == worker_id]
    await hub.accept(turn)
    await hub.submit(turn, output)
    return turn


async def paid(work: UnitOfWork, task_id: str) -> dict[str, int]:
    async with work.read() as session:
        assert not await check(session)
    async with work.read() as session:
        found = await session.scalars(select(Payout).where(Payout.task_id == task_id))
        return {one.worker_id: one.amount_msat for one in found}


async def steps(work: UnitOfWork, task_id: str) -> list[str]:
    """What was decided in turn; every decision comes out again the same."""
    async with work.read() as session:
        again = await replay(session, task_id)
        assert [one.again for one in again] == [one.stored for one in again]
        rows = await session.scalars(
            select(DecisionRow).where(DecisionRow.task_id == task_id).order_by(DecisionRow.number)
        )
        return [row.decision.split('"step":"')[1].split('"')[0] for row in rows]


async def test_two_are_asked_at_once_and_both_are_paid(work: UnitOfWork) -> None:
    hub, organisation, task_id, people = await seeded(work, three(), workers=4, most=3)
    async with work.begin("test.balance") as tx:
        before = await balance(tx, organisation, "test")
    offered = await states(hub, task_id)
    assert sorted(offered.values()) == ["offered", "offered"]
    first, second = sorted(offered, key=people.index)
    await give(hub, task_id, first, YES)
    await hub.drain()
    assert (await hub.task(task_id)).status == "submitted"
    await give(hub, task_id, second, YES)
    await hub.drain()
    task = await hub.task(task_id)
    if task.status == "submitted":  # two newcomers alone are not sure enough: a third is asked
        [third] = [name for name, state in (await states(hub, task_id)).items() if state == "offered"]
        await give(hub, task_id, third, YES)
        await hub.drain()
        task = await hub.task(task_id)
    assert (task.status, task.output, task.reserved_msat) == ("verified", YES, 0)
    counted = {name for name, state in (await states(hub, task_id)).items() if state == "counted"}
    assert await paid(work, task_id) == dict.fromkeys(counted, PAYOUT_MSAT)
    async with work.begin(
        "test.balance"
    ) as tx:  # what was not bought went back; the first tasks carry no fee
        assert await balance(tx, organisation, "test") - before == (3 - len(counted)) * PAYOUT_MSAT + FEE_MSAT
    assert (await steps(work, task_id))[-1] == "verified"


async def test_who_differs_is_not_paid_and_is_told_where(work: UnitOfWork) -> None:
    hub, _, task_id, _ = await seeded(work, three(least=3), workers=3, most=3)
    people = sorted(await states(hub, task_id))
    assert len(people) == 3
    for worker_id, output in zip(people, (YES, NO, YES), strict=True):
        await give(hub, task_id, worker_id, output)
    await hub.drain()
    task = await hub.task(task_id)
    assert (task.status, task.output) == ("verified", YES)
    assert await states(hub, task_id) == {people[0]: "counted", people[1]: "refused", people[2]: "counted"}
    assert set(await paid(work, task_id)) == {people[0], people[2]}
    [refused] = [one for one in await hub.assignments(task_id) if one.state == "refused"]
    assert refused.reason is not None
    assert "/eligible" in refused.reason
    async with work.read() as session:
        verdicts = await session.scalars(select(VerdictRow).where(VerdictRow.stage == "consensus"))
        assert sorted(row.outcome for row in verdicts) == ["fail", "pass", "pass"]


async def test_two_submissions_at_once_are_decided_once(work: UnitOfWork) -> None:
    hub, _, task_id, _ = await seeded(work, three(), workers=3, most=2)
    turns = await hub.assignments(task_id)
    for turn in turns:
        await hub.accept(turn)
    await asyncio.gather(*(hub.submit(turn, YES) for turn in turns))
    async with work.begin("test.leases") as tx:
        leases = [await rows.lease(tx, job_id) for job_id in await rows.due(tx, "default")]
    await asyncio.gather(*(hub.handle(lease) for lease in leases if lease is not None))
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"
    assert await paid(work, task_id) == {turn.worker_id: PAYOUT_MSAT for turn in turns}
    assert (await steps(work, task_id)).count("verified") == 1


async def test_nobody_for_the_second_place_ends_at_the_hard_stop_with_what_is_there(
    work: UnitOfWork,
) -> None:
    hub, organisation, task_id, [only] = await seeded(work, three(), workers=1, most=3)
    await give(hub, task_id, only, YES)
    await hub.drain()
    assert (await hub.task(task_id)).status == "submitted"
    async with work.begin("test.balance") as tx:
        before = await balance(tx, organisation, "test")
    await hub.pass_time(1300)
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"
    assert await paid(work, task_id) == {only: PAYOUT_MSAT}
    async with work.read() as session:
        last = await session.scalar(
            select(DecisionRow.decision)
            .where(DecisionRow.task_id == task_id)
            .order_by(DecisionRow.number.desc())
        )
        assert last is not None
        assert '"short":true' in last
    async with work.begin("test.balance") as tx:
        assert await balance(tx, organisation, "test") - before == 2 * PAYOUT_MSAT + FEE_MSAT


@pytest.mark.parametrize("answers", [[YES], [YES, NO]], ids=["too few", "they disagree"])
async def test_when_nobody_else_may_be_asked_a_reviewer_decides_at_once(
    work: UnitOfWork, answers: list[Any]
) -> None:
    """One more person is there, who is paid where the first is, and one of less trust: neither may be asked."""
    kind = a_type(skills=["refunds"])
    hub = Hub(work, kind)
    hub.types = TaskTypes(
        [kind], Checks(risk={RiskTier.LOW: Level(answers_min=2, answers_max=4, short=Otherwise.QA)})
    )
    live = {"environment": Environment.LIVE, "skills": ["refunds"]}
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        await credit(tx, owner, "live", 10 * PAYOUT_MSAT, "first", "test")
        people = [
            await a_worker(tx, payout_address=f"w{n}@example.test", **live) for n, _ in enumerate(answers)
        ]
        await a_worker(tx, environment=Environment.LIVE)
        task_id = await a_task(
            tx, owner, output_schema=SCHEMA, answers_wanted=2, answers_max=4, environment="live",
            reserved_msat=4 * PAYOUT_MSAT + FEE_MSAT,
        )  # fmt: skip
    await hub.drain()
    async with work.begin("test.twin") as tx:
        twin = await a_worker(tx, payout_address="w0@example.test", available=False, **live)
    for worker_id, output in zip(people, answers, strict=True):
        await give(hub, task_id, worker_id, output)
    await hub.drain()
    async with work.read() as session:
        [(waits, _)] = await queue(session)
        reasons = [one["code"] for one in waits.why]
    assert (waits.task_id, waits.kind) == (task_id, "qa")
    assert reasons == ["short" if len(answers) == 1 else "undecided", "nobody_left"]
    assert (await steps(work, task_id))[-1] == "qa"
    assert twin not in await states(hub, task_id)


async def test_who_is_away_may_come_back_so_the_task_waits_for_them(work: UnitOfWork) -> None:
    hub = Hub(work, a_type())
    level = Level(answers_min=2, answers_max=4, short=Otherwise.QA)
    hub.types = TaskTypes([a_type()], Checks(risk={RiskTier.LOW: level}))
    async with work.begin("test.seed") as tx:
        owner = await an_organisation(tx)
        await credit(tx, owner, "live", 10 * PAYOUT_MSAT, "first", "test")
        only = await a_worker(tx, environment=Environment.LIVE)
        await a_worker(tx, environment=Environment.LIVE, available=False)
        task_id = await a_task(
            tx, owner, output_schema=SCHEMA, answers_wanted=2, answers_max=4, environment="live",
            reserved_msat=4 * PAYOUT_MSAT + FEE_MSAT,
        )  # fmt: skip
    await hub.drain()
    await give(hub, task_id, only, YES)
    await hub.drain()
    assert (await hub.task(task_id)).status == "submitted"
    async with work.read() as session:
        assert await queue(session) == []
    assert await steps(work, task_id) == ["another"]


async def test_a_refused_answer_is_replaced_while_the_other_waits(work: UnitOfWork) -> None:
    hub, _, task_id, _ = await seeded(work, three(), workers=4, most=2)
    first, second = sorted(await states(hub, task_id))
    await give(hub, task_id, first, YES)
    await give(hub, task_id, second, {"eligible": "perhaps"})
    await hub.drain()
    assert (await hub.task(task_id)).status == "submitted"
    [third] = [name for name, state in (await states(hub, task_id)).items() if state == "offered"]
    await give(hub, task_id, third, YES)
    await hub.drain()
    assert (await hub.task(task_id)).status == "verified"
    assert set(await paid(work, task_id)) == {first, third}


async def test_the_database_takes_no_payout_without_a_passed_run(work: UnitOfWork) -> None:
    hub, organisation, task_id, [only, *_] = await seeded(work, three(), workers=2, most=2)
    await give(hub, task_id, only, YES)
    await hub.drain()
    insert = text(
        "INSERT INTO payouts (id, task_id, worker_id, organisation_id, environment, reason, state, amount, currency, "
        "amount_msat, created_at) VALUES ('pay_x', :task, :worker, :organisation, 'test', 'answer', 'reserved', '1', "
        "'SATS', 1000, 1)"
    )
    values = {"task": task_id, "worker": only, "organisation": organisation}
    earn = text(
        "INSERT INTO ledger_transfers (id, debit_account, credit_account, amount_msat, kind, subject, created_at) "
        "VALUES ('x', 'hub:test:exchange', 'hub:test:capital', 1, 'earn', 'pay_nobody', 1)"
    )
    for statement, given, told in (
        (insert, values, "no payout without a passed verification"),
        (earn, {}, "nothing is earned without a payout"),
    ):
        with pytest.raises(DBAPIError, match=told):
            async with work.begin("test.forbidden") as tx:
                await tx.session.execute(statement, given)
    async with work.read() as session:
        assert await queue(session) == []
