"""Gold: questions whose answer is known, asked like any other. A gold turn is a task of the hub's own organisation with the
terms of the task that the worker has just answered: its own id, the same price, time and page. It is paid like any other,
right or wrong; what it tells goes to the worker's record.

Drawn after each answer (`draw`), offered a little later to that one worker (`offer`, topic `gold.offer`) or, when their hands
are full then, with their next answer into the hand that it frees (`offer_owed`), judged when it is answered (`judge`). Whoever lets it go ends it: nobody else gets it in their place."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import func, select, update

from core import clock, ids
from core.access.tables import Organisation
from core.billing.actions import balance, open_accounts
from core.billing.plans import Quote
from core.db.compare_and_set import move
from core.db.hot import for_dialect
from core.db.unit_of_work import Transaction
from core.money import Currency
from core.outbox.rows import Lease
from core.repairs.actions import Kind, needed
from core.routing.assignments import claim, task_for_update
from core.routing.automatic import accept_at_once
from core.routing.house import GOLD_ORGANISATION, age_like_real_ms
from core.routing.model import Policy
from core.routing.offering import deadlines, lapse_job
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment
from core.tasks.changes import change
from core.tasks.creation import Prepared, create_many
from core.tasks.model import Environment, NewTask, RiskTier
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.verification import book, consensus, evidence
from core.verification.anomaly.marks import doubtful
from core.verification.consensus import Answer, Changes
from core.verification.ending import add_verdicts
from core.verification.fold import Record, book_of, consensus_policy
from core.verification.gold_rate import AFTER_ALARM_DAYS, Draw, rate, thrown
from core.verification.model import Answered, Facing
from core.verification.stage import Outcome, Reason, Verdict
from core.verification.states import EXPOSURE_TRANSITIONS, GOLD_TRANSITIONS, ExposureState, GoldState
from core.verification.tables import GoldExposure, GoldItem
from core.workers.records import add_evidence, of_type
from core.workers.reliability import lower_bound
from core.workers.standing import counts
from core.workers.tables import Worker

LOOKED_AT = 50


async def draw(tx: Transaction, case: Facing, worker_id: str, run_id: str) -> Draw:
    """Whether this worker's next turn is gold; if so it is on its way. A draw for each answer, seeded by its run and to be kept
    with it, independent of all others. Called where the type has an item that is active."""
    task = case.task
    row = (await of_type(tx.session, task.task_type, [worker_id])).get(worker_id)
    now = await tx.now_ms()
    alarmed_at = None if row is None else row.alarmed_at
    recent = alarmed_at is not None and now - clock.to_ms(alarmed_at) < AFTER_ALARM_DAYS * 86_400_000
    chance = rate(
        case.types.checks.gold,
        case.needed.level,
        lower_bound=0.0 if row is None else lower_bound(counts(row)),
        gold_seen=0 if row is None else row.gold_seen,
        since_gold=await _since_gold(tx, task.task_type, worker_id),
        alarmed=recent,
        marked=case.types.checks.marks.gold_rate if await doubtful(tx, [worker_id]) else 0.0,
        options=consensus.widest_choice(task.output_schema),
    )
    found = thrown(run_id, chance)
    if found.gold:
        body = {"like": task.id, "pick": found.pick}
        tx.emit("gold.offer", worker_id, body=body, delay=found.delay_ms / 1000)
    return found


async def _since_gold(tx: Transaction, task_type: str, worker_id: str) -> int:
    """How many answers of the type the worker has given since the last gold turn."""
    last = await tx.session.scalar(
        select(func.max(GoldExposure.created_at)).where(GoldExposure.worker_id == worker_id)
    )
    statement = (
        select(func.count())
        .select_from(Assignment)
        .join(Task, Task.id == Assignment.task_id)
        .where(
            Assignment.worker_id == worker_id,
            Task.task_type == task_type,
            Assignment.state.in_([str(AssignmentState.COUNTED), str(AssignmentState.REFUSED)]),
        )
    )
    if last is not None:
        statement = statement.where(Assignment.offered_at > last)
    return int((await tx.session.execute(statement)).scalar_one())


async def offer(tx: Transaction, lease: Lease, types: TaskTypes, policy: Policy | None = None) -> Task | None:
    """Topic `gold.offer`: ask the worker one item that neither they nor anybody who is paid where they are has seen.
    It is owed to a worker whose hands are full, as those of a good one are whenever there is much to do."""
    return await _offer(tx, await _held(tx, lease.subject), lease.body, types, policy)


async def offer_owed(tx: Transaction, worker_id: str, types: TaskTypes, policy: Policy) -> Task | None:
    """In the transaction of an answer (`core/routing/actions.submit`): what is owed to the worker takes the place that has just
    become free, before anybody can fill it."""
    worker = await tx.session.get(Worker, worker_id)
    if worker is None or worker.gold_owed is None:
        return None
    worker = await _held(tx, worker_id)
    owed, worker.gold_owed = worker.gold_owed, None
    if owed is None:  # two answers at once: the other one was given it
        return None
    await tx.session.flush()
    return await _offer(tx, worker, owed, types, policy)


async def _held(tx: Transaction, worker_id: str) -> Worker:
    return await tx.session.get_one(
        Worker, worker_id, with_for_update={"key_share": True}, populate_existing=True
    )


async def _offer(
    tx: Transaction, worker: Worker, drawn: dict[str, Any], types: TaskTypes, policy: Policy | None
) -> Task | None:
    like = await tx.session.get_one(Task, str(drawn["like"]))
    if not worker.available or worker.load >= worker.capacity:
        worker.gold_owed = {"like": like.id, "pick": int(drawn.get("pick", 0))}
        await tx.session.flush()
        return None
    item = await _item(tx, worker, like, int(drawn.get("pick", 0)))
    if item is None:
        return None
    task = await _task(tx, item, like, types, await age_like_real_ms(tx, worker.id, like))
    if task is None:
        return None
    if not await _give(tx, task, worker, types, policy or Policy()):
        return None
    exposure = GoldExposure(
        id=ids.new("exp"),
        gold_id=item.id,
        worker_id=worker.id,
        task_id=task.id,
        state=str(ExposureState.ASKED),
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(exposure)
    await _expose(tx, item)
    return task


async def _item(tx: Transaction, worker: Worker, like: Task, pick: int) -> GoldItem | None:
    """The one that the draw picks among the active ones that this person, by whatever account, has not seen. Not the question that
    the worker has answered as a real task either."""
    same_person = select(Worker.id).where(
        (Worker.id == worker.id)
        | ((Worker.payout_address == worker.payout_address) & Worker.payout_address.is_not(None))
    )
    seen = select(GoldExposure.gold_id).where(GoldExposure.worker_id.in_(same_person))
    answered = select(Assignment.task_id).where(Assignment.worker_id.in_(same_person))
    statement = (
        select(GoldItem)
        .where(
            GoldItem.task_type == like.task_type,
            GoldItem.environment == like.environment,
            GoldItem.state == str(GoldState.ACTIVE),
            GoldItem.id.not_in(seen),
            GoldItem.source_task_id.is_(None) | GoldItem.source_task_id.not_in(answered),
        )
        .order_by(GoldItem.id)
        .limit(LOOKED_AT)
    )
    found = list(await tx.session.scalars(statement))
    return found[pick % len(found)] if found else None


async def _expose(tx: Transaction, item: GoldItem) -> None:
    """One more has seen it; retired when as many have as may."""
    exposures = await tx.session.scalar(
        update(GoldItem)
        .where(GoldItem.id == item.id)
        .values(exposures=GoldItem.exposures + 1)
        .returning(GoldItem.exposures)
        .execution_options(synchronize_session=False)
    )
    if exposures is not None and exposures >= item.most_exposures:
        await retire(tx, item)


async def retire(tx: Transaction, item: GoldItem, note: str | None = None) -> None:
    """Nobody new is asked it. Retiring twice is retiring once."""
    await tx.session.refresh(item)
    if item.state == GoldState.ACTIVE:
        values: dict[str, Any] = {} if note is None else {"note": note}
        await move(
            tx,
            item,
            GoldState.RETIRED,
            table=GOLD_TRANSITIONS,
            retired_at=clock.from_ms(await tx.now_ms()),
            **values,
        )


async def _task(tx: Transaction, item: GoldItem, like: Task, types: TaskTypes, age_ms: int) -> Task | None:
    """A task of the hub's own with the item's question and the terms of the worker's last one, so old already. None when the hub's
    organisation cannot pay for it: then the operator is told."""
    await house(tx)
    if await balance(tx, GOLD_ORGANISATION, like.environment) < like.payout_msat:
        told = f"Gold is not asked in {like.environment}: credit the organisation {GOLD_ORGANISATION}"
        await needed(tx, f"gold:{like.environment}", Kind.GOLD, told)
        return None
    kind = types.of(like.task_type)
    key = ids.new("gold")
    new = NewTask(
        organisation_id=GOLD_ORGANISATION,
        environment=Environment(like.environment),
        idempotency_key=key,
        request_digest=key,
        task_type=like.task_type,
        risk_tier=RiskTier(like.risk_tier),
        sla_seconds=like.sla_seconds,
        payload=item.payload,
        output_schema=item.output_schema,
        amount=like.payout_amount,
        currency=Currency(like.payout_currency),
        skills=like.skills,
        language=like.language,
    )
    prepared = Prepared(
        id=ids.uuid7(clock.now_ms() - age_ms),
        age_ms=age_ms,
        new=new,
        quote=Quote(payout_msat=like.payout_msat, fee_msat=0),
        hard_stop_seconds=like.sla_seconds * kind.hard_stop_factor,
    )
    await create_many(tx, [prepared])
    task = await task_for_update(tx, prepared.id)
    return task if task.funded else None


async def _give(tx: Transaction, task: Task, worker: Worker, types: TaskTypes, policy: Policy) -> bool:
    now = await tx.now_ms()
    kind = types.of(task.task_type)
    due = deadlines(task, kind).due_ms(now)
    turn = Assignment(
        id=ids.new("asg"),
        task_id=task.id,
        worker_id=worker.id,
        slot=0,
        kind=str(AssignmentKind.PRIMARY),
        state=str(AssignmentState.OFFERED),
        score=worker.reliability,
        offered_at=clock.from_ms(now),
        expires_at=clock.from_ms(min(now + kind.offer_seconds * 1000, due)),
        due_at=clock.from_ms(due),
    )
    if not await claim(tx, turn):
        return False  # the task is let go by its own job, which finds nobody at it
    if not await accept_at_once(tx, task, turn, policy):
        tx.jobs.append(lapse_job(turn, now))
    await change(tx, task, TaskStatus.ASSIGNED, actor="hub")
    return True


async def judge(tx: Transaction, case: Facing, one: Answered, record: Record | None) -> Changes:
    """Compare an answer to a gold task with the known one: a verdict for operators, evidence of the worker, counters of
    consensus. `record`: as the decision had it; None when a stage has refused the answer, which is wrong then."""
    exposure = await tx.session.scalar(select(GoldExposure).where(GoldExposure.task_id == case.task.id))
    if exposure is None or exposure.state != ExposureState.ASKED:
        return Changes()
    item = await tx.session.get_one(GoldItem, exposure.gold_id)
    share, changes = 0.0, Changes()
    reasons = [Reason(code="gold_refused", message="A stage refused it")]
    if record is not None:
        policy = consensus_policy(case.needed.level, None)
        given = Answer(worker=one.assignment.worker_id, output=one.submission.output)
        [found] = consensus.agreements([given], item.answer, policy, case.task.output_schema)
        share = 1.0 if found.agreed else min(found.share, 0.49)
        changes = consensus.known([given], item.answer, book_of(record), policy, case.task.output_schema)
        reasons = [
            Reason(code="gold_differs", message=said, pointer=place) for place, said in found.differs.items()
        ]
        await book.learn(tx, case.task.task_type, case.task.environment, changes)
    right = share == 1.0
    verdict = Verdict(
        stage="gold",
        outcome=Outcome.PASS if right else Outcome.FAIL,
        reasons=[] if right else reasons,
        score=share,
        evidence={"item": item.id},
    )
    await add_verdicts(tx, one.run.id, [verdict])
    worker_id = one.assignment.worker_id
    sign = evidence.sign_of(changes, worker_id, share)
    await add_evidence(tx, worker_id, case.task.task_type, "gold", share, 1.0, sign)
    await move(
        tx,
        exposure,
        ExposureState.JUDGED,
        table=EXPOSURE_TRANSITIONS,
        right_share=share,
        judged_at=clock.from_ms(await tx.now_ms()),
    )
    return changes


# Two jobs may find that it is not there yet.
_HOUSE = """
    INSERT INTO organisations (id, name, plan, webhook_secret, tasks_charged, created_at)
    VALUES ($1::text, $1::text, $2, '', 0, $3::bigint) ON CONFLICT DO NOTHING"""


async def house(tx: Transaction) -> None:
    """The hub's own organisation, which asks and pays gold. Made when it is first needed; its live balance is what the
    operator credits, and all that gold may cost."""
    if await tx.session.get(Organisation, GOLD_ORGANISATION) is not None:
        return
    some = await tx.session.scalar(select(Organisation.plan).limit(1))
    row = (GOLD_ORGANISATION, some or "pay_as_you_go", await tx.now_ms())
    await tx.execute(for_dialect(_HOUSE, tx.dialect), row)
    await open_accounts(tx, GOLD_ORGANISATION)


def stored(changes: Changes) -> Any:
    return msgspec.to_builtins(changes.add) if changes.add else None
