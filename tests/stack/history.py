"""The history checker: holds what was promised (acknowledged tasks and deliveries) against the database, the ticket
system, the callback sink and the payment node, after the faults have stopped. One list of broken promises."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from connectors.rails.sandbox import FILE_NAME
from connectors.rails.sandbox_controls import SandboxControls
from core.intake.states import InboundState
from core.intake.tables import InboundEvent
from core.ledger.balances import check as check_books
from core.outbox.tables import OutboxRow
from core.payouts.tables import Payout, PayoutAttempt
from core.replies.tables import Reply
from core.tasks.states import ENDED
from core.tasks.tables import Task, TaskEvent
from tests.stack.world import World


async def broken_promises(world: World) -> list[str]:
    """Every contradiction between the stories; empty when all are one."""
    found = [*await _tasks(world), *await _tickets(world), *await _callbacks(world), *await _money(world)]
    async with world.work.read() as session:
        found.extend(f"books: {problem}" for problem in await check_books(session))
        dead = await session.scalars(select(OutboxRow).where(OutboxRow.state == "dead"))
        found.extend(f"dead job {job.topic} {job.subject}: {job.last_error}" for job in dead)
    return found


async def _tasks(world: World) -> list[str]:
    """I1 to I3: what was acknowledged exists once and has ended; every delivery was read."""
    problems: list[str] = []
    async with world.work.read() as session:
        tasks = list(await session.scalars(select(Task)))
        events = list(await session.scalars(select(InboundEvent)))
    ids = {task.id for task in tasks}
    problems.extend(f"acknowledged task {task_id} is gone" for task_id in set(world.acked) - ids)
    problems.extend(f"task {task.id} is still {task.status}" for task in tasks if task.status not in ENDED)
    problems.extend(
        f"delivery {event.delivery_id} is {event.state}: {event.reason}"
        for event in events
        if event.state not in (InboundState.ACCEPTED, InboundState.IGNORED)
    )
    tickets = Counter(task.ticket_id for task in tasks if task.ticket_id)
    problems.extend(
        f"incident {ticket} became {count} tasks" for ticket, count in tickets.items() if count > 1
    )
    problems.extend(
        f"incident {incident} was acknowledged and became no task"
        for incident in world.pagerduty.world.incidents
        if world.subscription.waiting == 0 and tickets[incident] == 0
    )
    return problems


async def _tickets(world: World) -> list[str]:
    """One note for each reply row, in the ticket that asked."""
    async with world.work.read() as session:
        replies = list(await session.scalars(select(Reply)))
    problems: list[str] = []
    for reply in replies:
        notes = [n for n in world.pagerduty.world.notes[reply.ticket_id] if reply.marker in n["content"]]
        if len(notes) != 1:
            problems.append(
                f"incident {reply.ticket_id} has {len(notes)} notes of {reply.id} ({reply.state})"
            )
        elif reply.state != "delivered" or reply.vendor_id != notes[0]["id"]:
            problems.append(
                f"reply {reply.id} is {reply.state} and knows note {reply.vendor_id}, not {notes[0]['id']}"
            )
    for incident, notes in world.pagerduty.world.notes.items():
        if len(notes) > 1:
            problems.append(f"incident {incident} has {len(notes)} notes")
    return problems


async def _callbacks(world: World) -> list[str]:
    """I6: every event of a task with a callback arrived, always under the same id and with the same body."""
    async with world.work.read() as session:
        tasks = list(await session.scalars(select(Task).where(Task.callback_url.is_not(None))))
        events = {e.id: e for e in await session.scalars(select(TaskEvent))}
    problems: list[str] = []
    bodies: dict[str, bytes] = {}
    for received in world.sink.received:
        if received.id not in events:
            problems.append(f"the sink got event {received.id}, which the hub does not know")
        if bodies.setdefault(received.id, received.body) != received.body:
            problems.append(f"event {received.id} came with two bodies")
    for task in tasks:
        wanted = {e.id for e in events.values() if e.task_id == task.id}
        missing = wanted - {r.id for r in world.sink.received}
        problems.extend(f"event {events[one].type} of {task.id} never arrived" for one in missing)
        verified = {r.id for r in world.sink.of(task.id, "task.verified")}
        if task.status == "verified" and len(verified) != 1:
            problems.append(f"task {task.id} has {len(verified)} verified events")
    return problems


async def _money(world: World) -> list[str]:
    """I5: one settled payment at the node for each verified task, no more anywhere, to the msat."""
    async with world.work.read() as session:
        verified = list(await session.scalars(select(Task).where(Task.status == "verified")))
        payouts = list(await session.scalars(select(Payout)))
        attempts = {a.payment_hash: a for a in await session.scalars(select(PayoutAttempt))}
    problems: list[str] = []
    by_task = Counter(payout.task_id for payout in payouts)
    problems.extend(f"task {t.id} has {by_task[t.id]} payouts" for t in verified if by_task[t.id] != 1)
    problems.extend(f"payout {p.id} is {p.state}" for p in payouts if p.state != "settled")
    paid: Counter[str] = Counter()
    for payment in SandboxControls(world.hub.folder / FILE_NAME).payments():
        attempt = attempts.get(payment.payment_hash)
        if payment.settled_count == 0:
            continue
        if attempt is None:
            problems.append(f"the node paid {payment.payment_hash}, which is in no attempt")
            continue
        paid[attempt.payout_id] += payment.settled_count
        if payment.amount_msat != attempt.amount_msat:
            problems.append(f"the node paid {payment.amount_msat} msat for {attempt.id}")
    problems.extend(f"payout {p.id} was paid {paid[p.id]} times" for p in payouts if paid[p.id] != 1)
    return problems
