"""What follows from the answers that a task has: it is verified, another person is asked, a reviewer decides, or it has
failed. Pure: everything that the decision rests on is in a `Record`, so that `hub task replay` can make it again, byte for
byte. Called by `decide.py`, `replay.py` and `backtest.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from core.tasks.types import Rule, TaskType
from core.verification import consensus
from core.verification.anomaly.voices import voices
from core.verification.consensus import Agreement, Answer, Book, Certificate, ConsensusPolicy, FieldResult
from core.verification.pipeline import Failed, Passed, after
from core.verification.policy import Level, Otherwise, Requirement
from core.verification.stage import Evidence, Outcome, Reason, Verdict
from core.verification.stages.rules import RulesStage
from core.verification.stages.schema import SchemaStage

MILLION = 1_000_000
ANOMALY = "anomaly"

Counter = tuple[str, str, str, float]  # field, truth, answer, value


class Step(StrEnum):
    VERIFIED = "verified"  # given out, and those who agreed are paid
    ANOTHER = "another"  # one more person is asked
    WAIT = "wait"  # others are at it
    QA = "qa"  # a reviewer decides
    FAILED = "failed"  # none of these answers is given out


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: its submission, whose it is, the stages that it had to pass and their verdicts."""

    submission: str
    worker: str
    stages: list[str]
    verdicts: list[Verdict]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a decision rests on but the answers themselves, which are never changed and named here. `under_way`
    people are offered the task or work on it, `unjudged` answers are on their way through the stages; `closing`: nobody
    can answer any more. `pool` and `workers` are the counters of consensus as they were, `draw` (below a million) the
    dice of the spot check, `rules` what an answer put together of several has to pass like any other."""

    version: int = (
        1  # 2: who is doubted vouches for nobody (`heard`); 3: an answer that holds nothing is not certain
    )
    task: str
    task_type: str
    requirement: Requirement
    answers: list[Given]
    under_way: int
    unjudged: int
    closing: bool
    pool: list[Counter]
    workers: dict[str, list[Counter]]
    certificate: Certificate | None
    draw: int
    rules: list[Rule] = []


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is done, the stable code why, and what it rests on. `counted` are the submissions that are paid, `refused` the
    others with what their workers are told; `bound` is the calibrated upper bound of error (None: uncertified) from
    `audits` audited tasks. `spot`: a reviewer looks at it afterwards. `short`: fewer answered than were wanted."""

    step: Step
    reason: str
    output: Any = None
    counted: list[str] = []
    refused: dict[str, list[Reason]] = {}
    confidence: float | None = None
    bound: float | None = None
    audits: int = 0
    fields: tuple[FieldResult, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    spot: bool = False
    short: bool = False


def encode(value: Record | Decision) -> str:
    """The one text of a record or a decision: keys in the order of the Struct, mappings sorted."""
    return msgspec.json.encode(value, order="deterministic").decode()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and answered: the parts that are kept elsewhere and never change. `outputs` by submission."""

    payload: dict[str, Any]
    schema: dict[str, Any]
    outputs: Mapping[str, Any]


def fold(record: Record, question: Question) -> Decision:
    """The order of the answers plays no part. Answers that a stage refused are none."""
    level = record.requirement.level
    answers = sorted(
        (one for one in record.answers if not isinstance(_stages(one), Failed)), key=lambda one: one.worker
    )
    if record.unjudged:
        return Decision(step=Step.WAIT, reason="unjudged")
    vouching = heard(record)
    speaking = [one for one in answers if one.worker in vouching]
    missing = max(1, level.answers_min) - len(speaking)
    if missing > 0 and not record.closing and len(answers) < max(level.answers_min, level.answers_max):
        enough = record.under_way >= missing
        return Decision(step=Step.WAIT if enough else Step.ANOTHER, reason="too_few")
    if not answers:
        return Decision(step=Step.FAILED, reason="no_answer")
    judged = consensus.judge(
        answers_of(speaking, question),
        book_of(record),
        consensus_policy(level, record.certificate),
        question.schema,
        lambda output: _valid(record, question, output),
        empty_is_sure=record.version < 3,
    )
    if judged.kind is consensus.Kind.ANOTHER and not record.closing and len(answers) < level.answers_max:
        return Decision(
            step=Step.WAIT if record.under_way else Step.ANOTHER,
            reason=judged.reason,
            confidence=judged.confidence,
            bound=judged.bound,
            audits=judged.audits,
        )
    if len(speaking) == 1:  # as it was given, not as consensus would write it
        judged = msgspec.structs.replace(
            judged, output=question.outputs[speaking[0].submission], source="worker"
        )
    # It ends although another would have been bought, or somebody is judged who had no say in it.
    if judged.source != "none" and (not judged.agreements or len(speaking) < len(answers)):
        policy = consensus_policy(level, record.certificate)
        agreed = consensus.agreements(answers_of(answers, question), judged.output, policy, question.schema)
        judged = msgspec.structs.replace(judged, agreements=agreed)
    return _ended(record, answers, judged, vouching, short=missing > 0)


def heard(record: Record) -> set[str]:
    """The workers whose answers vouch for each other: those that nothing is held against (`anomaly/voices.py`), of those
    that no stage refused."""
    doubts = {
        one.worker: doubts_of(one.verdicts) if record.version >= 2 else []
        for one in record.answers
        if not isinstance(_stages(one), Failed)
    }
    return voices(doubts)


def doubts_of(verdicts: Sequence[Verdict]) -> list[str]:
    """The open marks of the worker, and what the anomaly stage could not let pass of the answer itself."""
    found: list[str] = []
    for verdict in verdicts:
        if verdict.stage == ANOMALY:
            found += (verdict.evidence or {}).get("marked", [])
            found += [reason.code for reason in verdict.reasons if verdict.outcome is Outcome.UNSURE]
    return found


def answers_of(answers: list[Given], question: Question) -> list[Answer]:
    return [Answer(worker=one.worker, output=question.outputs[one.submission]) for one in answers]


def _valid(record: Record, question: Question, output: Any) -> bool:
    """Whether an answer put together of several would have passed as one person's."""
    evidence = Evidence(
        payload=question.payload,
        output=output,
        output_schema=question.schema,
        task_type=TaskType(name=record.task_type, title=record.task_type, rules=record.rules),
    )
    return all(judge(evidence).outcome is Outcome.PASS for judge in (SchemaStage().judge, RulesStage().judge))


def book_of(record: Record) -> Book:
    return Book(
        pool=counts_of(record.pool),
        workers={worker: counts_of(rows) for worker, rows in record.workers.items()},
        certificate=record.certificate,
    )


def consensus_policy(level: Level, certificate: Certificate | None) -> ConsensusPolicy:
    """Without a certificate, where that does not hold an answer back, the raw confidence decides when to stop buying."""
    promised = certificate is not None or level.uncertified is not Otherwise.RELEASE
    return ConsensusPolicy(
        rho=level.rho if promised else None,
        release=level.confidence,
        least=level.answers_min,
        most=level.answers_max,
    )


def _ended(
    record: Record, answers: list[Given], judged: consensus.Decision, vouching: set[str], *, short: bool
) -> Decision:
    """No further answer is bought: given out, looked at, or refused."""
    level = record.requirement.level
    agreed = _agreed(judged.agreements)
    counted = [one.submission for one in answers if one.worker in agreed]
    told = {one.worker: _differs(one) for one in judged.agreements}
    nothing = [Reason(code="consensus_differs", message="The answers contradict each other")]
    base = Decision(
        step=Step.VERIFIED,
        reason=judged.reason,
        output=judged.output,
        counted=counted,
        refused={
            one.submission: told.get(one.worker, nothing) for one in answers if one.worker not in agreed
        },
        confidence=judged.confidence,
        bound=judged.bound,
        audits=judged.audits,
        fields=judged.fields,
        agreements=judged.agreements,
        short=short,
    )
    doubt, otherwise = _doubt(record, answers, judged, len(agreed & vouching), short=short)
    if record.requirement.test and otherwise is Otherwise.QA:
        otherwise = Otherwise.REFUSE if doubt == "unsure" else Otherwise.RELEASE
    if judged.source == "none" and otherwise is Otherwise.RELEASE:  # there is nothing that could be given out
        doubt, otherwise = doubt or "undecided", Otherwise.REFUSE
    match otherwise:
        case Otherwise.QA:
            return msgspec.structs.replace(base, step=Step.QA, reason=doubt)
        case Otherwise.REFUSE:
            why = _unsure(answers) or [Reason(code=doubt, message="This answer could not be verified")]
            return Decision(
                step=Step.FAILED,
                reason=doubt,
                refused={one.submission: why for one in answers},
                confidence=judged.confidence,
                bound=judged.bound,
                audits=judged.audits,
            )
        case Otherwise.RELEASE:
            spot = record.draw < round(level.spot_check * MILLION)
            return msgspec.structs.replace(base, reason=doubt or judged.reason, spot=spot)


def _doubt(
    record: Record, answers: list[Given], judged: consensus.Decision, agreed: int, *, short: bool
) -> tuple[str, Otherwise]:
    """The first doubt that the policy does not let pass, with what it says then; else the first that it lets pass."""
    level = record.requirement.level
    single = level.answers_max == 1
    verified = judged.kind is consensus.Kind.VERIFIED
    uncertified = not verified and (single or judged.reason in ("uncertified", "certified"))
    doubts = [
        ("unsure", level.unsure, bool(_unsure(answers)) and agreed < 2),
        ("always_qa", Otherwise.QA, level.always_qa),
        ("short", level.short, short),
        ("undecided", level.undecided, not verified and not uncertified and judged.reason != "too_few"),
        ("uncertified", level.uncertified, uncertified),
    ]
    found = [(name, otherwise) for name, otherwise, applies in doubts if applies]
    strict = [one for one in found if one[1] is not Otherwise.RELEASE]
    return next(iter([*strict, *found]), ("", Otherwise.RELEASE))


def _agreed(agreements: tuple[Agreement, ...]) -> set[str]:
    """Who is paid. When the answer was put together so that nobody gave all of it, those who gave the most of it."""
    agreed = {one.worker for one in agreements if one.agreed}
    best = max((one.share for one in agreements), default=0.0)
    return agreed or {one.worker for one in agreements if one.share == best}


def _differs(agreement: Agreement) -> list[Reason]:
    """What a worker is told who did not agree: where, and what was established; never who said what."""
    return [
        Reason(code="consensus_differs", message=said, pointer=pointer)
        for pointer, said in agreement.differs.items()
    ] or [Reason(code="consensus_differs", message="Differs from what was established")]


def _stages(given: Given) -> Passed | Failed | Any:
    return after(given.stages, given.verdicts)


def _unsure(answers: list[Given]) -> list[Reason]:
    return [reason for one in answers if isinstance(step := _stages(one), Passed) for reason in step.unsure]


def counts_of(rows: list[Counter]) -> dict[tuple[str, str, str], float]:
    return {(field, truth, answer): value for field, truth, answer, value in rows}
