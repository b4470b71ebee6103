"""The operator's pages of connectors, repairs, dead letters and quarantine: who may see and do what."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from connectors.signatures import hmac_hex
from core import clock
from core.access.roles import Role
from core.access.tables import Person
from core.audit.tables import AuditEntry
from core.intake import quarantine
from core.intake.actions import Received, receive_many
from core.intake.envelope import InboundDelivery
from core.intake.tables import InboundEvent, QuarantinedDelivery
from core.repairs.actions import Kind, needed
from core.repairs.queries import still_open
from core.replies.states import ReplyState
from core.replies.tables import Reply
from core.secret import Secret
from tests.integration.api.conftest import BASE, PAGERDUTY_SECRET
from tests.integration.pages.conftest import HTML, Stage, words

NAME = "demo-oncall"
BODY = b'{"event": {"id": "e1", "event_type": "pagey.ping"}}'


async def a_delivery(stage: Stage, reason: str) -> str:
    """A failed delivery; its id."""
    delivery = InboundDelivery(
        delivery_id="d1", event_type="incident.triggered", body=b"{}", headers={}, verified_by=0
    )
    async with stage.services.work.begin("test.delivery") as tx:
        await receive_many(tx, [Received(NAME, delivery)])
    async with stage.services.work.begin("test.delivery") as tx:
        event = (await tx.session.scalars(select(InboundEvent))).one()
        event.state, event.reason = "failed", reason
        return event.id


async def hold(stage: Stage, secret: str) -> str:
    """Something in quarantine that this secret signed; its id."""
    async with stage.services.work.begin("test.quarantine") as tx:
        await quarantine.keep(
            tx,
            NAME,
            headers={"x-pagerduty-signature": f"v1={hmac_hex(Secret(secret), BODY)}"},
            body=BODY,
            path_token="",
            client_ip="192.0.2.7",
            reason="No configured secret matches.",
        )
        return (
            await tx.session.scalars(
                select(QuarantinedDelivery.id).order_by(QuarantinedDelivery.id.desc()).limit(1)
            )
        ).one()


async def audited(stage: Stage, action: str) -> list[tuple[str, str]]:
    async with stage.services.work.read() as session:
        found = await session.scalars(select(AuditEntry).where(AuditEntry.action == action))
        return [(entry.actor, entry.subject) for entry in found]


@pytest.mark.parametrize("path", ["/operator/connectors", "/operator/repairs"])
async def test_workers_get_403(stage: Stage, path: str) -> None:
    assert (await stage.worker.http.get(path, headers=HTML)).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        f"/operator/connectors/{NAME}/resume",
        f"/operator/connectors/{NAME}/release",
        "/operator/connectors/quarantine/qua_1/forget",
        "/operator/repairs/fix_1/close",
        "/operator/repairs/letters/rep_1/redrive",
    ],
)
async def test_only_an_operator_changes_anything(stage: Stage, path: str) -> None:
    assert (await stage.worker.post(path)).status_code == 403
    without_token = await stage.operator.http.post(path, headers=HTML)
    assert without_token.status_code == 403
    async with stage.services.work.begin("test.role") as tx:
        viewer = update(Person).where(Person.id == stage.operator.id).values(role=str(Role.VIEWER))
        await tx.session.execute(viewer)
    assert (await stage.operator.post(path)).status_code == 403


async def test_how_each_connector_is(stage: Stage) -> None:
    event = await a_delivery(stage, "route x: <no price>")
    page = await stage.operator.http.get("/operator/connectors")
    text = words(page.text)
    assert f"{BASE}/hooks/in/{NAME}" in text
    assert "route x: <no price>" in text
    assert "<no price>" not in page.text
    assert event in text
    assert "Nothing is in quarantine." in text
    assert 'aria-current="page">Connectors<' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert event in (await stage.operator.http.get(f"/operator/connectors?connector={NAME}")).text
    other = words((await stage.operator.http.get("/operator/connectors?connector=other")).text)
    assert event not in other
    assert "Nothing has come in for this connector." in other


async def test_quarantine_is_verified_again_or_forgotten(stage: Stage) -> None:
    forged, stale = await hold(stage, "forged"), await hold(stage, PAGERDUTY_SECRET)
    page = (await stage.operator.http.get("/operator/connectors")).text
    path = f"/operator/connectors/{NAME}/release"
    assert page.count(f'action="{path}"') == 1
    done = await stage.operator.post(path)
    assert (done.status_code, done.headers["location"]) == (303, "/operator/connectors#quarantine")
    after = (await stage.operator.http.get("/operator/connectors")).text
    assert stale not in after
    assert forged in after
    assert "pagey.ping" in after
    assert await audited(stage, "quarantine.released") == [(f"person:{stage.operator.id}", stale)]
    forget = f"/operator/connectors/quarantine/{forged}/forget"
    assert f'action="{forget}"' in after
    assert (await stage.operator.post(forget)).status_code == 303
    assert (await stage.operator.post(forget)).status_code == 404
    assert await audited(stage, "quarantine.forgotten") == [(f"person:{stage.operator.id}", forged)]
    async with stage.services.work.read() as session:
        assert await still_open(session) == []
    assert (await stage.operator.post("/operator/connectors/nobody/release")).status_code == 404


async def test_repairs_are_closed_and_a_stopped_connector_is_resumed(stage: Stage) -> None:
    async with stage.services.work.begin("test.repairs") as tx:
        await needed(tx, f"connector:{NAME}", Kind.CREDENTIALS, "PagerDuty refuses the token.")
        await needed(tx, f"connector:{NAME}", Kind.LOOP, "asked <twice>")
    async with stage.services.work.read() as session:
        stopped, loop = sorted(await still_open(session), key=lambda item: item.kind)
    page = (await stage.operator.http.get("/operator/repairs")).text
    assert "2 open items" in words(page)
    assert "asked &lt;twice&gt;" in page
    assert f'action="/operator/repairs/{stopped.id}/close"' not in page
    close = f"/operator/repairs/{loop.id}/close"
    assert f'action="{close}"' in page
    assert (await stage.operator.post(close)).headers["location"] == "/operator/repairs"
    assert (await stage.operator.post(close)).status_code == 404
    assert await audited(stage, "repair.closed") == [(f"person:{stage.operator.id}", loop.id)]
    resume = f"/operator/connectors/{NAME}/resume"
    assert f'action="{resume}"' in (await stage.operator.http.get("/operator/repairs")).text
    assert (await stage.operator.post(resume)).headers["location"] == "/operator/repairs"
    assert "Nothing waits for you." in words((await stage.operator.http.get("/operator/repairs")).text)


async def test_dead_letters_are_tried_again(stage: Stage) -> None:
    event = await a_delivery(stage, "no price")
    task_id = await stage.offer(connector=NAME, ticket_id="P1", escalation_key="P1")
    async with stage.services.work.begin("test.reply") as tx:
        for number, state in enumerate((ReplyState.DEAD, ReplyState.MOOT)):
            tx.session.add(
                Reply(
                    id=f"rep_{number}",
                    task_id=task_id,
                    step=f"verified.{number}",
                    position=number,
                    connector=NAME,
                    ticket_id="P1",
                    marker=f"[hub:rep_{number}]",
                    actions=[{"kind": "note", "body": "text"}],
                    state=state,
                    attempts=1,
                    error="the field `u_x` is unknown",
                    created_at=clock.now(),
                )
            )
    page = (await stage.operator.http.get("/operator/repairs")).text
    assert "note into P1" in page
    for letter in (event, "rep_0"):
        path = f"/operator/repairs/letters/{letter}/redrive"
        assert f'action="{path}"' in page
        assert (await stage.operator.post(path)).headers["location"] == "/operator/repairs#letters"
        assert (await stage.operator.post(path)).status_code == 409
    assert 'action="/operator/repairs/letters/rep_1/redrive"' not in page  # nobody wants a moot one any more
    assert (await stage.operator.post("/operator/repairs/letters/rep_1/redrive")).status_code == 409
    assert (await stage.operator.post("/operator/repairs/letters/job_1/redrive")).status_code == 404
    async with stage.services.work.read() as session:
        assert (await session.get_one(Reply, "rep_0")).state == "pending"
