"""What the bank answered about the payments of confirmed batches: a CSV with `reference,status,reason`, taken in line by
line. A line that cannot be true is named, and nothing of it is done. Called by `hub bank import` and the operator's page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from sqlalchemy import select

from core.audit.record import record as audit
from core.bank.queries import RAIL
from core.bank.states import BatchState
from core.bank.tables import BankBatch
from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.payouts.case import Case, load
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Capabilities, Outcome, PaymentResult
from core.payouts.record import IN_DOUBT, record, reverse
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt

MOST_LINES = 10_000
LONGEST_REASON = 200


class Status(StrEnum):
    PAID = "paid"
    REJECTED = "rejected"  # it never left, or came back before it was reported as paid
    RETURNED = "returned"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file; `number` counts from 1, the heading included."""

    number: int
    reference: str
    status: str
    reason: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a line: `done`, `already` known, or `refused` with `why`."""

    number: int
    reference: str
    status: str
    outcome: str
    why: str = ""


def read(text: str) -> list[Answer]:
    """Raises Invalid for a file that is none, or has no `reference` and `status`."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        lines = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise _no_file(f"line {rows.line_num} is not CSV: {error}") from error
    heading = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    if "reference" not in heading or "status" not in heading:
        raise _no_file("its first line must name the columns: reference,status,reason")
    if len(lines) > MOST_LINES:
        raise _no_file(f"it has more than {MOST_LINES} lines; send it in parts")
    found: list[Answer] = []
    for number, row in lines[1:]:
        cells = dict(zip(heading, map(_printable, row), strict=False))
        if any(cells.values()):
            found.append(
                Answer(
                    number=number,
                    reference=cells.get("reference", "").upper(),
                    status=cells.get("status", "").lower(),
                    reason=cells.get("reason", "")[:LONGEST_REASON],
                )
            )
    return found


def _printable(cell: str) -> str:
    """Also without U+0000, which PostgreSQL takes in no text."""
    return "".join(one for one in cell if one.isprintable()).strip()


async def import_answers(
    tx: Transaction, text: str, operator: str, *, capabilities: Capabilities, limits: PayoutLimits
) -> list[Told]:
    """Every line with what became of it; the same file again changes nothing. `capabilities` are those of the rail.
    Raises Invalid when it is no such file: then nothing is done."""
    answers = read(text)
    attempts = await _attempts(tx, {answer.reference for answer in answers})
    payout_ids = sorted({one.payout_id for found in attempts.values() for one in found})
    query = select(Payout.id).where(Payout.id.in_(payout_ids)).order_by(Payout.id).with_for_update()
    await tx.session.execute(query)
    tx.session.expire_all()
    seen: dict[tuple[str, str], int] = {}
    report: list[Told] = []
    for answer in answers:
        first = seen.setdefault((answer.reference, answer.status), answer.number)
        if first != answer.number:
            outcome, why = "refused", f"the same as line {first}"
        else:
            outcome, why = await _take(tx, answer, attempts.get(answer.reference, []), capabilities, limits)
        report.append(
            Told(
                number=answer.number,
                reference=answer.reference,
                status=answer.status,
                outcome=outcome,
                why=why,
            )
        )
    counts = {name: sum(one.outcome == name for one in report) for name in ("done", "already", "refused")}
    await audit(tx, actor=operator, action="bank_answers.imported", subject=RAIL, **counts)
    return report


async def _attempts(tx: Transaction, references: set[str]) -> dict[str, list[PayoutAttempt]]:
    """Of confirmed batches alone: what is in no file cannot have been answered by a bank."""
    query = (
        select(PayoutAttempt)
        .join(BankBatch, BankBatch.id == PayoutAttempt.batch_id)
        .where(
            PayoutAttempt.rail == RAIL,
            PayoutAttempt.reference.in_(sorted(references)),
            BankBatch.state == str(BatchState.CONFIRMED),
        )
    )
    found: dict[str, list[PayoutAttempt]] = {}
    for attempt in await tx.session.scalars(query):
        found.setdefault(attempt.reference, []).append(attempt)
    return found


async def _take(
    tx: Transaction,
    answer: Answer,
    attempts: Sequence[PayoutAttempt],
    capabilities: Capabilities,
    limits: PayoutLimits,
) -> tuple[str, str]:
    """Outcome and why."""
    if answer.status not in set(Status):
        return "refused", f"the status must be one of {', '.join(Status)}"
    if not attempts:
        return "refused", "no payment of a confirmed batch has this reference"
    if len(attempts) > 1:
        return "refused", "several payments have this reference, so that nobody can tell which one is meant"
    await tx.session.refresh(attempts[0])
    attempt, status = attempts[0], Status(answer.status)
    case = await load(tx.session, attempt.payout_id)
    state = PayoutState(attempt.state)
    if state in IN_DOUBT and case.sent.id == attempt.id:
        await record(tx, case, _result(status, answer), capabilities, limits)
        return "done", ""
    return await _ended(tx, case, state, status, answer)


def _result(status: Status, answer: Answer) -> PaymentResult:
    if status is Status.PAID:
        return PaymentResult(outcome=Outcome.SETTLED)
    return PaymentResult(
        outcome=Outcome.FAILED, reason=f"the bank {status} it: {answer.reason or 'no reason'}"
    )


async def _ended(
    tx: Transaction, case: Case, state: PayoutState, status: Status, answer: Answer
) -> tuple[str, str]:
    """An answer about a payment that has an end already."""
    match state, status:
        case (PayoutState.SETTLED, Status.PAID) | (PayoutState.REVERSED, Status.RETURNED):
            return "already", ""
        case PayoutState.FAILED, Status.REJECTED | Status.RETURNED:
            return "already", ""
        case PayoutState.SETTLED, Status.RETURNED:
            await reverse(tx, case, answer.reason or "the bank returned it")
            return "done", ""
        case PayoutState.SETTLED, _:
            return "refused", "it was reported as paid; if the money came back, its status is `returned`"
        case PayoutState.FAILED, _:
            return (
                "refused",
                "it was reported as not paid, and the payout went on; ask the bank which is true: it may be paid twice",
            )
        case PayoutState.REVERSED, Status.PAID:
            return "already", ""
        case _:
            return "refused", f"this payment is {state}"


def _no_file(why: str) -> Invalid:
    return Invalid(
        "bad_answers", f"This file of the bank's answers cannot be read: {why}", field_errors={"file": why}
    )
