"""What `/worker/api` shows of the queue, the quizzes and the account: made from the same values as the worker pages."""

from __future__ import annotations

import msgspec

from core import clock
from core.workers.hours import Span, to_spans
from core.workers.quiz import Quiz, Shown, shown
from core.workers.quizzes import Chance
from core.workers.tables import (
    QuizAttempt,
    Suspension,
    TierChange,
    Worker,
    WorkerAppeal,
    WorkerSettings,
    WorkerSkill,
)
from core.workers.tiers import Tier, Trust
from hub.api.worker_views import PayView, View, whole_sats
from hub.pages.record import Month, TypeLine
from hub.tier_rules import TierRules


class OpenTask(View, frozen=True, kw_only=True):
    """A question of the queue. `expiresAt` is when its asker wants the answer."""

    task_id: str
    task_type: str
    title: str
    risk: str
    pay: PayView
    expires_at: str


class QueueView(View, frozen=True, kw_only=True):
    data: list[OpenTask]
    server_time: str
    has_more: bool
    next_cursor: str | None


class TurnDue(View, frozen=True, kw_only=True):
    id: str
    state: str
    due_at: str
    server_time: str


class AttemptView(View, frozen=True, kw_only=True):
    """One try at a quiz. `questions` only while it is open: `answers` are the places of their options, from 0. Which of them
    were right is told to nobody; `right` is how many, `needed` how many it takes."""

    id: str
    skill: str
    state: str
    needed: int
    started_at: str
    due_at: str
    ended_at: str | None
    right: int | None
    questions: list[Shown]
    server_time: str


class QuizView(View, frozen=True, kw_only=True):
    """A skill that a quiz leads to, or one that is held (`quiz` false: only an operator grants it). `triesLeft` and
    `nextTryAt` say when it may be begun; `open` is the try that runs, `last` the newest that ended."""

    skill: str
    title: str
    about: str
    quiz: bool
    held: bool
    lapses_at: str | None
    questions: int | None
    needed: int | None
    minutes: int | None
    may_begin: bool
    tries_left: int | None
    next_try_at: str | None
    open: str | None
    last: AttemptView | None


class QuizList(View, frozen=True, kw_only=True):
    data: list[QuizView]
    server_time: str


class SettingsView(View, frozen=True, kw_only=True):
    """`hours` in `timezone`, none: always. `pausedBecause`: why the hub switched the offers off, if it did."""

    timezone: str
    hours: list[Span]
    languages: list[str]
    price_floor_sats: int
    capacity: int
    auto_assign: bool
    may_auto_assign: bool
    available: bool
    paused_because: str | None


class TierView(View, frozen=True, kw_only=True):
    """The published rules of one tier: `enter` and `leave` as `config/trust.yaml` has them, and in words what its workers may
    do, what lets somebody in (all of it) and what lets them fall (any of it)."""

    tier: int
    name: str
    about: str
    may: list[str]
    risks: list[str]
    comes_in: list[str]
    falls: list[str]
    auto_assign: bool
    enter: dict[str, float | int | bool]
    leave: dict[str, float | int | bool]


class TierList(View, frozen=True, kw_only=True):
    """`rules` hold for all tiers, a sentence each."""

    data: list[TierView]
    rules: list[str]


class TrendView(View, frozen=True, kw_only=True):
    month: str
    share: float
    weight: float


class RecordView(View, frozen=True, kw_only=True):
    """The evidence at one task type: `chance` is the figure that routing uses, `lowerBound` what tiers ask for."""

    task_type: str
    good: float
    bad: float
    chance: float
    lower_bound: float
    months: list[TrendView]


class TierChangeView(View, frozen=True, kw_only=True):
    """`rule` caused it, with the figures of `evidence`."""

    id: str
    at: str
    was: int
    to: int
    rule: str
    evidence: dict[str, object]


class StandingView(View, frozen=True, kw_only=True):
    """`reliability` is what routing uses, `lowerBound` what is shown beyond doubt; `missing` for the next tier."""

    tier: int
    name: str
    may: str
    reliability: float
    lower_bound: float
    missing: list[str]
    records: list[RecordView]
    changes: list[TierChangeView]


class MonthView(View, frozen=True, kw_only=True):
    month: str
    answers: int
    sats: int


class EarningsView(View, frozen=True, kw_only=True):
    """Newest month first (UTC, by the moment of payment)."""

    months: list[MonthView]
    paid_sats: int
    on_its_way_sats: int
    owed_sats: int


class AppealView(View, frozen=True, kw_only=True):
    id: str
    about: str
    subject: str
    state: str
    text: str
    made_at: str
    due_at: str
    answer: str | None
    decided_at: str | None


class SuspensionView(View, frozen=True, kw_only=True):
    id: str
    state: str
    reason: str
    made_at: str
    lifted_at: str | None
    appeal: AppealView | None


class SuspensionList(View, frozen=True, kw_only=True):
    """Newest first. While one is in force nothing is offered; what was earned is paid all the same."""

    suspended: bool
    data: list[SuspensionView]


def attempt_view(row: QuizAttempt, quiz: Quiz | None) -> AttemptView:
    return AttemptView(
        id=row.id,
        skill=row.skill,
        state=row.state,
        needed=row.needed,
        started_at=clock.iso(row.started_at),
        due_at=clock.iso(row.due_at),
        ended_at=None if row.ended_at is None else clock.iso(row.ended_at),
        right=row.right,
        questions=shown(quiz, row.questions) if quiz is not None and row.state == "open" else [],
        server_time=clock.iso(clock.now()),
    )


def quiz_view(skill: str, quiz: Quiz | None, held: WorkerSkill | None, chance: Chance | None) -> QuizView:
    """`held` is the skill as they have it, `chance` whether they may try; None without."""
    last = None if chance is None else chance.last
    lapses_at = None if held is None else held.lapses_at
    return QuizView(
        skill=skill,
        title=skill if quiz is None else quiz.title,
        about="" if quiz is None else quiz.about,
        quiz=quiz is not None,
        held=held is not None,
        lapses_at=None if lapses_at is None else clock.iso(lapses_at),
        questions=None if quiz is None else quiz.draw,
        needed=None if quiz is None else quiz.needed,
        minutes=None if quiz is None else quiz.minutes,
        may_begin=chance is not None and held is None and chance.allowed(clock.now()),
        tries_left=None if chance is None else chance.left,
        next_try_at=None if chance is None or chance.from_ is None else clock.iso(chance.from_),
        open=None if chance is None or chance.open is None else chance.open.id,
        last=None if last is None else attempt_view(last, quiz),
    )


def settings_view(worker: Worker, kept: WorkerSettings | None, trust: Trust) -> SettingsView:
    return SettingsView(
        timezone="UTC" if kept is None else kept.timezone,
        hours=to_spans([] if kept is None else kept.hours),
        languages=worker.languages,
        price_floor_sats=whole_sats(worker.price_floor_msat),
        capacity=worker.capacity,
        auto_assign=worker.auto_assign,
        may_auto_assign=worker.tier in trust.auto_assigned,
        available=worker.available,
        paused_because=None if kept is None else kept.paused_because,
    )


def tier_view(rules: TierRules, one: Tier) -> TierView:
    return TierView(
        tier=rules.number,
        name=rules.name,
        about=rules.about,
        may=rules.may,
        risks=rules.risks,
        comes_in=rules.comes_in,
        falls=rules.falls,
        auto_assign=one.auto_assign,
        enter=msgspec.structs.asdict(one.enter),
        leave=msgspec.structs.asdict(one.leave),
    )


def record_view(one: TypeLine) -> RecordView:
    return RecordView(
        task_type=one.task_type,
        good=one.good,
        bad=one.bad,
        chance=one.chance,
        lower_bound=one.shown,
        months=[TrendView(month=month, share=share, weight=weight) for month, share, weight in one.months],
    )


def change_view(one: TierChange) -> TierChangeView:
    return TierChangeView(
        id=one.id,
        at=clock.iso(one.at),
        was=one.from_tier,
        to=one.to_tier,
        rule=one.rule,
        evidence=dict(one.evidence),
    )


def month_view(one: Month) -> MonthView:
    return MonthView(month=one.month, answers=one.answers, sats=one.sats)


def appeal_view(one: WorkerAppeal) -> AppealView:
    return AppealView(
        id=one.id,
        about=one.about,
        subject=one.subject,
        state=one.state,
        text=one.text,
        made_at=clock.iso(one.made_at),
        due_at=clock.iso(one.due_at),
        answer=one.answer,
        decided_at=None if one.decided_at is None else clock.iso(one.decided_at),
    )


def suspension_view(one: Suspension, appeal: WorkerAppeal | None) -> SuspensionView:
    return SuspensionView(
        id=one.id,
        state=one.state,
        reason=one.reason,
        made_at=clock.iso(one.made_at),
        lifted_at=None if one.lifted_at is None else clock.iso(one.lifted_at),
        appeal=None if appeal is None else appeal_view(appeal),
    )
