"""Replays recorded tasks through another policy: what would have been given out, what it would have cost, how long it would
have taken. Called by `hub verification backtest`; reads only. The answers come as they came; a policy that wants more than
were recorded decides on those that there are, and is counted as `short`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.routing.house import GOLD_ORGANISATION
from core.routing.tables import Submission
from core.tasks.tables import Task
from core.verification import consensus
from core.verification.fold import Decision, Given, Question, Record, Step, consensus_policy, fold
from core.verification.policy import Requirement
from core.verification.tables import DecisionRow, GoldExposure, GoldItem, Review

Choose = Callable[["Recorded"], Requirement]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One task as it was: its answers in the order of coming with the milliseconds that each took since the task was
    made, the last decision's record, and the truth where a reviewer or gold knows it."""

    task: str
    organisation: str
    task_type: str
    risk: str
    environment: str
    stages: list[str]
    payout_msat: int
    question: Question
    answers: list[Given]
    took_ms: list[int]
    record: Record
    truth: Any = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy comes to on one task. `right` is None where nobody knows the truth or nothing was given out."""

    step: Step
    answers: int
    paid: int
    took_ms: int
    right: bool | None
    short: bool


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`accuracy` over the `known` tasks that were given out; cost in msat a task; latency of what was given out without
    a reviewer, in seconds. None where there is nothing to say it of."""

    tasks: int
    released: int
    qa: int
    failed: int
    short: int
    known: int
    accuracy: float | None
    answers_per_task: float
    paid_per_task: float
    median_seconds: float | None
    p90_seconds: float | None


def run(one: Recorded, needed: Requirement) -> Outcome:
    """The decisions that the policy would have made as the answers came, up to its end."""
    decision = Decision(step=Step.FAILED, reason="no_answer")
    count, short = 0, False
    for count in range(1, len(one.answers) + 1):
        last = count == len(one.answers)
        decision = fold(_record(one, needed, count, closing=False), one.question)
        if decision.step in (Step.ANOTHER, Step.WAIT) and last:
            short = True
            decision = fold(_record(one, needed, count, closing=True), one.question)
        if decision.step not in (Step.ANOTHER, Step.WAIT):
            break
    right: bool | None = None
    if decision.step is Step.VERIFIED and one.truth is not None:
        policy = consensus_policy(needed.level, one.record.certificate)
        right = not _wrong(decision.output, one.truth, policy, one.question.schema)
    return Outcome(
        step=decision.step,
        answers=count,
        paid=len(decision.counted),
        took_ms=one.took_ms[count - 1] if count else 0,
        right=right,
        short=short,
    )


def summary(recorded: Sequence[Recorded], outcomes: Sequence[Outcome]) -> Summary:
    """Of the outcomes of all tasks, in the same order."""
    released = [one for one in outcomes if one.step is Step.VERIFIED]
    known = [one for one in released if one.right is not None]
    times = sorted(one.took_ms for one in released)
    paid = sum(one.paid * task.payout_msat for one, task in zip(outcomes, recorded, strict=True))
    count = max(1, len(outcomes))
    return Summary(
        tasks=len(outcomes),
        released=len(released),
        qa=sum(one.step is Step.QA for one in outcomes),
        failed=sum(one.step is Step.FAILED for one in outcomes),
        short=sum(one.short for one in outcomes),
        known=len(known),
        accuracy=sum(bool(one.right) for one in known) / len(known) if known else None,
        answers_per_task=sum(one.answers for one in outcomes) / count,
        paid_per_task=paid / count,
        median_seconds=_quantile(times, 0.5),
        p90_seconds=_quantile(times, 0.9),
    )


def compare(recorded: Sequence[Recorded], policies: Iterable[tuple[str, Choose]]) -> dict[str, Summary]:
    """Each policy's summary over the same tasks."""
    return {name: summary(recorded, [run(one, choose(one)) for one in recorded]) for name, choose in policies}


async def load(
    session: AsyncSession, *, task_type: str = "", since_ms: int = 0, limit: int = 10_000
) -> AsyncIterator[Recorded]:
    """Tasks on which something was decided, newest first; gold among them for what it knows."""
    statement = (
        select(Task)
        .where(select(DecisionRow.id).where(DecisionRow.task_id == Task.id).exists())
        .order_by(Task.id.desc())
        .limit(limit)
    )
    if task_type:
        statement = statement.where(Task.task_type == task_type)
    if since_ms:
        statement = statement.where(Task.created_at >= clock.from_ms(since_ms))
    for task in (await session.scalars(statement)).all():
        found = await _recorded(session, task)
        if found is not None:
            yield found


async def _recorded(session: AsyncSession, task: Task) -> Recorded | None:
    row = await session.scalar(
        select(DecisionRow).where(DecisionRow.task_id == task.id).order_by(DecisionRow.number.desc()).limit(1)
    )
    if row is None:
        return None
    record = msgspec.json.decode(row.record, type=Record)
    given = await session.execute(
        select(Submission.id, Submission.output, Submission.created_at).where(Submission.task_id == task.id)
    )
    known = {name: (output, at) for name, output, at in given.all()}
    answers = sorted(
        (one for one in record.answers if one.submission in known), key=lambda one: one.submission
    )
    if not answers:
        return None
    truth = await _truth(session, task, {name: output for name, (output, _) in known.items()})
    created = clock.to_ms(task.created_at)
    return Recorded(
        task=task.id,
        organisation=task.organisation_id,
        task_type=task.task_type,
        risk=task.risk_tier,
        environment=task.environment,
        stages=answers[0].stages,
        payout_msat=task.payout_msat,
        question=Question(
            payload=task.payload,
            schema=task.output_schema,
            outputs={name: output for name, (output, _) in known.items()},
        ),
        answers=answers,
        took_ms=[clock.to_ms(known[one.submission][1]) - created for one in answers],
        record=record,
        truth=truth,
    )


async def _truth(session: AsyncSession, task: Task, outputs: dict[str, Any]) -> Any:
    """The right answer as a reviewer or gold knows it; None where nobody does."""
    if task.organisation_id == GOLD_ORGANISATION:
        statement = select(GoldItem.answer).join(GoldExposure, GoldExposure.gold_id == GoldItem.id)
        return await session.scalar(
            statement.where(GoldExposure.task_id == task.id, GoldExposure.state != "undone")
        )
    review = await session.scalar(
        select(Review).where(
            Review.task_id == task.id, Review.kind.in_(["qa", "spot"]), Review.state == "decided"
        )
    )
    if review is None or review.outcome is None:
        return None
    if review.outcome.get("output") is not None:
        return review.outcome["output"]
    right = [outputs[name] for name in review.outcome.get("right", []) if name in outputs]
    return right[0] if right else None


def _record(one: Recorded, needed: Requirement, count: int, *, closing: bool) -> Record:
    return msgspec.structs.replace(
        one.record,
        requirement=needed,
        answers=one.answers[:count],
        under_way=0,
        unjudged=0,
        closing=closing,
    )


def _wrong(output: Any, truth: Any, policy: Any, schema: dict[str, Any]) -> bool:
    [found] = consensus.agreements([consensus.Answer(worker="decided", output=output)], truth, policy, schema)
    return not found.agreed


def _quantile(values: Sequence[int], share: float) -> float | None:
    """In seconds; the value at or above which the rest lies."""
    return values[min(len(values) - 1, int(len(values) * share))] / 1000 if values else None
