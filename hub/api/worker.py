"""`/worker/api`: what a worker's own client can do, the same as the pages (`WORKER.md` lists it). A session token (from a one-time link) in
`Authorization: Bearer`; a cookie is not taken, so no other site can act in a worker's name."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from core import clock
from core.access.roles import Scope
from core.access.sessions import SignedIn
from core.errors import Invalid, Malformed
from core.forms import validate
from core.payouts.address import set_address
from core.payouts.queries import totals_of
from core.routing import actions as routing
from core.routing import refusing
from core.verification.gold import offer_owed
from core.workers import actions as workers
from core.workers import availability
from hub.api import worker_account, worker_checks, worker_pull
from hub.api.decoding import Fields, paged, read_object
from hub.api.signing_in import must, signed_in
from hub.api.worker_views import (
    MeView,
    SignedInView,
    TaskView,
    TurnList,
    TurnState,
    me_view,
    task_view,
    turn_view,
)
from hub.pages import desk as desks
from hub.pages.guards import no_nul
from hub.services import Services

AnyRequest = Request[Any, Any, Any]

REFUSAL = "This account does not answer tasks"
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_anything = msgspec.json.Decoder()
_form = msgspec.json.Decoder(dict[str, list[str]])


async def bearer(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: a living session of a worker in `Authorization: Bearer`."""
    await must(connection, Scope.ANSWER, REFUSAL)


@post("/sign-in", name="worker_api.sign_in", status_code=200, opt={"public": "the way in"})
async def sign_in(request: AnyRequest, services: NamedDependency[Services]) -> SignedInView:
    """`{"token": …}` of a one-time link, for a session token. Raises Unauthenticated for a link that is over."""
    return await signed_in(request, services, Scope.ANSWER, REFUSAL)


@get("/offers", name="worker_api.offers")
async def list_offers(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> TurnList:
    """The offer that ends first at the top."""
    async with services.work.read() as session:
        desk = await desks.desk(session, services, person.person_id)
    return TurnList(data=[turn_view(card) for card in desk.offers], server_time=clock.iso(clock.now()))


@get("/work", name="worker_api.work")
async def list_work(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> TurnList:
    """What is accepted and not answered, the earliest deadline at the top."""
    async with services.work.read() as session:
        desk = await desks.desk(session, services, person.person_id)
    return TurnList(data=[turn_view(card) for card in desk.work], server_time=clock.iso(clock.now()))


@get("/history", name="worker_api.history")
async def list_history(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TurnList:
    """Newest first; `cursor` is the `nextCursor` of the page before."""
    limit, before = paged(request)
    async with services.work.read() as session:
        cards, following = await desks.history(
            session, services, person.person_id, before=before, limit=limit
        )
    return TurnList(
        data=[turn_view(card) for card in cards],
        server_time=clock.iso(clock.now()),
        has_more=following is not None,
        next_cursor=following,
    )


@get("/me", name="worker_api.me")
async def show_me(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> MeView:
    return await _me(services, person)


async def _me(services: Services, person: SignedIn) -> MeView:
    async with services.work.read() as session:
        desk = await desks.desk(session, services, person.person_id)
        earned = await totals_of(session, person.person_id)
    play = desks.test_money(services, desk.worker.environment)
    return me_view(person.name, desk.worker, desk.off, earned, play=play)


@post("/me/availability", name="worker_api.availability", status_code=200)
async def set_availability(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> MeView:
    """`{"available": true}`: offers on or off."""
    body = Fields(await read_object(request))
    wanted = body.take(_flag, "available", required=True)
    body.check()
    act = workers.resume if wanted else workers.pause
    async with services.work.begin("workers.availability") as tx:
        await act(tx, person.person_id, actor=person.actor)
    return await _me(services, person)


@put("/me/payout-address", name="worker_api.payout_address")
async def set_payout_address(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> MeView:
    """`{"payoutAddress": "name@wallet.example"}`; null takes it away. A changed one is paid after the hold."""
    body = Fields(await read_object(request))
    if "payoutAddress" not in body.raw:
        raise Malformed(
            "invalid_body", "Invalid request body", field_errors={"payoutAddress": "Field is required"}
        )
    address = body.take(_text, "payoutAddress")
    body.check()
    async with services.work.begin("workers.payout_address") as tx:
        await set_address(
            tx,
            person.person_id,
            address,
            actor=person.actor,
            hold_hours=services.settings.payout_hold_hours,
        )
    return await _me(services, person)


@get("/assignments/{assignment_id:str}", name="worker_api.task")
async def show_task(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TaskView:
    """The question, the schema of its answer, the deadline and the pay."""
    async with services.work.read() as session:
        sheet = await desks.sheet(session, services, person.person_id, assignment_id)
    return task_view(sheet)


@post("/assignments/{assignment_id:str}/accept", name="worker_api.accept", status_code=200)
async def accept(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TurnState:
    async with services.work.begin("routing.accept") as tx:
        found = await routing.accept(tx, assignment_id, person.person_id, services.policy)
        await availability.accepted(tx, person.person_id)
    return TurnState(id=found.id, state=found.state)


@post("/assignments/{assignment_id:str}/decline", name="worker_api.decline", status_code=200)
async def decline(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> TurnState:
    async with services.work.begin("routing.decline") as tx:
        most = services.trust.declines_to_pause
        found, paused = await refusing.decline(tx, assignment_id, person.person_id, most)
    return TurnState(id=found.id, state=found.state, paused=paused)


@put("/assignments/{assignment_id:str}/draft", name="worker_api.draft")
async def save_draft(
    request: AnyRequest,
    assignment_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[None]:
    """`{"form": {"/field": ["text"]}}`: the posted form, as the page keeps it, so that either can go on."""
    body = Fields(await read_object(request))
    form = body.take(_form, "form", required=True)
    body.check()
    async with services.work.begin("routing.draft") as tx:
        await routing.save_draft(tx, assignment_id, person.person_id, form or {})
    return Response(None, status_code=204)


@post("/assignments/{assignment_id:str}/answer", name="worker_api.answer", status_code=201)
async def answer(
    request: AnyRequest,
    assignment_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> TurnState:
    """`{"output": …}`. Raises Invalid with what is wrong by JSON Pointer; the same answer again is the stored one."""
    body = Fields(await read_object(request))
    output = body.take(_anything, "output", required=True)
    body.check()
    async with services.work.read() as session:
        sheet = await desks.sheet(session, services, person.person_id, assignment_id)
    wrong = validate.errors(sheet.schema, output)
    if wrong:
        told: dict[str, str] = {}
        for error in wrong:
            told.setdefault(error.pointer or "/", error.message)
        raise Invalid("answer_invalid", "The answer does not fit its schema", field_errors=told)
    async with services.work.begin("routing.submit") as tx:
        submission = await routing.submit(
            tx, assignment_id, person.person_id, output, services.policy.sla.late_answers
        )
        await offer_owed(tx, person.person_id, services.types, services.policy)
    return TurnState(id=submission.id, state="submitted")


_SIGNED_IN = Router(
    path="/",
    guards=[bearer],
    route_handlers=[
        list_offers,
        list_work,
        list_history,
        show_me,
        set_availability,
        set_payout_address,
        show_task,
        accept,
        decline,
        save_draft,
        answer,
        *worker_pull.HANDLERS,
        *worker_account.HANDLERS,
        *worker_checks.HANDLERS,
    ],
)
ROUTER = Router(path="/worker/api", guards=[no_nul], route_handlers=[sign_in, _SIGNED_IN])
