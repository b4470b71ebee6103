"""The demo's careless worker and its colluding pair are caught by the detectors alone, from what they answered, and the
operator's page says who, for what, from which answers and by which figure; nobody honest is on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from litestar import Litestar
from sqlalchemy import func, select

from core.ledger.balances import check
from core.payouts.tables import Payout
from core.tasks.tables import Task
from core.verification.anomaly.tables import WorkerMark
from hub import config_files
from hub.demo import past, seed
from hub.services import Services
from tests.integration.api.conftest import CONFIG
from tests.integration.pages.conftest import sign_in, words

HONEST = ("careful", "fast (simulated)", "mira", "jonas")


async def test_the_page_shows_how_they_were_caught(app: Litestar, services: Services, tmp_path: Path) -> None:
    as_shipped = dataclasses.replace(services, types=config_files.task_types(CONFIG))
    demo = await seed.seed(as_shipped, tmp_path)
    async with services.work.begin("test.sign_in") as tx:
        operator = await sign_in(app, services, tx, demo.operator)
    listed = words((await operator.http.get("/operator/marks")).text)
    for name in ("sloppy (simulated)", "copycat-a (simulated)", "copycat-b (simulated)"):
        assert name in listed
    assert not [name for name in HONEST if name in listed]
    assert "answers: answered faster than anybody can read and type" in listed

    sloppy = words((await operator.http.get(f"/operator/marks/{demo.worker_ids['sloppy']}")).text)
    assert "Answers behind “fast”" in sloppy
    assert "binomial test of the last ten and fifty answers" in sloppy
    assert (
        sloppy.count("reading and typing take at least") >= 10
    )  # each answer with its seconds and its floor

    first, second = demo.worker_ids["copycat-a"], demo.worker_ids["copycat-b"]
    async with services.work.read() as session:
        mark = (
            await session.scalars(
                select(WorkerMark).where(WorkerMark.worker_id == first, WorkerMark.kind == "pair")
            )
        ).one()
    agreed, common = mark.evidence["agreed"], mark.evidence["common"]
    assert (mark.evidence["with"], agreed) == (second, common)
    assert mark.p_value < 1e-4
    raw = (await operator.http.get(f"/operator/marks/{first}")).text
    pair = words(raw)
    assert f"the same answer as copycat-b (simulated) in {agreed} of {common} questions" in pair
    assert f"common {common} · agreed {agreed} · explained {mark.evidence['explained']} · z" in pair
    assert f"{mark.p_value:.0e}" in pair
    shown = raw.split(f'id="answers-{mark.id}"')[1].split("</section>")[0]
    assert shown.count("/operator/tasks/") == common  # every question that both answered, with both answers

    async with services.work.read() as session:
        assert await session.scalar(select(func.count()).select_from(Task)) == past.QUESTIONS
        assert await session.scalar(select(func.count()).select_from(Payout)) == 0  # practice earns nothing
    async with services.work.read() as session:
        assert await check(session) == []
    await operator.http.aclose()
