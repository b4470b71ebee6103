"""The worker's home: offers, work in hand, history, earnings, availability and where to be paid."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from litestar.status_codes import HTTP_422_UNPROCESSABLE_ENTITY

from core import clock
from core.access.sessions import SignedIn
from core.errors import Conflict, Invalid
from core.payouts.address import set_address
from core.payouts.queries import totals_of, where_of
from core.routing import actions as routing
from core.routing import refusing
from core.workers import actions as workers
from core.workers import availability
from hub import auth
from hub.pages import desk as desks
from hub.pages.guards import no_nul
from hub.pages.templating import page, partial, see_other
from hub.services import Services

SHORT_HISTORY = 5
PAGE = 20
NOTICES = {
    "gone": "That offer is no longer open. Nothing is lost: the next one comes by itself.",
    "late": "That question is no longer in your hands.",
    "declined": "Declined. Somebody else is asked.",
    "declined-paused": "Declined. You said no several times in a row, so your offers are paused: switch them on when you want to work.",
    "released": "Given back. It does not count against you.",
    "address": "Your Lightning address is saved.",
    "paused": "You get no new offers until you switch them on again.",
    "resumed": "You get offers again.",
}


async def _home(
    person: SignedIn,
    services: Services,
    *,
    notice: str = "",
    address: str | None = None,
    address_error: str = "",
) -> Response[str]:
    async with services.work.read() as session:
        desk = await desks.desk(session, services, person.person_id)
        recent, more = await desks.history(session, services, person.person_id, limit=SHORT_HISTORY)
        earned = await totals_of(session, person.person_id)
        where = await where_of(session, person.person_id)
    return page(
        "worker_home.html",
        person,
        status_code=HTTP_422_UNPROCESSABLE_ENTITY if address_error else 200,
        heading="Your work",
        area="worker",
        here="home",
        script=True,
        test_money=desks.test_money(services, desk.worker.environment),
        desk=desk,
        rate=desk.rate,
        recent=recent,
        more=more,
        earned=earned,
        where=where,
        held=where.held_until(clock.now()),
        hold_hours=services.settings.payout_hold_hours,
        notice=NOTICES.get(notice, ""),
        address=desk.worker.payout_address or "" if address is None else address,
        address_error=address_error,
    )


@get("/", name="worker.home", include_in_schema=False)
async def show_home(
    person: NamedDependency[SignedIn], services: NamedDependency[Services], notice: FromQuery[str] = ""
) -> Response[str]:
    """Offers first: they are what runs out."""
    return await _home(person, services, notice=notice)


@get("/desk", name="worker.desk", include_in_schema=False)
async def show_desk(
    request: Request[Any, Any, Any], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """The part of the home page that form.js fetches again every few seconds."""
    async with services.work.read() as session:
        desk = await desks.desk(session, services, person.person_id)
    return partial("_desk.html", person, request.headers.get("if-none-match"), desk=desk, rate=desk.rate)


@get("/history", name="worker.history", include_in_schema=False)
async def show_history(
    person: NamedDependency[SignedIn], services: NamedDependency[Services], before: FromQuery[str] = ""
) -> Response[str]:
    """Everything the worker answered or let go, a page at a time."""
    async with services.work.read() as session:
        desk = await desks.desk(session, services, person.person_id)
        cards, following = await desks.history(
            session, services, person.person_id, before=before or None, limit=PAGE
        )
        earned = await totals_of(session, person.person_id)
    return page(
        "worker_history.html",
        person,
        heading="History",
        area="worker",
        here="history",
        test_money=desks.test_money(services, desk.worker.environment),
        cards=cards,
        rate=desk.rate,
        earned=earned,
        newest=bool(before),
        following=f"/worker/history?before={following}" if following else "",
    )


@post("/assignments/{assignment_id:str}/accept", name="worker.accept", include_in_schema=False)
async def accept(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """Take the offer and open it."""
    try:
        async with services.work.begin("routing.accept") as tx:
            await routing.accept(tx, assignment_id, person.person_id, services.policy)
            await availability.accepted(tx, person.person_id)
    except Conflict as error:
        return see_other("/worker/me" if error.code == "suspended" else "/worker?notice=gone")
    return see_other(f"/worker/assignments/{assignment_id}")


@post("/assignments/{assignment_id:str}/decline", name="worker.decline", include_in_schema=False)
async def decline(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """Say no to the offer."""
    try:
        async with services.work.begin("routing.decline") as tx:
            most = services.trust.declines_to_pause
            _, paused = await refusing.decline(tx, assignment_id, person.person_id, most)
    except Conflict:
        return see_other("/worker?notice=gone")
    return see_other(f"/worker?notice={'declined-paused' if paused else 'declined'}")


@post("/availability", name="worker.availability", include_in_schema=False)
async def set_availability(
    request: Request[Any, Any, Any], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """`available=yes` switches offers on, anything else off."""
    wanted = (await request.form()).get("available") == "yes"
    act = workers.resume if wanted else workers.pause
    try:
        async with services.work.begin("workers.availability") as tx:
            await act(tx, person.person_id, actor=person.actor)
    except Conflict:  # suspended: the account's page says why, and takes an appeal
        return see_other("/worker/me")
    return see_other(f"/worker?notice={'resumed' if wanted else 'paused'}")


@post("/payout-address", name="worker.payout_address", include_in_schema=False)
async def set_payout_address(
    request: Request[Any, Any, Any], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """Where the worker is paid from now on."""
    value = (await request.form()).get("payout_address")
    typed = value if isinstance(value, str) else ""
    try:
        async with services.work.begin("workers.payout_address") as tx:
            await set_address(
                tx,
                person.person_id,
                typed,
                actor=person.actor,
                hold_hours=services.settings.payout_hold_hours,
            )
    except Invalid as error:
        told = error.field_errors.get("payoutAddress", error.message)
        return await _home(person, services, address=typed, address_error=told)
    return see_other("/worker?notice=address")


ROUTER = Router(
    path="/worker",
    guards=[no_nul, auth.worker],
    route_handlers=[
        show_home,
        show_desk,
        show_history,
        accept,
        decline,
        set_availability,
        set_payout_address,
    ],
)
