"""A database of its own for a life that is crashed in it, with an organisation, a worker and an answer that waits to be
verified. Used by `payout_matrix.py` and by the cells on real nodes (`tests/lightning`)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from core import clock, ids
from core.access.tables import Organisation
from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.routing.tables import Assignment, Submission
from tests import factories


@dataclass(frozen=True)
class Place:
    """A database with an organisation in it."""

    url: str
    database: Database
    work: UnitOfWork
    organisation: Organisation
    folder: Path


async def answered(place: Place, address: str = "ana@sandbox.test") -> tuple[str, str, str]:
    """A task whose answer waits to be verified: task, submission, worker, who is paid at `address`."""
    async with place.work.begin("test.prepare") as tx:
        worker = await factories.worker(tx, environment="test", address=address)
        task = await factories.task(
            tx, place.organisation, environment="test", task_type="refund_eligibility"
        )
        now = clock.now()
        assignment = Assignment(
            id=ids.new("asg"),
            task_id=task.id,
            worker_id=worker.id,
            slot=1,
            kind="normal",
            state="submitted",
            score=1.0,
            offered_at=now,
            expires_at=now,
            due_at=now,
            accepted_at=now,
        )
        tx.session.add(assignment)
        await tx.session.flush()
        submission = Submission(
            id=ids.new("sub"),
            assignment_id=assignment.id,
            task_id=task.id,
            worker_id=worker.id,
            output={"answer": "yes"},
            created_at=now,
        )
        tx.session.add(submission)
        await tx.session.flush()
        tx.emit("submission.received", submission.id)
    return task.id, submission.id, worker.id


async def open_place(url: str, folder: Path) -> Place:
    database = Database(url, pool_size=1)
    work = UnitOfWork(database)
    async with work.begin("test.seed") as tx:
        organisation = await factories.organisation(
            tx, environment="test", balance_msat=1_000 * factories.DOLLAR
        )
    return Place(url, database, work, organisation, folder)


async def sqlite_databases(folder: Path, count: int) -> list[str]:
    """A database for each cell that goes on at once, so that none waits for another's write; copies of one that is
    migrated."""
    first = Database(f"sqlite:///{folder}/first.db")
    await upgrade(first)
    await first.close()
    paths = [folder / f"{number}.db" for number in range(count)]
    for path in paths:
        shutil.copy(folder / "first.db", path)
    return [f"sqlite:///{path}" for path in paths]
