"""Fills an empty hub with the demo's people: an organisation with a test key and test funds, five simulated workers, what
they and two colleagues answered before, a worker's place for the reader, and an operator. Safe to run again; what it made is remembered in `demo.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from core.access import keys, organisations, people, sessions
from core.access.roles import Role
from core.db.unit_of_work import Transaction
from core.tasks.model import Environment
from core.workers import actions as workers
from core.workers.model import NewWorker
from hub.demo.past import relive
from hub.demo.people import COLLEAGUES, TEMPERS
from hub.demo.prepared import Demo, Links, write_private
from hub.services import Services

ORGANISATION = "demo"
PLAN = "pay_as_you_go"
YOU = "you@demo.example"
OPERATOR = "operator@demo.example"
DOMAIN = "sandbox.test"
_ACTOR = "hub"

# name -> (tier, reliability, price floor in msat, capacity); what routing knows of them before it has seen any answer.
_KNOWN = {
    "careful": (3, 0.97, 50_000, 2),
    "fast": (3, 0.9, 20_000, 2),
    "sloppy": (2, 0.75, 10_000, 2),
    "copycat-a": (2, 0.8, 10_000, 1),
    "copycat-b": (2, 0.8, 10_000, 1),
    **dict.fromkeys((one.name for one in COLLEAGUES), (2, 0.8, 10_000, 1)),
}


def read(folder: Path) -> Demo | None:
    path = folder / "demo.json"
    return msgspec.json.decode(path.read_bytes(), type=Demo) if path.exists() else None


async def seed(services: Services, folder: Path) -> Demo:
    """Make what is missing, in one transaction."""
    if (before := read(folder)) is not None:
        return before
    async with services.work.begin("demo.seed") as tx:
        organisation = await organisations.create(
            tx, name=ORGANISATION, plan=PLAN, sealer=services.sealer, actor=_ACTOR
        )
        minted = await keys.mint(tx, organisation.id, Environment.TEST, name="demo", actor=_ACTOR)
        skills = frozenset(skill for kind in services.types for skill in kind.skills)
        ids = {temper.name: await _worker(tx, temper.name, skills) for temper in TEMPERS}
        away = {one.name: await _worker(tx, one.name, skills, available=False) for one in COLLEAGUES}
        you = await people.create(tx, role=Role.WORKER, name="You", email=YOU, actor=_ACTOR)
        await workers.create(
            tx,
            NewWorker(
                person_id=you.id,
                environment=Environment.TEST,
                skills=skills,
                tier=3,
                reliability=0.99,
                capacity=3,
                available=False,
                payout_address=f"you@{DOMAIN}",
            ),
            actor=_ACTOR,
        )
        operator = await people.create(tx, role=Role.OPERATOR, name="Operator", email=OPERATOR, actor=_ACTOR)
        demo = Demo(
            api_key=minted.secret.reveal(),
            organisation_id=organisation.id,
            webhook_secret=organisations.webhook_secret(organisation, services.sealer).reveal(),
            worker_ids=ids,
            you=you.id,
            operator=operator.id,
        )
    await relive(services, demo.organisation_id, ids | away)
    write_private(folder / "demo.json", demo)
    return demo


async def links(services: Services, demo: Demo) -> Links:
    async with services.work.begin("demo.links") as tx:
        opened: dict[str, str] = {}
        for name, person_id in demo.worker_ids.items():
            person = await people.get(tx.session, person_id)
            opened[name] = (await sessions.open_session(tx, person)).token.reveal()
        worker = await sessions.make_link(tx, demo.you, actor=_ACTOR)
        operator = await sessions.make_link(tx, demo.operator, actor=_ACTOR)
    return Links(worker=worker.reveal(), operator=operator.reveal(), sessions=opened)


async def _worker(tx: Transaction, name: str, skills: frozenset[str], *, available: bool = True) -> str:
    tier, reliability, floor, capacity = _KNOWN[name]
    person = await people.create(
        tx, role=Role.WORKER, name=f"{name} (simulated)", email=f"{name}@demo.example", actor=_ACTOR
    )
    await workers.create(
        tx,
        NewWorker(
            person_id=person.id,
            environment=Environment.TEST,
            skills=skills,
            tier=tier,
            reliability=reliability,
            price_floor_msat=floor,
            capacity=capacity,
            available=available,
            payout_address=f"{name}@{DOMAIN}",
        ),
        actor=_ACTOR,
    )
    return person.id
