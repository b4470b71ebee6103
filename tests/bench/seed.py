"""Databases of one run: made, migrated, filled with an organisation, its key and people who can take tasks; and the
counts that every acknowledgement is held against."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text

from core.access import keys, organisations, people
from core.access.roles import Role
from core.access.sealing import Sealer
from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.model import MAX_CAPACITY, NewWorker
from hub.config_files import task_types
from hub.wiring import own_key
from tests.bench.servers import REPOSITORY

GRANT_MSAT = 10**15  # far more test money than a benchmark can ask for
PEOPLE = 10


@dataclass(frozen=True)
class Seeded:
    url: str
    api_key: str
    worker_ids: tuple[str, ...]


def postgres_database(server_url: str, name: str) -> str:
    """The URL of a fresh database on that server."""

    async def make() -> None:
        admin = Database(server_url)
        async with admin.engine.connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await autocommit.execute(text(f"CREATE DATABASE {name}"))
        await admin.close()

    asyncio.run(make())
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def seed(url: str, data: Path) -> Seeded:
    """The hub's schema, one organisation with test funds and a test key, and workers with room for many offers. `data`
    is the data folder of the hub that will work with it (its key seals the secrets)."""

    async def fill() -> Seeded:
        database = Database(url)
        try:
            await upgrade(database)
            work = UnitOfWork(database)
            async with work.begin("bench.seed") as tx:
                organisation = await organisations.create(
                    tx,
                    name="bench",
                    plan="pay_as_you_go",
                    sealer=Sealer([own_key(data)]),
                    actor="bench",
                    test_grant_msat=GRANT_MSAT,
                )
                minted = await keys.mint(tx, organisation.id, Environment.TEST, name="bench", actor="bench")
                skills = frozenset(
                    skill for kind in task_types(REPOSITORY / "config") for skill in kind.skills
                )
                made = [await _worker(tx, number, skills) for number in range(PEOPLE)]
            return Seeded(url, minted.secret.reveal(), tuple(made))
        finally:
            await database.close()

    return asyncio.run(fill())


async def _worker(tx: Any, number: int, skills: frozenset[str]) -> str:
    person = await people.create(
        tx, role=Role.WORKER, name=f"Worker {number}", email=f"worker-{number}@bench.example", actor="bench"
    )
    await workers.create(
        tx,
        NewWorker(
            person_id=person.id,
            environment=Environment.TEST,
            skills=skills,
            tier=3,
            reliability=0.9,
            capacity=MAX_CAPACITY,
            available=True,
            payout_address=f"worker-{number}@sandbox.test",
        ),
        actor="bench",
    )
    return person.id


def count(url: str, sql: str) -> int:
    """One number from the database."""

    async def ask() -> int:
        database = Database(url)
        try:
            async with database.engine.connect() as connection:
                return int((await connection.execute(text(sql))).scalar_one())
        finally:
            await database.close()

    return asyncio.run(ask())


def must_equal(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{what}: {found}, acknowledged {wanted}")
