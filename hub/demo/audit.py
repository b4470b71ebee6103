"""What `hub demo --check` asks: how far the demo is, and whether everything that it says happened did happen: in the
books, at the node that pays and in the simulated PagerDuty."""

from __future__ import annotations

from typing import cast

import aiohttp
import msgspec
from sqlalchemy import func, select

from connectors.pagerduty.settings import PagerDutySettings
from connectors.rails.sandbox import SandboxRail
from core.callbacks.states import CallbackState
from core.callbacks.tables import CallbackDelivery
from core.ledger.balances import check
from core.payouts.rail import Outcome, Rail, Recording
from core.payouts.states import PayoutState
from core.payouts.tables import Payout, PayoutAttempt
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.verification.anomaly import marks
from hub.wiring import Wiring


class Progress(msgspec.Struct, frozen=True):
    paid: int
    notes: int
    callbacks: int


async def progress(wiring: Wiring) -> Progress:
    async with wiring.services.work.read() as session:
        paid = await session.scalar(select(func.count()).where(Payout.state == PayoutState.SETTLED))
        notes = await session.scalar(select(func.count()).where(Reply.state == ReplyState.DELIVERED))
        callbacks = await session.scalar(
            select(func.count()).where(CallbackDelivery.state == CallbackState.DELIVERED)
        )
    return Progress(paid or 0, notes or 0, callbacks or 0)


async def audit(wiring: Wiring) -> list[str]:
    """Every contradiction found; empty when the hub, its node and the ticket system tell the same story."""
    services = wiring.services
    async with services.work.read() as session:
        problems = [str(problem) for problem in await check(session)]
        settled = {
            row.payment_hash: row
            for row in await session.scalars(
                select(PayoutAttempt).where(PayoutAttempt.state == PayoutState.SETTLED)
            )
        }
        replies = list(await session.scalars(select(Reply).where(Reply.state == ReplyState.DELIVERED)))
    for rail in services.rails.values():
        for paid in await _paid_by(rail):
            if paid.times > 1:
                problems.append(f"the node paid {paid.payment_hash} {paid.times} times")
            attempt = settled.pop(paid.payment_hash, None)
            if attempt is not None and attempt.amount_msat != paid.amount_msat:
                problems.append(
                    f"{attempt.id}: the node paid {paid.amount_msat} msat, the books say {attempt.amount_msat}"
                )
    problems.extend(
        f"{attempt.id} is settled in the books and unknown to the node" for attempt in settled.values()
    )
    for reply in replies:
        problems.extend(await _note_problems(wiring, reply))
    return problems


# Who has to be caught, for one of these at least; the honest ones must not be.
CAUGHT = {
    "sloppy": {"fast", "repeats", "unskilled", "constant"},
    "copycat-a": {"pair"},
    "copycat-b": {"pair"},
}


async def caught(wiring: Wiring, worker_ids: dict[str, str]) -> tuple[list[str], list[str]]:
    """(who was caught and how, what is missing): the marks that the detectors opened, by the demo's names."""
    told: list[str] = []
    problems: list[str] = []
    async with wiring.services.work.read() as session:
        for name, worker_id in sorted(worker_ids.items()):
            opened = {one.kind: one for one in await marks.of_worker(session, worker_id) if not one.closed_at}
            found = sorted(CAUGHT.get(name, set()) & opened.keys())
            if name in CAUGHT and not found:
                problems.append(f"{name} was not caught")
            if name not in CAUGHT and opened.keys() - {"shared"}:
                problems.append(f"{name} is honest and marked: {', '.join(sorted(opened))}")
            told += [f"{name}: {opened[kind].words} (p = {opened[kind].p_value:.0e})" for kind in found]
    return told, problems


class _Paid(msgspec.Struct, frozen=True):
    payment_hash: str
    amount_msat: int
    times: int


async def _paid_by(rail: Rail) -> list[_Paid]:
    """What the rail's own node says that it paid. A second payment of one hash shows in Electrum's history as its fee."""
    if isinstance(rail, SandboxRail):
        return [_Paid(one.payment_hash, one.amount_msat, one.settled_count) for one in await rail.history()]
    if not isinstance(rail, Recording):
        return []
    return [
        _Paid(one.payment_hash, one.amount_msat, 1 + one.fee_msat // one.amount_msat)
        async for one in rail.payments(0)
        if one.outcome is Outcome.SETTLED
    ]


async def _note_problems(wiring: Wiring, reply: Reply) -> list[str]:
    """One note with our marker on the incident, no more and no less."""
    settings = wiring.book[reply.connector].settings
    secret = cast("PagerDutySettings", settings).auth.api_token.entries[0].secret.reveal()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Token token={secret}"}) as http,
        http.get(f"{settings.test_base_url}/incidents/{reply.ticket_id}/notes") as answer,
    ):
        notes = (await answer.json())["notes"]
    ours = [note for note in notes if reply.marker in note["content"]]
    return [] if len(ours) == 1 else [f"incident {reply.ticket_id} has {len(ours)} notes of {reply.id}"]
