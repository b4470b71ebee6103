"""The operator's side of gold: make items by hand, take them in and out as JSON Lines, harvest them from tasks whose answer
a reviewer confirmed, retire them; and what workers dispute. Called by the pages, `hub gold` and `ruling.py`."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock, ids
from core.audit.record import record
from core.billing.plans import Plans
from core.db.compare_and_set import move
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Invalid, NotFound
from core.forms.profile import ANY_OBJECT, check
from core.forms.validate import errors
from core.routing.assignments import task_for_update
from core.routing.house import for_one_alone
from core.routing.tables import Submission
from core.tasks.model import Environment
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.verification import book, consensus, gold
from core.verification.consensus import Changes
from core.verification.decide import facing
from core.verification.model import Facing
from core.verification.policy import Gold
from core.verification.reviewing import open_review
from core.verification.stage import Reason
from core.verification.states import EXPOSURE_TRANSITIONS, ExposureState, GoldState
from core.verification.tables import DecisionRow, GoldExposure, GoldItem, Review
from core.workers.records import take_back_evidence


class NewItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a file of gold. Without `output_schema` the task type's own; without `environment` live."""

    task_type: str
    payload: dict[str, Any]
    answer: Any
    output_schema: dict[str, Any] | None = None
    environment: Environment = Environment.LIVE
    most_exposures: int | None = None
    note: str | None = None


async def add(
    tx: Transaction, new: NewItem, types: TaskTypes, *, actor: str, source: str | None = None
) -> GoldItem:
    """Raises Invalid for a task type that is not there, a schema out of profile, an answer that does not fit it, or a
    number of exposures below 1."""
    kind = types.get(new.task_type)
    schema = new.output_schema or kind.output_schema or ANY_OBJECT
    check(schema)
    wrong = errors(schema, new.answer)
    if wrong:
        raise Invalid(
            "answer_invalid",
            "The known answer does not fit the schema",
            field_errors={f"answer{one.pointer}": one.message for one in wrong},
        )
    most = types.checks.gold.most_exposures if new.most_exposures is None else new.most_exposures
    if not 1 <= most <= 1000:
        raise Invalid("bad_exposures", "1 to 1000", field_errors={"most_exposures": "Must be 1 to 1000"})
    item = GoldItem(
        id=ids.new("gld"),
        task_type=new.task_type,
        environment=str(new.environment),
        payload=new.payload,
        output_schema=schema,
        answer=new.answer,
        state=str(GoldState.ACTIVE),
        exposures=0,
        most_exposures=most,
        author=actor,
        note=new.note,
        source_task_id=source,
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(item)
    await tx.session.flush()
    await record(tx, actor=actor, action="gold.added", subject=item.id, task_type=item.task_type)
    return item


async def harvest(tx: Transaction, case: Facing, output: Any, *, actor: str) -> GoldItem | None:
    """A task whose answer a reviewer has confirmed becomes an item, so that the pool grows with the work. Not when the
    operator does not want it, and no gold out of gold."""
    task = case.task
    if not case.types.checks.gold.harvest or for_one_alone(task) or output is None:
        return None
    before = select(GoldItem.id).where(GoldItem.source_task_id == task.id)
    if await tx.session.scalar(before) is not None or errors(task.output_schema, output):
        return None
    new = NewItem(
        task_type=task.task_type,
        payload=task.payload,
        answer=output,
        output_schema=task.output_schema,
        environment=Environment(task.environment),
    )
    if task.task_type not in {kind.name for kind in case.types}:
        return None
    return await add(tx, new, case.types, actor=actor, source=task.id)


async def retire(tx: Transaction, gold_id: str, *, actor: str) -> GoldItem:
    """Raises NotFound."""
    item = await tx.session.get(GoldItem, gold_id)
    if item is None:
        raise NotFound("unknown_gold", "There is no such gold item")
    await gold.retire(tx, item)
    await record(tx, actor=actor, action="gold.retired", subject=gold_id)
    return item


async def items(
    session: AsyncSession, *, task_type: str = "", after: str = "", limit: int = 100
) -> list[GoldItem]:
    """By id, those after the id `after`."""
    statement = select(GoldItem).where(GoldItem.id > after).order_by(GoldItem.id).limit(limit)
    if task_type:
        statement = statement.where(GoldItem.task_type == task_type)
    return list(await session.scalars(statement))


def exported(item: GoldItem) -> NewItem:
    return NewItem(
        task_type=item.task_type,
        payload=item.payload,
        answer=item.answer,
        output_schema=item.output_schema,
        environment=Environment(item.environment),
        most_exposures=item.most_exposures,
        note=item.note,
    )


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A gold item that the worker answered otherwise than was known, as their page shows it."""

    exposure: GoldExposure
    task: Task
    given: Any
    known: Any


async def missed(session: AsyncSession, worker_id: str, rules: Gold, *, limit: int = 20) -> list[Missed]:
    """Those that may be told by now (`reveal_hours`), newest first."""
    before = clock.from_ms(clock.now_ms() - rules.reveal_hours * 3_600_000)
    rows = await session.execute(
        select(GoldExposure, Task, Submission, GoldItem)
        .join(Task, Task.id == GoldExposure.task_id)
        .join(Submission, Submission.task_id == Task.id)
        .join(GoldItem, GoldItem.id == GoldExposure.gold_id)
        .where(
            GoldExposure.worker_id == worker_id,
            GoldExposure.right_share < 1.0,
            GoldExposure.judged_at <= before,
        )
        .order_by(GoldExposure.id.desc())
        .limit(limit)
    )
    return [
        Missed(exposure=row[0], task=row[1], given=row[2].output, known=row[3].answer) for row in rows.all()
    ]


async def dispute(
    tx: Transaction, exposure_id: str, worker_id: str, said: str, types: TaskTypes, plans: Plans
) -> Review:
    """The worker says that the known answer is wrong. Once for each item. Raises NotFound for somebody else's, Conflict
    when it was right, or is not to be told yet."""
    exposure = await tx.session.get(GoldExposure, exposure_id)
    if exposure is None or exposure.worker_id != worker_id:
        raise NotFound("unknown_exposure", "There is no such question of yours")
    task = await task_for_update(tx, exposure.task_id)
    await tx.session.refresh(exposure)
    before = await tx.session.scalar(
        select(Review).where(Review.kind == "dispute", Review.subject == exposure.id)
    )
    if before is not None:
        return before
    told_at = 0 if exposure.judged_at is None else clock.to_ms(exposure.judged_at)
    told_at += types.checks.gold.reveal_hours * 3_600_000
    if exposure.state != ExposureState.JUDGED or exposure.right_share == 1.0 or await tx.now_ms() < told_at:
        raise Conflict("nothing_to_dispute", "There is nothing to dispute here")
    await move(tx, exposure, ExposureState.DISPUTED, table=EXPOSURE_TRANSITIONS, dispute=said[:2000] or "-")
    case = await facing(tx, task, types, plans)
    why = [Reason(code="gold_disputed", message="The worker says that the known answer is wrong")]
    return await open_review(
        tx, case, kind="dispute", subject=exposure.id, why=why, said=said.strip()[:2000] or None
    )


async def ruled(tx: Transaction, row: Review, upheld: bool) -> None:
    """Upheld: the item is retired, and what it told of everybody who missed it is taken back. Else it stays judged."""
    exposure = await tx.session.get_one(GoldExposure, row.subject, populate_existing=True)
    if not upheld:
        await move(tx, exposure, ExposureState.JUDGED, table=EXPOSURE_TRANSITIONS)
        return
    item = await tx.session.get_one(GoldItem, exposure.gold_id)
    await gold.retire(tx, item, f"disputed in {row.id}, and found wrong")
    wrong = await tx.session.scalars(
        select(GoldExposure)
        .where(
            GoldExposure.gold_id == item.id,
            GoldExposure.right_share < 1.0,
            GoldExposure.state.in_([str(ExposureState.JUDGED), str(ExposureState.DISPUTED)]),
        )
        .order_by(GoldExposure.worker_id)
        .execution_options(populate_existing=True)
    )
    for one in wrong.all():
        kept = await tx.session.scalar(
            select(DecisionRow.changes).where(
                DecisionRow.task_id == one.task_id, DecisionRow.changes.is_not(None)
            )
        )
        if kept is not None:
            learnt = msgspec.convert({"add": kept}, Changes)
            await book.learn(tx, item.task_type, item.environment, consensus.undo(learnt))
        await take_back_evidence(tx, one.worker_id, item.task_type, one.right_share or 0.0, 1.0)
        await move(tx, one, ExposureState.UNDONE, table=EXPOSURE_TRANSITIONS)
