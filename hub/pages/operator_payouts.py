"""The operator's payouts: what was sent and why not, one payout's trail, the kill switch, the rails, and what a rail's
own history says. Nothing here pays: it only lets the machine go on, or not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from core import clock
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.errors import Invalid, NotFound
from core.payouts import actions, controls, desk, holds
from core.payouts.controls import HUB, Cause, rail_subject
from core.payouts.reconcile import explain as explain_payment
from core.payouts.reconcile import unexplained
from core.payouts.states import OWED, PayoutState
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

PAGE = 50
_HOME = "/operator/payouts"
_MONEY = [auth.require(Scope.MONEY)]


@get("/", name="operator.payouts", include_in_schema=False)
async def show_payouts(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    status: FromQuery[str] = "",
    before: FromQuery[str] = "",
) -> Response[str]:
    """Newest first, of one state or all; what holds payouts back, the rails, and what their histories found."""
    async with services.work.read() as session:
        rows, following = await desk.listing(session, state=status, before=before, limit=PAGE)
        held = await controls.in_force(session, clock.now_ms())
        findings = await unexplained(session)
        looked_at = await holds.still_held(session)
    query = urlencode({"status": status, "before": following or ""})
    return page(
        "operator_payouts.html",
        person,
        heading="Payouts",
        area="operator",
        here="payouts",
        test_money=test_money(services, ""),
        status=status,
        states=list(PayoutState),
        payouts=rows,
        following=f"{_HOME}?{query}" if following else "",
        held=held,
        stopped=any((one.subject, one.cause) == (HUB, Cause.OPERATOR) for one in held),
        rails=await desk.rail_lines(services.work, services.rails, ask=False),
        findings=findings,
        looked_at=len(looked_at),
        may_pay=may(person.role, Scope.MONEY),
    )


@get("/{payout_id:str}", name="operator.payout", include_in_schema=False)
async def show_payout(
    payout_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str]:
    """Every attempt, transfer, job and repair item of one payout."""
    async with services.work.read() as session:
        trail = await desk.trail(session, payout_id)
        hold = (await holds.of_payouts(session, [payout_id])).get(payout_id)
    return page(
        "operator_payout.html",
        person,
        heading="Payout",
        area="operator",
        here="payouts",
        test_money=test_money(services, trail.payout.environment),
        trail=trail,
        payout=trail.payout,
        hold=hold,
        may_retry=may(person.role, Scope.MONEY) and PayoutState(trail.payout.state) in OWED,
    )


@post("/{payout_id:str}/retry", name="operator.payout.retry", guards=_MONEY, include_in_schema=False)
async def retry_payout(
    payout_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Go on with one whose attempts are used up, or wake one that waits."""
    async with services.work.begin("operator.retry") as tx:
        await actions.retry(tx, payout_id, actor=person.actor)
    return see_other(f"{_HOME}/{payout_id}")


@post("/pause", name="operator.payouts.pause", guards=_MONEY, include_in_schema=False)
async def pause_payouts(
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """The kill switch, of all payouts or of one rail."""
    reason = await _text(request, "reason")
    if not reason:
        raise Invalid("no_reason", "Say why: it is shown to whoever asks why nothing is sent")
    subject = _subject(services, await _text(request, "rail"))
    async with services.work.begin("operator.pause") as tx:
        await controls.pause(tx, subject, Cause.OPERATOR, reason, by=person.actor)
    return see_other(_HOME)


@post("/resume", name="operator.payouts.resume", guards=_MONEY, include_in_schema=False)
async def resume_payouts(
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Take back a pause, or close a rail's breaker."""
    subject = _subject(services, await _text(request, "rail"))
    async with services.work.begin("operator.resume") as tx:
        await actions.resume(tx, subject, actor=person.actor)
    return see_other(_HOME)


@post("/explain", name="operator.payouts.explain", guards=_MONEY, include_in_schema=False)
async def explain_finding(
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Why a finding of a reconciliation is right. When all are explained, payouts go on."""
    note = await _text(request, "note")
    if not note:
        raise Invalid("no_note", "Say what this payment was")
    rail, payment_hash = await _text(request, "rail"), await _text(request, "payment_hash")
    async with services.work.begin("operator.explain") as tx:
        await explain_payment(tx, rail, payment_hash, note, by=person.actor)
    return see_other(f"{_HOME}#findings")


async def _text(request: Request[Any, Any, Any], name: str) -> str:
    value = (await request.form()).get(name)
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def _subject(services: Services, rail: str) -> str:
    if rail and rail not in services.rails:
        raise NotFound("rail_not_found", "This hub has no such rail")
    return rail_subject(rail) if rail else HUB


ROUTER = Router(
    path=_HOME,
    guards=[no_nul, auth.operator],
    route_handlers=[
        show_payouts,
        show_payout,
        retry_payout,
        pause_payouts,
        resume_payouts,
        explain_finding,
    ],
)
