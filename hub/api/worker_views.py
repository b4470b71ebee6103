"""What `/worker/api` shows: turns, one task in full, the worker. Made from the same values as the worker pages."""

from __future__ import annotations

from typing import Any

import msgspec

from core import clock
from core.money import MSAT_PER_SAT
from core.payouts.queries import PayoutLine, PayoutTotals
from core.workers.availability import Off
from core.workers.model import Profile
from hub.pages.desk import Card, Pay, Sheet


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of what goes out: camelCase, times in ISO form, dollars as text."""


class PayView(View, frozen=True, kw_only=True):
    """`promised` is the currency in which the amount is fixed; the other one is as of now."""

    sats: int
    usd: str | None
    promised: str


class PayoutView(View, frozen=True, kw_only=True):
    id: str
    state: str
    words: str
    note: str | None
    sats: int
    rail: str | None
    payment_hash: str | None
    preimage: str | None
    settled_at: str | None


class TurnView(View, frozen=True, kw_only=True):
    """`expiresAt` ends an offer, `dueAt` is when the task is taken back; `why` says what was decided and why."""

    id: str
    task_id: str
    task_type: str
    title: str
    kind: str
    state: str
    outcome: str
    why: str
    pay: PayView
    offered_at: str
    expires_at: str
    due_at: str
    ended_at: str | None
    payout: PayoutView | None


class TurnList(View, frozen=True, kw_only=True):
    """`serverTime` is the clock that the deadlines are on."""

    data: list[TurnView]
    server_time: str
    has_more: bool = False
    next_cursor: str | None = None


class MessageView(View, frozen=True, kw_only=True):
    """What somebody said about the ticket after the task was made."""

    author: str | None
    text: str
    at: str


class LateView(View, frozen=True, kw_only=True):
    """What becomes of a late answer: `paid`, it is judged until `until` and paid in full if it is the first that passes; else it
    is not taken. `now`: the task was taken back, and an answer would still be taken. `nearlyUp`: the time is nearly over."""

    paid: bool
    until: str
    now: bool
    nearly_up: bool


class TaskView(View, frozen=True, kw_only=True):
    """One task in full. `mayExtend`: more time may be asked for, once. `usualMinutes`: nine in ten such answers of theirs come
    within. `draft` is the posted form so far (see PUT draft), `output` the answer once given, `messages`
    what was said about the ticket since, oldest first."""

    id: str
    task_type: str
    title: str
    instructions: str
    payload: dict[str, Any]
    schema: dict[str, Any]
    turn: TurnView
    deadline: str
    pay: PayView
    server_time: str
    late: LateView
    may_extend: bool
    usual_minutes: int | None
    draft: dict[str, list[str]] | None
    output: Any
    messages: list[MessageView]


class OffView(View, frozen=True, kw_only=True):
    """Why no offers come: `suspended`, `paused`, `declined_in_a_row` (the hub paused them) or `hours`, until `until`."""

    why: str
    until: str | None


class MeView(View, frozen=True, kw_only=True):
    """`off` is null while offers may come."""

    id: str
    name: str
    environment: str
    test_money: bool
    available: bool
    capacity: int
    load: int
    payout_address: str | None
    paid_sats: int
    paid_answers: int
    on_its_way_sats: int
    owed_sats: int
    server_time: str
    off: OffView | None


class SignedInView(View, frozen=True, kw_only=True):
    token: str
    expires_in: int


class TurnState(View, frozen=True, kw_only=True, omit_defaults=True):
    """`paused`: this was one refusal too many in a row, and the offers are switched off."""

    id: str
    state: str
    paused: bool = False


def whole_sats(msat: int) -> int:
    """Payouts are whole satoshis; a sum of them is too."""
    return msat // MSAT_PER_SAT


def turn_view(card: Card) -> TurnView:
    return TurnView(
        id=card.id,
        task_id=card.task_id,
        task_type=card.task_type,
        title=card.title,
        kind=card.kind,
        state=card.state,
        outcome=card.outcome,
        why=card.why,
        pay=pay_view(card),
        offered_at=clock.iso(card.offered_at),
        expires_at=clock.iso(card.expires_at),
        due_at=clock.iso(card.due_at),
        ended_at=None if card.ended_at is None else clock.iso(card.ended_at),
        payout=None if card.payout is None else _payout(card.payout),
    )


def _payout(line: PayoutLine) -> PayoutView:
    return PayoutView(
        id=line.id,
        state=line.state,
        words=line.words,
        note=line.note,
        sats=whole_sats(line.amount_msat),
        rail=line.rail,
        payment_hash=line.payment_hash,
        preimage=line.preimage,
        settled_at=None if line.settled_at is None else clock.iso(line.settled_at),
    )


def pay_view(card: Card) -> PayView:
    return pay_view_of(card.pay)


def pay_view_of(pay: Pay) -> PayView:
    return PayView(
        sats=whole_sats(pay.msat),
        usd=None if pay.usd is None else format(pay.usd, "f"),
        promised=pay.promised,
    )


def task_view(sheet: Sheet) -> TaskView:
    return TaskView(
        id=sheet.card.id,
        task_type=sheet.card.task_type,
        title=sheet.card.title,
        instructions=sheet.instructions,
        payload=sheet.payload,
        schema=sheet.schema,
        turn=turn_view(sheet.card),
        deadline=clock.iso(sheet.card.due_at),
        pay=pay_view(sheet.card),
        server_time=clock.iso(clock.now()),
        late=LateView(
            paid=sheet.late.paid,
            until=clock.iso(sheet.late.until),
            now=sheet.late.now,
            nearly_up=sheet.late.woken,
        ),
        may_extend=sheet.may_extend,
        usual_minutes=sheet.late.usual_minutes,
        draft=sheet.draft,
        output=sheet.output,
        messages=[
            MessageView(author=one.author, text=one.text, at=clock.iso(one.at)) for one in sheet.messages
        ],
    )


def me_view(name: str, worker: Profile, off: Off | None, earned: PayoutTotals, *, play: bool) -> MeView:
    return MeView(
        id=worker.id,
        name=name,
        environment=worker.environment,
        test_money=play,
        available=worker.available,
        capacity=worker.capacity,
        load=worker.load,
        payout_address=worker.payout_address,
        paid_sats=whole_sats(earned.paid_msat),
        paid_answers=earned.paid_count,
        on_its_way_sats=whole_sats(earned.on_its_way_msat),
        owed_sats=whole_sats(earned.owed_msat),
        server_time=clock.iso(clock.now()),
        off=None
        if off is None
        else OffView(why=off.why, until=None if off.until is None else clock.iso(off.until)),
    )
