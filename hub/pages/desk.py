"""A worker's desk in words: offers, work in hand, history, what it pays. The worker pages and the worker API read the
same values from here, so that both say the same. A task's metadata is never among them."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.errors import HubError
from core.money import Currency, from_msat, to_msat
from core.payouts import queries as payouts
from core.payouts.queries import PayoutLine
from core.rates.model import Rate
from core.routing import queries as routing
from core.routing.extend import may_extend
from core.routing.late import may_answer
from core.routing.model import LateAnswers
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.tables import Assignment
from core.tasks.model import Environment
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.workers import queries as workers
from core.workers.availability import Off, why_off
from core.workers.model import Profile
from hub.services import Services

# Why a turn ended, in the worker's words; what is not here was written for them already.
_REASONS = {
    "offer_expired": "The offer ran out before you answered it.",
    "taken_back": "The time was over, so the question went to somebody else.",
    "suspended": "Your account was suspended before you accepted it.",
    "task_cancelled": "The question was withdrawn.",
    "task_expired": "The time for this question was over.",
    "task_failed": "The question was closed.",
    "answered_by_another": "Somebody else's answer was accepted first.",
}
_OUTCOMES = {
    AssignmentState.OFFERED: ("Offered", "plain"),
    AssignmentState.ACCEPTED: ("In your hands", "plain"),
    AssignmentState.SUBMITTED: ("Being checked", "warn"),
    AssignmentState.COUNTED: ("Accepted", "good"),
    AssignmentState.REFUSED: ("Not accepted", "bad"),
    AssignmentState.DECLINED: ("Declined", "plain"),
    AssignmentState.RELEASED: ("Given back", "plain"),
    AssignmentState.LAPSED: ("Ended", "plain"),
}


class Pay(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer pays. `promised` is the currency in which the amount is fixed; the other one is as of now. `usd`
    is None while there is no rate."""

    msat: int
    usd: Decimal | None
    promised: str


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as a list shows it. `outcome` and `mood` put `state` into a word and a colour, `why` tells the reason."""

    id: str
    task_id: str
    task_type: str
    title: str
    kind: str
    state: str
    outcome: str
    mood: str
    why: str
    pay: Pay
    offered_at: datetime
    expires_at: datetime
    due_at: datetime
    ended_at: datetime | None
    payout: PayoutLine | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said about the ticket after the task was made; `author` is None where the vendor names nobody."""

    author: str | None
    text: str
    at: datetime


class LateTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a late answer, told before it is late. `paid`: it is judged and paid if it is the first that passes,
    until `until`. `now`: the task was taken back, and an answer would still be taken. `woken`: they were told that the time
    is nearly up. `usual_minutes`: nine in ten such answers of theirs come within."""

    paid: bool
    until: datetime
    now: bool
    woken: bool
    usual_minutes: int | None


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One task in full, for who has it. `draft` is the posted form so far, `output` the answer once given, `messages`
    what was said since, oldest first; `may_extend` whether they may ask for more time."""

    card: Card
    instructions: str
    payload: dict[str, Any]
    schema: dict[str, Any]
    draft: dict[str, list[str]] | None
    output: Any
    messages: list[Message]
    late: LateTerms
    may_extend: bool = False


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """`now_ms` is the server's clock, from which every countdown is drawn; `rate` is None while there is none; `off`
    says why there are no offers, None when there may be."""

    worker: Profile
    offers: list[Card]
    work: list[Card]
    now_ms: int
    rate: Rate | None
    off: Off | None = None


def rate_or_none(services: Services) -> Rate | None:
    """A page is still of use when the rate's source is away: then it shows satoshis alone."""
    try:
        return services.rate()
    except HubError:
        return None


def pay_of(task: Task, rate: Rate | None) -> Pay:
    """In satoshis and dollars. Without a rate, the satoshis of a price in dollars are those that were reserved."""
    price, currency = task.payout_amount, Currency(task.payout_currency)
    if currency == Currency.USD:
        msat = task.payout_msat if rate is None else to_msat(price, currency, rate.usd_per_btc)
        return Pay(msat=msat, usd=price, promised=currency)
    msat = to_msat(price, currency, None)
    usd = None if rate is None else from_msat(msat, Currency.USD, rate.usd_per_btc)
    return Pay(msat=msat, usd=usd, promised=currency)


def test_money(services: Services, environment: str) -> bool:
    """True when what is shown cannot be spent: the test environment, or a hub with the sandbox alone."""
    real = any(rail.capabilities.real_money for rail in services.rails.values())
    return environment == Environment.TEST or not real


async def desk(session: AsyncSession, services: Services, worker_id: str) -> Desk:
    """What is offered to the worker and what they have in hand. Raises NotFound for somebody who is no worker."""
    rate = rate_or_none(services)
    worker = await workers.get(session, worker_id)
    return Desk(
        worker=worker,
        offers=[_card(services.types, turn, rate) for turn in await routing.offers(session, worker_id)],
        work=[
            _card(services.types, turn, rate)
            for turn in await routing.work(session, worker_id)
            if turn.assignment.state == AssignmentState.ACCEPTED
        ],
        now_ms=clock.now_ms(),
        rate=rate,
        off=None if worker.available else await why_off(session, worker_id, clock.now_ms()),
    )


async def history(
    session: AsyncSession, services: Services, worker_id: str, *, before: str | None = None, limit: int = 20
) -> tuple[list[Card], str | None]:
    """What the worker answered or let go, newest first, and the cursor of the next page, None at the end."""
    rate = rate_or_none(services)
    turns = await routing.history(session, worker_id, before=before, limit=limit + 1)
    shown = turns[:limit]
    counted = [turn.task.id for turn in shown if turn.assignment.state == AssignmentState.COUNTED]
    paid = await _paid_for(session, worker_id, counted)
    cards = [
        _card(
            services.types,
            turn,
            rate,
            payout=paid.get(turn.task.id),
        )
        for turn in shown
    ]
    return cards, shown[-1].assignment.id if len(turns) > limit else None


async def sheet(session: AsyncSession, services: Services, worker_id: str, assignment_id: str) -> Sheet:
    """Raises NotFound, also for somebody else's."""
    found = await routing.one(session, assignment_id, worker_id)
    counted = found.assignment.state == AssignmentState.COUNTED
    paid = await _paid_for(session, worker_id, [found.task.id] if counted else [])
    turn = routing.Turn(found.assignment, found.task)
    return Sheet(
        card=_card(
            services.types,
            turn,
            rate_or_none(services),
            payout=paid.get(found.task.id),
        ),
        instructions=services.types.of(found.task.task_type).instructions,
        payload=found.task.payload,
        schema=found.task.output_schema,
        draft=found.draft,
        output=None if found.submission is None else found.submission.output,
        messages=[Message(author=one.author, text=one.text, at=one.at) for one in found.messages],
        late=_late_terms(found.assignment, found.task, services.policy.sla.late_answers),
        may_extend=may_extend(found.assignment, found.task),
    )


def _late_terms(turn: Assignment, task: Task, rule: LateAnswers) -> LateTerms:
    p90 = turn.p90_seconds
    return LateTerms(
        paid=rule == LateAnswers.PAID,
        until=task.hard_stop_at,
        now=may_answer(turn, task, rule, clock.now_ms()),
        woken=turn.woken_at is not None,
        usual_minutes=None if p90 is None else max(1, math.ceil(p90 / 60)),
    )


async def _paid_for(session: AsyncSession, worker_id: str, task_ids: list[str]) -> dict[str, PayoutLine]:
    """The worker's payouts for these tasks, by task."""
    if not task_ids:
        return {}
    page = await payouts.payouts_of(session, worker_id, task_ids=task_ids, limit=len(task_ids))
    return {line.task_id: line for line in page.items}


def _shown_kind(kind: str) -> str:
    """Nobody is told that others answer the same question, or that its answer is known."""
    return str(AssignmentKind.BACKUP if kind == AssignmentKind.BACKUP else AssignmentKind.PRIMARY)


def _card(
    types: TaskTypes, turn: routing.Turn, rate: Rate | None, *, payout: PayoutLine | None = None
) -> Card:
    assignment, task = turn
    outcome, mood = _OUTCOMES[AssignmentState(assignment.state)]
    return Card(
        id=assignment.id,
        task_id=task.id,
        task_type=task.task_type,
        title=types.of(task.task_type).title,
        kind=_shown_kind(assignment.kind),
        state=assignment.state,
        outcome=outcome,
        mood=mood,
        why=_REASONS.get(assignment.reason or "", assignment.reason or ""),
        pay=pay_of(task, rate),
        offered_at=assignment.offered_at,
        expires_at=assignment.expires_at,
        due_at=assignment.due_at,
        ended_at=assignment.ended_at,
        payout=payout,
    )
