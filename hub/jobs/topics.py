"""Every topic of the outbox with what runs for it: the whole life of a task in one table. Handlers are one line of
glue; the work is in `core`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from core.access.sealing import Sealer
from core.billing import actions as billing
from core.billing import monthly, top_ups
from core.callbacks import actions as callbacks
from core.db.unit_of_work import Transaction, UnitOfWork
from core.intake import process as intake
from core.outbox.rows import Lease
from core.payouts import actions as payouts
from core.payouts import holds
from core.payouts.convert import convert
from core.payouts.limits import PayoutLimits
from core.receipts import actions as receipts
from core.receipts.model import Kind
from core.replies import actions as replies
from core.replies import compose as composing
from core.routing import actions as routing
from core.routing import more, sla, suspended
from core.secret import Secret
from core.verification import actions as verification
from core.verification import asking, gold, marked, ruling
from core.verification.anomaly import review as anomaly_review
from core.workers import availability, quizzes
from core.workers.standing import on_evidence
from core.workers.suspensions import overdue
from hub.jobs import payout_watch, reconcile, upkeep
from hub.jobs.run import Handler
from hub.wiring import Wiring


def _intake(wiring: Wiring) -> Handler:
    s = wiring.services

    async def handle(lease: Lease) -> None:
        usd_per_btc = lambda: s.rates.to_reserve().usd_per_btc  # noqa: E731 - asked only when there is a task to price
        understand = wiring.connectors.understand
        await intake.process(s.work, lease, understand, s.types, usd_per_btc, s.rates.spread_percent)

    return handle


def _anomaly(wiring: Wiring) -> Handler:
    s = wiring.services
    held = functools.partial(marked.hold_unpaid, rules=s.types.checks.marks)

    async def dropped(tx: Transaction, mark_id: str, why: str) -> None:
        await marked.clear(tx, mark_id, actor="hub", note=why)

    return lambda lease: anomaly_review.run(s.work, lease, held, dropped)


def _fund(tx: Transaction, lease: Lease) -> Awaitable[int]:
    return billing.fund_waiting(tx, lease.subject, lease.body["environment"])


def topics(wiring: Wiring) -> Mapping[str, Handler]:
    """Topic -> handler. A handler ends its job itself (`finishing`), in the transaction of its last effect."""
    s = wiring.services
    connectors = wiring.connectors
    limits = PayoutLimits.from_sats(wiring.settings.payouts)
    issuer = receipts.Issuer(hub=s.settings.public_url, sealer=s.sealer)
    local = functools.partial(_local, s.work)

    def sign(kind: Kind) -> Handler:
        return local("receipts.issue", lambda tx, lease: receipts.issue(tx, kind, lease.subject, issuer))

    timer = functools.partial(sla.ring, types=s.types, policy=wiring.policy)
    lapse = functools.partial(routing.lapse, policy=wiring.policy)
    ask_more = functools.partial(more.ask_more, types=s.types, policy=wiring.policy, draw=asking.drawn)
    return {
        # in
        "inbound.received": _intake(wiring),
        "connector.reconcile": lambda lease: reconcile.run(s.work, lease, wiring.book, wiring.tools),
        # to a person
        "task.posted": lambda lease: routing.offer_posted(s.work, lease, s.types, wiring.policy),
        "worker.free": lambda lease: routing.offer_waiting(s.work, lease, s.types, wiring.policy),
        "assignment.lapse": local("routing.lapse", lapse),
        "task.more": local("routing.more", ask_more),
        **{topic: local("routing.timer", timer) for topic in sla.TOPICS},
        "worker.suspended": lambda lease: suspended.withdraw(s.work, lease),
        "worker.hours": local("workers.hours", availability.ring),
        "skill.lapse": local("workers.skill_lapsed", quizzes.lapse_skill),
        "quiz.lapse": local("workers.quiz_lapsed", quizzes.lapse_attempt),
        "appeal.due": local("workers.appeal_due", lambda tx, lease: overdue(tx, lease.subject)),
        "worker.evidence": local("workers.reconsider", functools.partial(on_evidence, trust=s.trust)),
        # from the answer to the money
        "submission.received": lambda lease: verification.advance(s.work, lease, s.types, s.plans, s.rate),
        "task.decide": lambda lease: verification.decide_now(s.work, lease, s.types, s.plans, s.rate),
        "gold.offer": local("gold.offer", lambda tx, lease: gold.offer(tx, lease, s.types, s.policy)),
        "review.due": local("reviews.due", lambda tx, lease: ruling.due(tx, lease, s.types, s.plans)),
        "payout.earned": lambda lease: convert(s.work, lease, s.plans, s.rate),
        "payout.reserved": lambda lease: payouts.pay(s.work, lease, wiring.means, limits),
        "payout.check": lambda lease: payouts.check(s.work, lease, wiring.means, limits),
        "payout.look_back": lambda lease: payouts.look_back(s.work, lease, wiring.means),
        "payout.watch": lambda lease: payout_watch.watch(s.work, lease, s.rails, limits),
        "rail.reconcile": lambda lease: payout_watch.reconcile_rail(s.work, lease, s.rails),
        "ledger.check": lambda lease: payout_watch.check_books(s.work, lease, s.rails),
        "billing.credited": local("billing.fund_waiting", _fund),
        "top_up.look": lambda lease: top_ups.look(s.work, lease, s.rails),
        "billing.close_month": lambda lease: monthly.close_months(s.work, lease, s.plans),
        "receipt.verified": sign(Kind.VERIFIED),
        "receipt.settled": sign(Kind.SETTLED),
        "receipt.reversed": sign(Kind.REVERSED),
        # back out
        "task.ended": lambda lease: composing.compose(s.work, lease, connectors.plan),
        "task.corrected": lambda lease: composing.correct(s.work, lease, connectors.plan),
        "reply.send": lambda lease: replies.deliver(s.work, lease, connectors.delivery),
        "task.event": lambda lease: callbacks.fan_out(s.work, lease),
        "hub.upkeep": lambda lease: upkeep.run(s.work, lease, wiring.policy),
        "anomaly.review": _anomaly(wiring),
        "payout.hold_over": local("payouts.hold_over", holds.over),
        "callback.send": lambda lease: callbacks.deliver(s.work, lease, s.outbound.post, _unseal(s.sealer)),
    }


def _unseal(sealer: Sealer) -> Callable[[str], Secret]:
    return lambda sealed: Secret(sealer.unseal(sealed))


def _local(work: UnitOfWork, name: str, act: Callable[[Any, Lease], Awaitable[Any]]) -> Handler:
    """A handler whose effects are all in the database: one transaction, done with it."""

    async def handle(lease: Lease) -> None:
        async with work.finishing(lease, name) as tx:
            await act(tx, lease)

    return handle
