"""Making and changing workers, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.audit.tables import AuditEntry
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict, Invalid, NotFound
from core.tasks.model import Environment
from core.workers import actions, queries
from core.workers.model import NewWorker, ProfileChange
from tests.factories_routing import Hub, a_person, a_task, a_worker, an_organisation


async def test_a_person_becomes_a_worker_once(work: UnitOfWork) -> None:
    async with work.begin("workers.create") as tx:
        person_id = await a_person(tx)
        new = NewWorker(
            person_id=person_id,
            environment=Environment.LIVE,
            skills=frozenset({"german", "law"}),
            tier=2,
            payout_address=" Ana@Wallet.Example ",
        )
        await actions.create(tx, new, actor="person:operator")
        assert [job.topic for job in tx.jobs] == []  # not available yet
    async with work.read() as session:
        profile = await queries.get(session, person_id)
    assert profile.skills == {"german", "law"}
    assert (profile.tier, profile.load, profile.capacity, profile.available) == (2, 0, 1, False)
    assert profile.payout_address == "ana@wallet.example"
    with pytest.raises(Conflict):
        async with work.begin("workers.create") as tx:
            await actions.create(tx, new, actor="person:operator")
    nobody = NewWorker(person_id="per_none", environment=Environment.LIVE)
    with pytest.raises(Conflict):
        async with work.begin("workers.create") as tx:
            await actions.create(tx, nobody, actor="person:operator")


async def test_a_change_changes_what_it_names_and_is_audited(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx, skills=frozenset({"german", "law"}), capacity=2)
    async with work.begin("workers.change") as tx:
        change = ProfileChange(skills=frozenset({"german", "music"}), tier=3)
        await actions.change(tx, worker_id, change, actor="person:operator")
        assert [job.topic for job in tx.jobs] == ["worker.free"]
    async with work.read() as session:
        profile = await queries.get(session, worker_id)
        assert (profile.skills, profile.tier, profile.capacity) == ({"german", "music"}, 3, 2)
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "worker.changed"))
    assert entry.actor == "person:operator"
    assert entry.detail == {
        "tier": {"from": 0, "to": 3},
        "skills": {"from": ["german", "law"], "to": ["german", "music"]},
    }


async def test_capacity_never_falls_below_what_is_in_hand(work: UnitOfWork) -> None:
    hub = Hub(work)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        worker_id = await a_worker(tx, capacity=2)
        await a_task(tx, organisation)
    await hub.drain()
    with pytest.raises(Conflict, match="1 assignments in hand"):
        async with work.begin("workers.change") as tx:
            await actions.change(tx, worker_id, ProfileChange(capacity=0), actor="hub")
    async with work.begin("workers.change") as tx:
        await actions.change(tx, worker_id, ProfileChange(capacity=1), actor="hub")
    assert (await hub.worker(worker_id)).capacity == 1


async def test_a_new_address_is_kept_with_the_old_one_in_the_audit(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx, payout_address="old@wallet.test")
    for typed in ("new@wallet.test", "NEW@wallet.test", None):
        async with work.begin("workers.address") as tx:
            await actions.set_payout_address(tx, worker_id, typed, actor=f"person:{worker_id}")
            assert tx.jobs == []
    with pytest.raises(Invalid):
        async with work.begin("workers.address") as tx:
            await actions.set_payout_address(tx, worker_id, "not one", actor=f"person:{worker_id}")
    async with work.read() as session:
        statement = select(AuditEntry).where(AuditEntry.action == "worker.payout_address_changed")
        entries = await session.scalars(statement.order_by(AuditEntry.id))
        details = [entry.detail for entry in entries]
        assert all(detail.pop("usable_at") for detail in details)
        assert details == [
            {"from": "old@wallet.test", "to": "new@wallet.test"},
            {"from": "new@wallet.test", "to": None},
        ]


async def test_pause_and_resume(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        worker_id = await a_worker(tx)
    seen: list[tuple[bool, list[str]]] = []
    for deed in (actions.pause, actions.pause, actions.resume, actions.resume):
        async with work.begin("workers.available") as tx:
            worker = await deed(tx, worker_id, actor=f"person:{worker_id}")
            seen.append((worker.available, [job.topic for job in tx.jobs]))
    assert seen == [(False, []), (False, []), (True, ["worker.free"]), (True, [])]
    with pytest.raises(NotFound):
        async with work.begin("workers.available") as tx:
            await actions.pause(tx, "per_none", actor="hub")


async def test_pages_of_workers(work: UnitOfWork) -> None:
    async with work.begin("test.seed") as tx:
        made = sorted([await a_worker(tx) for _ in range(5)])
        await a_worker(tx, environment=Environment.LIVE)
    async with work.read() as session:
        first = await queries.page(session, Environment.TEST, limit=3)
        rest = await queries.page(session, Environment.TEST, after=first[-1].id, limit=3)
    assert [profile.id for profile in (*first, *rest)] == made
