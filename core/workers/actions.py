"""Makes workers of people and changes what routing asks of them. Called by the operator's and the worker's pages,
by the CLI and by the demo's seed; a person's row exists before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from core import clock
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.errors import Conflict
from core.workers import check
from core.workers.availability import pause, resume
from core.workers.model import NewWorker, ProfileChange
from core.workers.row import announce_free, locked
from core.workers.tables import Worker, WorkerSkill
from core.workers.tiers import Trust

__all__ = [
    "announce_free",
    "change",
    "cool_off",
    "create",
    "locked",
    "pause",
    "resume",
    "set_auto_assign",
    "set_cluster",
    "set_expert",
    "set_payout_address",
]


async def create(tx: Transaction, new: NewWorker, *, actor: str) -> Worker:
    """The person becomes a worker. Raises Invalid for bad values, Conflict when they are one already or when there
    is no such person."""
    check.new_worker(new)
    address = None if new.payout_address is None else check.address(new.payout_address)
    worker = Worker(
        id=new.person_id,
        environment=str(new.environment),
        tier=new.tier,
        reliability=new.reliability,
        price_floor_msat=new.price_floor_msat,
        capacity=new.capacity,
        load=0,
        available=new.available,
        payout_address=address,
        idle_since=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(worker)
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise Conflict("not_a_new_worker", "This person is a worker already, or does not exist") from error
    await _write_skills(tx, worker.id, new.skills)
    await record(
        tx,
        actor=actor,
        action="worker.created",
        subject=worker.id,
        environment=worker.environment,
        tier=worker.tier,
        skills=sorted(new.skills),
        payout_address=address,
    )
    if worker.available:
        announce_free(tx, worker.environment)
    return worker


async def change(tx: Transaction, worker_id: str, wanted: ProfileChange, *, actor: str) -> Worker:
    """Set skills, tier, reliability, price floor or capacity. Raises Invalid for bad values, NotFound, and Conflict
    when the new capacity is below what the worker has in hand."""
    check.change(wanted)
    worker = await locked(tx, worker_id)
    given: dict[str, Any] = {
        name: value
        for name in wanted.__struct_fields__
        if (value := getattr(wanted, name)) is not msgspec.UNSET
    }
    skills: frozenset[str] | None = given.pop("skills", None)
    if given.get("capacity", worker.capacity) < worker.load:
        raise Conflict(
            "more_in_hand", f"The worker has {worker.load} assignments in hand; wait until they end"
        )
    detail = {name: {"from": getattr(worker, name), "to": value} for name, value in given.items()}
    for name, value in given.items():
        setattr(worker, name, value)
    if skills is not None:
        before = await _skills(tx, worker_id)
        gone = [skill for skill in before if skill not in skills]
        await tx.session.execute(
            delete(WorkerSkill).where(WorkerSkill.worker_id == worker_id, WorkerSkill.skill.in_(gone))
        )
        await _write_skills(tx, worker_id, skills - set(before))
        detail["skills"] = {"from": before, "to": sorted(skills)}
    await record(tx, actor=actor, action="worker.changed", subject=worker_id, **detail)
    if worker.available:
        announce_free(tx, worker.environment)
    return worker


async def set_payout_address(
    tx: Transaction, worker_id: str, address: str | None, *, actor: str, usable_at: datetime | None = None
) -> Worker:
    """Where the worker is paid from now on, or from `usable_at` (UTC); None takes the address away. The audit keeps
    both, because a changed address is what a stolen account looks like. Raises Invalid for a bad shape, NotFound."""
    tidy = None if address is None else check.address(address)
    worker = await locked(tx, worker_id)
    before = worker.payout_address
    if before == tidy:
        return worker
    worker.payout_address = tidy
    trusted_at = usable_at or clock.from_ms(await tx.now_ms())
    worker.payout_address_usable_at = trusted_at
    detail: dict[str, Any] = {
        "from": before,
        "to": tidy,
        "usable_at": clock.iso(trusted_at),
    }
    await record(tx, actor=actor, action="worker.payout_address_changed", subject=worker_id, **detail)
    return worker


async def set_auto_assign(
    tx: Transaction, worker_id: str, wanted: bool, trust: Trust, *, actor: str
) -> Worker:
    """Whether questions are put into the worker's hands without being accepted. It holds while their tier allows it. Raises
    NotFound, Conflict when it is switched on in a tier that does not."""
    worker = await locked(tx, worker_id)
    if wanted and worker.tier not in trust.auto_assigned:
        least = min(trust.auto_assigned, default=None)
        told = "No tier has it here" if least is None else f"It is open from tier {least} on"
        raise Conflict("tier_too_low", f"{told}; yours is {worker.tier}", tier=worker.tier, needed=least)
    if worker.auto_assign != wanted:
        worker.auto_assign = wanted
        await record(tx, actor=actor, action="worker.auto_assign_changed", subject=worker_id, to=wanted)
    return worker


async def set_expert(tx: Transaction, worker_id: str, expert: bool, *, actor: str) -> Worker:
    """Whether the worker belongs to the pool of experts, which some plans ask for. Raises NotFound."""
    worker = await locked(tx, worker_id)
    if worker.expert != expert:
        worker.expert = expert
        await record(tx, actor=actor, action="worker.expert_changed", subject=worker_id, to=expert)
        if worker.available:
            announce_free(tx, worker.environment)
    return worker


async def set_cluster(tx: Transaction, worker_id: str, cluster_id: str | None, *, actor: str) -> Worker:
    """The one person (or group) whom the worker's account seems to belong to: no two of a cluster get the same task. None
    takes them out of it. Raises Invalid for a name that is none, NotFound."""
    name = None if cluster_id is None else check.cluster(cluster_id)
    worker = await locked(tx, worker_id)
    before = worker.cluster_id
    if before != name:
        worker.cluster_id = name
        await record(tx, actor=actor, action="worker.cluster_changed", subject=worker_id, was=before, to=name)
        if worker.available:
            announce_free(tx, worker.environment)
    return worker


async def cool_off(tx: Transaction, worker_id: str, seconds: int) -> None:
    """No offers for so long; then what waits is looked through again."""
    worker = await locked(tx, worker_id)
    worker.cool_off_until = clock.from_ms(await tx.now_ms() + seconds * 1000)
    tx.emit("worker.free", worker.environment, delay=seconds)


async def _skills(tx: Transaction, worker_id: str) -> list[str]:
    statement = (
        select(WorkerSkill.skill).where(WorkerSkill.worker_id == worker_id).order_by(WorkerSkill.skill)
    )
    return list(await tx.session.scalars(statement))


async def _write_skills(tx: Transaction, worker_id: str, skills: frozenset[str]) -> None:
    if skills:
        rows = [{"worker_id": worker_id, "skill": skill} for skill in sorted(skills)]
        await tx.session.execute(insert(WorkerSkill), rows)
