"""The operator's pages: who may see them, finding a task, its trail, cancelling and redriving, the books."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select, update

from core.access.roles import Role
from core.access.tables import Person
from core.audit.tables import AuditEntry
from core.ids import uuid7
from core.outbox.tables import OutboxRow
from hub.observe import trail as trails
from tests.integration.pages.conftest import HTML, Stage, said, words
from tests.integration.pages.test_worker_api import GOOD


async def answered(stage: Stage) -> str:
    """A task that was answered and verified."""
    task_id = await stage.offer(payload={"incident": "502"}, task_metadata={"team": "checkout"})
    assignment = await stage.assignment(task_id)
    await stage.worker.api("POST", f"/assignments/{assignment}/accept")
    await stage.worker.api("POST", f"/assignments/{assignment}/answer", json={"output": GOOD})
    await stage.hub.drain()
    return task_id


@pytest.mark.parametrize(
    "path", ["/operator", "/operator/tasks/x", "/operator/money", "/operator/money/accounts"]
)
async def test_workers_get_403(stage: Stage, path: str) -> None:
    assert (await stage.worker.http.get(path, headers=HTML)).status_code == 403


async def test_filters_paging_and_search(stage: Stage) -> None:
    first, second = await stage.offer(), await stage.offer("question")
    page = words((await stage.operator.http.get("/operator")).text)
    assert page.index(second) < page.index(first)
    assert "2 tasks" in page
    only = words((await stage.operator.http.get("/operator?type=question&status=assigned")).text)
    assert second in only
    assert first not in only
    older = words((await stage.operator.http.get(f"/operator?before={second}")).text)
    assert first in older
    assert second not in older
    for wanted in (first, await stage.assignment(first)):
        found = await stage.operator.http.get(f"/operator?q={wanted}")
        assert (found.status_code, found.headers["location"]) == (303, f"/operator/tasks/{first}")
    nothing = await stage.operator.http.get(f"/operator?q={uuid7()}")
    assert "Nothing here has the id" in words(nothing.text)


async def test_the_whole_trail_on_one_page(stage: Stage) -> None:
    task_id = await answered(stage)
    page = await stage.operator.http.get(f"/operator/tasks/{task_id}")
    text = words(page.text)
    steps = (
        "Offered to Ana",
        "Ana accepted",
        "Answer by Ana",
        "Stage schema",
        "Stage rules",
        "Ana's turn ended counted",
        "Task verified",
    )
    places = [text.index(step) for step in (*steps, "Ana earned 1,000 sats")]
    assert places == sorted(places)
    assert "primary offered to" in text
    assert "of 1 workers may take it, scored" in text
    for told in ("Ledger: reserve", "Ledger: earn", "submission.received", "team", "USD/BTC of"):
        assert told in text
    raw = await stage.operator.http.get(f"/operator/tasks/{task_id}/raw")
    rows = msgspec.json.decode(raw.content)
    assert rows["task"]["id"] == task_id
    assert rows["submissions"][0]["output"] == GOOD
    assert (await stage.operator.http.get(f"/operator/tasks/{uuid7()}", headers=HTML)).status_code == 404
    for who, told in (
        (
            "Ana@example.test",
            "Ana ({}) may not take it as things are now. They had this task before (had_it) It is over",
        ),
        ("<b>", "No worker has the id or e-mail address <b>"),
    ):
        page = await stage.operator.http.get(f"/operator/tasks/{task_id}", params={"worker": who})
        assert told.format(stage.worker.id) in words(page.text)


async def test_the_trail_as_text(stage: Stage) -> None:
    task_id = await answered(stage)
    async with stage.services.work.read() as session:
        text = trails.render_text(await trails.collect(session, task_id))
    assert text.startswith(f"Task {task_id}  VERIFIED\n")
    assert "verification Stage rules  [pass]" in text
    assert "Ana earned 1,000 sats" in text
    assert "done     submission.received" in text


async def test_the_trail_tells_what_was_said_since(stage: Stage) -> None:
    task_id = await stage.offer(connector="acme", ticket_id="T1", escalation_key="K1")
    await said(stage, task_id, ("Ann", "It is worse now"))
    page = words((await stage.operator.http.get(f"/operator/tasks/{task_id}")).text)
    assert "Ann said more in the ticket" in page
    assert "It is worse now" in page
    async with stage.services.work.read() as session:
        assert "Ann said more in the ticket" in trails.render_text(await trails.collect(session, task_id))


async def test_terminal_codes_in_a_ticket_do_not_reach_the_terminal(stage: Stage) -> None:
    task_id = await stage.offer()
    async with stage.services.work.begin("test.reason") as tx:
        statement = update(OutboxRow).where(OutboxRow.subject == task_id)
        await tx.session.execute(statement.values(last_error="\x1b[2J\x1b]0;owned\x07 boom"))
    async with stage.services.work.read() as session:
        text = trails.render_text(await trails.collect(session, task_id))
    assert "\x1b" not in text
    assert "boom" in text


async def test_cancel(stage: Stage) -> None:
    task_id = await stage.offer()
    done = await stage.operator.post(f"/operator/tasks/{task_id}/cancel")
    assert done.headers["location"] == f"/operator/tasks/{task_id}"
    assert (await stage.hub.task(task_id)).status == "cancelled"
    assert (await stage.operator.post(f"/operator/tasks/{task_id}/cancel")).status_code == 409
    async with stage.services.work.read() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "task.cancelled"))
    assert entry is not None
    assert entry.actor == f"person:{stage.operator.id}"
    history = words((await stage.worker.http.get("/worker/history")).text)
    assert "The question was withdrawn." in history


async def test_a_viewer_sees_and_changes_nothing(stage: Stage) -> None:
    task_id = await stage.offer()
    async with stage.services.work.begin("test.role") as tx:
        await tx.session.execute(
            update(Person).where(Person.id == stage.operator.id).values(role=str(Role.VIEWER))
        )
    page = await stage.operator.http.get(f"/operator/tasks/{task_id}")
    assert page.status_code == 200
    assert "/cancel" not in page.text
    assert (await stage.operator.post(f"/operator/tasks/{task_id}/cancel")).status_code == 403


async def test_redrive_of_a_dead_job(stage: Stage) -> None:
    task_id = await stage.offer()
    async with stage.services.work.begin("test.dead") as tx:
        job_id = await tx.session.scalar(
            select(OutboxRow.id).where(OutboxRow.subject == task_id, OutboxRow.topic == "task.posted")
        )
        dead = update(OutboxRow).where(OutboxRow.id == job_id).values(state="dead", last_error="gave up")
        await tx.session.execute(dead)
    shown = (await stage.operator.http.get(f"/operator/tasks/{task_id}")).text
    path = f"/operator/tasks/{task_id}/jobs/{job_id}/redrive"
    assert f'action="{path}"' in shown
    assert (await stage.worker.post(path)).status_code == 403
    assert (await stage.operator.post(path)).status_code == 303
    assert (await stage.operator.post(path)).status_code == 409
    async with stage.services.work.read() as session:
        assert (await session.get_one(OutboxRow, job_id)).state == "pending"


async def test_the_books(stage: Stage) -> None:
    await answered(stage)
    page = words((await stage.operator.http.get("/operator/money?check=1")).text)
    assert "Every rule holds." in page
    assert "Debits and credits are equal, of what moved and of what is held." in page
    account = f"{stage.worker.id}:payable"
    accounts = await stage.operator.http.get("/operator/money/accounts?kind=payable")
    assert account in accounts.text
    statement = words((await stage.operator.http.get(f"/operator/money/statement?account={account}")).text)
    assert "1,000 sats" in statement
    assert "earn" in statement
    unknown = await stage.operator.http.get("/operator/money/statement?account=nobody", headers=HTML)
    assert unknown.status_code == 404
