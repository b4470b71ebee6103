"""A random life of tasks and workers against real databases, with a directory of the workers and without: whatever is offered, accepted, declined, given
back, answered, timed out, paused or cancelled, in whatever order, the rules of routing hold after each step."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from core import clock
from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.routing import actions, endings
from core.routing.directory.follow import Follower
from core.routing.directory.registry import followers
from core.routing.eligible import may_take
from core.routing.model import Question
from core.routing.people import everybody
from core.routing.states import HOLDS_CAPACITY, LIVE
from core.routing.tables import Assignment
from core.tasks.states import ENDED, TaskStatus
from core.tasks.tables import Task
from core.workers import actions as workers
from core.workers.model import ProfileChange
from core.workers.tables import Worker
from tests.conftest import new_postgres_database
from tests.factories_routing import Hub, a_task, a_type, a_worker, an_organisation

pytestmark = pytest.mark.timeout(240)
KIND = a_type(max_reroutes=2, hard_stop_factor=4, answers_limit=2)
ANYTHING = Question(
    task_id="t",
    environment="test",
    skills=frozenset(),
    minimum_tier=0,
    payout_msat=1,
    clusters=frozenset({"ring"}),
)
ANSWERS = st.sampled_from([{"answer": "yes"}, {"answer": 7}, {}])
_template: list[Path] = []


def template(runner: asyncio.Runner) -> Path:
    """A migrated, empty database file, made once; an example starts from a copy."""
    if not _template:
        path = Path(tempfile.mkdtemp(prefix="hub-machine-")) / "empty.db"

        async def make() -> None:
            database = Database(f"sqlite:///{path}")
            await upgrade(database)
            async with database.engine.connect() as connection:
                await connection.execution_options(reading=True)
                await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            await database.close()

        runner.run(make())
        _template.append(path)
    return _template[0]


class RoutingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "hub.db"
        shutil.copy(template(self.runner), path)
        self.hub = Hub(UnitOfWork(Database(self.url(path))), KIND)
        self.workers: list[str] = []
        self.organisation = ""
        self.follower: Follower | None = None

    def url(self, path: Path) -> str:
        """Of the database of this example; `path` is a fresh SQLite file."""
        return f"sqlite:///{path}"

    def teardown(self) -> None:
        followers.pop(self.hub.work.database, None)
        self.runner.run(self.hub.work.database.close())
        self.runner.close()
        self.folder.cleanup()

    @initialize(capacities=st.lists(st.integers(1, 3), min_size=2, max_size=7), directory=st.booleans())
    def people(self, capacities: list[int], directory: bool) -> None:
        async def make() -> None:
            async with self.hub.work.begin("test.seed") as tx:
                self.organisation = await an_organisation(tx)
                self.workers = [
                    await a_worker(tx, capacity=size, reliability=1 - n / 10)
                    for n, size in enumerate(capacities)
                ]
            if directory:
                self.follower = followers[self.hub.work.database] = Follower(self.hub.work)
                await self.follower.rebuild()

        self.runner.run(make())

    @rule()
    def the_directory_looks(self) -> None:
        """Between two looks it is behind, which is what it is in life."""
        if self.follower is not None:
            self.runner.run(self.follower.catch_up())

    @rule(pick=st.integers(0, 99), cluster=st.sampled_from([None, "ring"]))
    def a_ring_is_found(self, pick: int, cluster: str | None) -> None:
        async def act() -> None:
            async with self.hub.work.begin("test.cluster") as tx:
                worker = await tx.session.get_one(Worker, self.workers[pick % len(self.workers)])
                worker.cluster_id = cluster

        self.runner.run(act())

    @rule(sla=st.sampled_from([60, 300, 600]))
    def ask(self, sla: int) -> None:
        async def make() -> None:
            async with self.hub.work.begin("test.seed") as tx:
                await a_task(tx, self.organisation, sla_seconds=sla, kind=KIND)

        self.runner.run(make())

    @rule()
    def run_jobs(self) -> None:
        self.runner.run(self.hub.drain())

    @rule(
        topic=st.sampled_from(["task.posted", "worker.free", "assignment.lapse", "task.at_80", "task.at_100"])
    )
    def run_some_jobs(self, topic: str) -> None:
        self.runner.run(self.hub.drain(topic))

    @rule(seconds=st.sampled_from([1, 20, 61, 240, 600]))
    def time_passes(self, seconds: int) -> None:
        self.runner.run(self.hub.pass_time(seconds))

    @rule(pick=st.integers(0, 99))
    def accept(self, pick: int) -> None:
        self._act("offered", pick, actions.accept)

    @rule(pick=st.integers(0, 99))
    def offer_and_accept(self, pick: int) -> None:
        self.runner.run(self.hub.drain("task.posted", "worker.free"))
        self._act("offered", pick, actions.accept)

    @rule(pick=st.integers(0, 99), output=ANSWERS, judged=st.booleans())
    def accept_and_answer(self, pick: int, output: Any, judged: bool) -> None:
        self.offer_and_accept(pick)
        self._act("accepted", pick, actions.submit, output)
        if judged:
            self.runner.run(self.hub.drain("submission.received"))

    @rule(pick=st.integers(0, 99), sla=st.sampled_from([300, 600]))
    def late_for_a_backup(self, pick: int, sla: int) -> None:
        """Somebody works until 80 % of the SLA has gone by, and a second is asked."""
        self.ask(sla)
        self.offer_and_accept(pick)
        self.runner.run(self.hub.pass_time(sla * 0.8))
        self.runner.run(self.hub.drain("task.at_80"))

    @rule(pick=st.integers(0, 99))
    def decline(self, pick: int) -> None:
        self._act("offered", pick, actions.decline)

    @rule(pick=st.integers(0, 99))
    def give_back(self, pick: int) -> None:
        self._act("accepted", pick, actions.release)

    @rule(pick=st.integers(0, 99), output=ANSWERS)
    def answer(self, pick: int, output: Any) -> None:
        self._act("accepted", pick, actions.submit, output)

    @rule(pick=st.integers(0, 99), state=st.sampled_from(["submitted", "lapsed", "declined", "counted"]))
    def act_too_late(self, pick: int, state: str) -> None:
        """What is over stays over, whatever a stale page posts."""
        self._act(state, pick, actions.accept)
        self._act(state, pick, actions.submit, {"answer": "late"})

    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        async def act() -> None:
            async with self.hub.work.begin("tasks.cancel") as tx:
                found = (await tx.session.scalars(select(Task).order_by(Task.id))).all()
                if found:
                    await endings.cancel(tx, found[pick % len(found)], "key:test")

        self._tolerant(act)

    @rule(pick=st.integers(0, 99), resume=st.booleans())
    def pause_or_resume(self, pick: int, resume: bool) -> None:
        async def act() -> None:
            async with self.hub.work.begin("test.pause") as tx:
                act_on = workers.resume if resume else workers.pause
                await act_on(tx, self.workers[pick % len(self.workers)], actor="hub")

        self._tolerant(act)

    @rule(pick=st.integers(0, 99), capacity=st.integers(0, 4))
    def change_capacity(self, pick: int, capacity: int) -> None:
        async def act() -> None:
            async with self.hub.work.begin("test.change") as tx:
                worker_id = self.workers[pick % len(self.workers)]
                await workers.change(tx, worker_id, ProfileChange(capacity=capacity), actor="hub")

        self._tolerant(act)

    @invariant()
    def the_rules_hold(self) -> None:
        if self.workers:
            self.runner.run(self._check())

    async def _check(self) -> None:
        async with self.hub.work.read() as session:
            people = (await session.scalars(select(Worker))).all()
            tasks = (await session.scalars(select(Task))).all()
            everything = (await session.scalars(select(Assignment))).all()
            now = clock.now_ms()
            all_of_them = await everybody(session, ANYTHING, now, 100)
        if self.follower is not None:
            await self.follower.catch_up()
            found = self.follower.select(ANYTHING, now, 600, 100)
            able = {one.worker_id for one in all_of_them if may_take(ANYTHING, one)}
            assert set(found.people.worker_ids) == able
        live = [one for one in everything if one.state in LIVE]
        held = Counter(one.worker_id for one in live if one.state in HOLDS_CAPACITY)
        for worker in people:
            assert worker.load == held[worker.id] <= worker.capacity
        assert max(Counter((one.task_id, one.slot) for one in live).values(), default=1) == 1
        assert max(Counter((one.task_id, one.worker_id) for one in everything).values(), default=1) == 1
        for task in tasks:
            states = [one.state for one in live if one.task_id == task.id]
            assert len(states) <= 2
            assert task.reroutes <= KIND.max_reroutes
            assert _status_fits(TaskStatus(task.status), states), (task.status, states)
            counted = [one for one in everything if one.task_id == task.id and one.state == "counted"]
            assert len(counted) == (1 if task.status == TaskStatus.VERIFIED else 0)
            assert task.reserved_msat == 0 or task.status not in ENDED

    def _act(self, state: str, pick: int, deed: Any, *more: Any) -> None:
        async def act() -> None:
            async with self.hub.work.begin("test.deed") as tx:
                statement = select(Assignment).where(Assignment.state == state).order_by(Assignment.id)
                found = (await tx.session.scalars(statement)).all()
                if found:
                    one = found[pick % len(found)]
                    await deed(tx, one.id, one.worker_id, *more)

        self._tolerant(act)

    def _tolerant(self, act: Any) -> None:
        """A refusal is an answer; what matters is that nothing was half done."""

        async def run() -> None:
            try:
                await act()
            except Conflict:
                return

        self.runner.run(run())


def _status_fits(status: TaskStatus, states: list[str]) -> bool:
    match status:
        case TaskStatus.ASSIGNED:
            return bool(states) and "submitted" not in states
        case TaskStatus.SUBMITTED:
            return "submitted" in states
        case _:
            return not states


class OnPostgres(RoutingMachine):
    """The same life on PostgreSQL, where the offer goes another way (`core/routing/at_once.py`)."""

    fresh: Callable[[], str]

    def url(self, path: Path) -> str:
        return self.fresh()


RoutingMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=40, deadline=None)
TestRouting = RoutingMachine.TestCase


def test_routing_on_postgres(postgres_server: str, postgres_template: str) -> None:
    def fresh() -> str:
        return asyncio.run(new_postgres_database(postgres_server, postgres_template))

    class Machine(OnPostgres):
        pass

    Machine.fresh = staticmethod(fresh)
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=4, stateful_step_count=25, deadline=None)
    )
