"""What money and decisions rest on is kept by the database itself, both of them: no sequence of statements makes a payment
without a passed record, or a larger one; and a decision comes out again byte for byte whatever happened since."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from core.db.unit_of_work import UnitOfWork
from core.routing.tables import Submission
from core.tasks.tables import Task, TaskEvent
from core.tasks.types import Rule, TaskTypes
from core.verification.anomaly import marks
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.replay import replay
from hub.observe import trail
from tests.factories_routing import PAYOUT_MSAT, Hub, a_task, a_type
from tests.integration.verification.test_reviews import GOOD, SPOT, Stage
from tests.integration.verification.test_several_answers import NO, YES, give, seeded, three

RUN = "verification_runs WHERE id = (SELECT MIN(id) FROM verification_runs WHERE state = 'passed')"
REFUSED = [
    (f"DELETE FROM {RUN}", "a passed verification stays"),
    (f"UPDATE {RUN.replace('WHERE', 'SET state = ~failed~ WHERE', 1)}", "a passed verification stays"),
    ("UPDATE verdicts SET outcome = 'fail'", "a verdict stays"),
    ("DELETE FROM verdicts", "a verdict stays"),
    ("UPDATE verification_decisions SET record = '{}'", "a decision stays"),
    ("DELETE FROM verification_decisions", "a decision stays"),
    ("UPDATE submissions SET output = '{}'", "an answer stays"),
    ("UPDATE payouts SET amount_msat = amount_msat + 1", "a payout keeps its amount"),
    ("UPDATE payouts SET worker_id = (SELECT MAX(id) FROM workers)", "a payout stays with"),
]


async def _answered(hub: Hub, task_id: str, *outputs: Any) -> list[str]:
    """One answer after the other, by whoever is asked; their workers."""
    given: list[str] = []
    for output in outputs:
        turn = next(one for one in await hub.assignments(task_id) if one.state == "offered")
        await give(hub, task_id, turn.worker_id, output)
        await hub.drain()
        given.append(turn.worker_id)
    return given


async def test_what_was_judged_decided_and_paid_is_not_changed(work: UnitOfWork) -> None:
    hub, _, task_id, _ = await seeded(work, three(most=2), workers=3, most=2)
    await _answered(hub, task_id, YES, YES)
    assert (await hub.task(task_id)).status == "verified"
    for statement, told in REFUSED:
        with pytest.raises(DBAPIError, match=told):
            async with work.begin("test.forbidden") as tx:
                await tx.session.execute(text(statement.replace("~", "'")))


# What somebody with a console could try, again and again, in any order.
_TRIES = (
    (
        "INSERT INTO payouts (id, task_id, worker_id, organisation_id, environment, reason, state, amount, currency, amount_msat, "
        "created_at) SELECT '{id}', '{task}', '{worker}', organisation_id, 'test', '{reason}', 'reserved', '1', 'SATS', {amount}, 1 "
        "FROM tasks WHERE id = '{task}'"
    ),
    (
        "INSERT INTO ledger_transfers (id, debit_account, credit_account, amount_msat, kind, subject, created_at) SELECT '{id}', "
        "'hub:test:exchange', '{worker}:payable', {amount}, 'earn', p.id, 1 FROM payouts p WHERE p.task_id = '{task}' "
        "ORDER BY p.id LIMIT 1"
    ),
    "UPDATE payouts SET task_id = '{task}' WHERE worker_id = '{worker}'",
    "UPDATE payouts SET worker_id = '{worker}' WHERE task_id = '{task}'",
    "UPDATE payouts SET amount_msat = {amount} WHERE task_id = '{task}'",
    "UPDATE verification_runs SET state = '{state}' WHERE task_id = '{task}'",
    "DELETE FROM verification_runs WHERE task_id = '{task}'",
    "UPDATE submissions SET worker_id = '{worker}' WHERE task_id = '{task}'",
    "DELETE FROM submissions WHERE task_id = '{task}'",
    "UPDATE verification_runs SET submission_id = (SELECT MAX(id) FROM submissions) WHERE task_id = '{task}'",
)
_BROKEN = """
    SELECT p.id FROM payouts p WHERE NOT EXISTS (
        SELECT 1 FROM verification_runs r JOIN submissions s ON s.id = r.submission_id
        WHERE r.task_id = p.task_id AND s.task_id = p.task_id AND s.worker_id = p.worker_id AND r.state = 'passed')
    UNION ALL SELECT t.subject FROM ledger_transfers t LEFT JOIN payouts p ON p.id = t.subject WHERE t.kind = 'earn'
        GROUP BY t.subject, p.amount_msat HAVING p.amount_msat IS NULL OR SUM(t.amount_msat) > p.amount_msat
    UNION ALL SELECT t.id FROM ledger_transfers t JOIN payouts p ON p.id = t.subject
        WHERE t.kind = 'earn' AND t.credit_account <> p.worker_id || ':' || 'payable'"""


async def test_no_sequence_of_statements_pays_without_a_passed_record(work: UnitOfWork) -> None:
    hub, organisation, task_id, people = await seeded(work, three(), workers=3, most=3)
    await _answered(hub, task_id, YES, YES)
    stage = [task_id, (await _refused_task(hub, organisation)).id]
    dice, done, refused = random.Random(6), 0, 0
    async with work.begin("test.console") as tx:
        for number in range(200):
            statement = text(
                dice.choice(_TRIES)
                .format(
                    id=f"x{number}",
                    task=dice.choice(stage),
                    worker=dice.choice(people),
                    reason=dice.choice(["answer", "appeal", "bonus"]),
                    amount=dice.choice([1, PAYOUT_MSAT, 2 * PAYOUT_MSAT]),
                    state=dice.choice(["passed", "failed", "queued"]),
                )
                .replace(":", "\\:")
            )
            try:
                async with tx.session.begin_nested():
                    await tx.session.execute(statement)
                done += 1
            except DBAPIError:
                refused += 1
            assert (await tx.session.execute(text(_BROKEN.replace("':'", "'\\:'")))).all() == []
    assert done > 20
    assert refused > 80


async def _refused_task(hub: Hub, organisation: str) -> Task:
    """A task of the same organisation whose only answer a stage refused."""
    async with hub.work.begin("test.task") as tx:
        task_id = await a_task(tx, organisation)
    await hub.drain()
    await hub.answer(task_id, {"answer": 7})
    await hub.drain("submission.received")
    return await hub.task(task_id)


async def _same(work: UnitOfWork, task_id: str) -> list[str]:
    async with work.read() as session:
        made = await replay(session, task_id)
    assert all(one.equal for one in made)
    return [one.again for one in made]


async def test_a_decision_comes_out_again_whatever_happened_since(work: UnitOfWork) -> None:
    hub, _, task_id, _ = await seeded(work, three(), workers=4, most=3)
    first, second, _ = await _answered(hub, task_id, YES, NO, YES)
    before = await _same(work, task_id)
    assert len(before) == 3
    # The type has other rules, the policy asks for more, and one of the three is found to be a colluder.
    changed = a_type(rules=[Rule(name="never", expect="output.eligible == `7`", message="No")])
    hub.types = TaskTypes([changed], three(least=3))
    async with work.begin("test.mark") as tx:
        why = Suspicion(kind=MarkKind.PAIR, p=1e-9, words="too alike", evidence={"with": second})
        assert await marks.opened(tx, first, "triage", why) is not None
    assert await _same(work, task_id) == before


async def test_a_corrected_answer_is_replayed_and_told_whole(work: UnitOfWork) -> None:
    stage = await Stage(work, SPOT).open()
    task_id = await stage.answered(GOOD)
    before = await _same(work, task_id)
    shown = (await stage.hub.task(task_id)).verification
    assert shown is not None
    assert (shown["answers"], shown["reviewed"], shown["audits"]) == (1, False, 0)
    assert "errorBound" not in shown  # nothing of this type was audited yet
    await stage.rule(await stage.only_review(), stage.otto, output={"answer": "no"}, note="It is no")
    task = await stage.hub.task(task_id)
    assert task.correction is not None
    assert task.verification == shown  # what it rested on when it was given out
    async with work.read() as session:  # and so the asker was told
        statement = select(TaskEvent.snapshot).where(
            TaskEvent.task_id == task_id, TaskEvent.type == "task.verified"
        )
        [event] = await session.scalars(statement)
    assert msgspec.json.decode(event)["verification"] == shown
    assert await _same(work, task_id) == before
    async with work.read() as session:
        told = trail.render_text(await trail.collect(session, task_id))
    order = ["Stage schema", "Decided: given out", "A reviewer is asked (spot)", "Review decided (spot)"]
    assert sorted(order, key=told.index) == order
    assert f"confidence: {shown['confidence']:.4f}" in told
    assert "error: uncertified from 0 audits" in told


async def test_the_trail_tells_what_several_said_and_a_reviewer_decided(work: UnitOfWork) -> None:
    hub, _, task_id, _ = await seeded(work, three(), workers=4, most=3)
    _, second, _ = await _answered(hub, task_id, YES, NO, YES)
    async with work.read() as session:
        told = trail.render_text(await trail.collect(session, task_id))
        given = (await session.scalars(select(Submission.id).where(Submission.worker_id == second))).one()
    assert told.count("Stage consensus  [pass]") == 2
    assert told.count("Stage consensus  [fail]") == 1
    assert told.count("Decided: one more person is asked") == 1
    assert told.count("Decided: given out  [verified]") == 1
    refusal = told.split("Stage consensus  [fail]")[1]
    assert refusal.index("reasons: /eligible:") < refusal.index(f"submission: {given}")
    shown = (await hub.task(task_id)).verification
    assert shown is not None
    assert (shown["answers"], shown["reviewed"]) == (3, False)
    assert shown["confidence"] == 0.75  # two against one are as sure as one alone
