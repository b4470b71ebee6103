"""Workers as the operator sees them: invitations and their links, tier, skills, suspension, and the appeals that wait."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from sqlalchemy import select

from core.access import invitations, sessions
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.access.tables import Person
from core.errors import HubError, Invalid, NotFound
from core.tasks.model import Environment
from core.workers import actions, joining, skills, standing, suspensions
from core.workers import queries as workers
from core.workers.tables import Worker
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.operator_person import person_page
from hub.pages.templating import page, see_other
from hub.services import Services

AnyRequest = Request[Any, Any, Any]
PAGE = 50
_OPERATE = [auth.require(Scope.ACCESS)]


async def _people(
    person: SignedIn,
    services: Services,
    *,
    link: str = "",
    error: str = "",
    after: str = "",
    environment: str = "live",
    q: str = "",
    older: str = "",
) -> Response[str]:
    chosen = Environment.TEST if environment == "test" else Environment.LIVE
    async with services.work.read() as session:
        found = await workers.page(session, chosen, after=after or None, limit=PAGE, like=q.strip())
        ids = [one.id for one in found]
        rows = await session.scalars(select(Person).where(Person.id.in_(ids)))
        people = {row.id: row for row in rows}
        marks = await session.execute(
            select(Worker.id, Worker.expert, Worker.cluster_id).where(Worker.id.in_(ids))
        )
        context = {
            "marks": {row.id: row for row in marks},
            "waiting": (waiting := await invitations.waiting(session, PAGE, before=older)),
            "older": waiting[-1].id if len(waiting) == PAGE else "",
            "appeals": await suspensions.open_appeals(session),
            "suspended": await suspensions.in_force(session, ids),
        }
    more = {"environment": str(chosen), "q": q.strip(), "after": ids[-1] if ids else ""}
    return page(
        "operator_people.html",
        person,
        status_code=422 if error else 200,
        heading="People",
        area="operator",
        here="people",
        test_money=test_money(services, ""),
        workers=found,
        people=people,
        environment=str(chosen),
        q=q.strip(),
        following=f"/operator/people?{urlencode(more)}" if len(ids) == PAGE else "",
        link=link,
        error=error,
        stranger=invitations.STRANGER,
        may_operate=may(person.role, Scope.ACCESS),
        **context,
    )


@get("/", name="operator.people", include_in_schema=False)
async def show_people(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    after: FromQuery[str] = "",
    environment: FromQuery[str] = "live",
    q: FromQuery[str] = "",
    older: FromQuery[str] = "",
) -> Response[str]:
    """Who waits for an invitation or for a decision at the top, then the workers; `q` is part of a name or an address, or an
    id; `older` the invitation after which to go on."""
    return await _people(person, services, after=after, environment=environment, q=q, older=older)


@get("/{worker_id:str}", name="operator.person", include_in_schema=False)
async def show_person(
    worker_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """One worker, with everything that is known of them."""
    return await person_page(worker_id, person, services)


@post("/invite", name="operator.invite", guards=_OPERATE, include_in_schema=False)
async def invite(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """Shows the link once; the operator sends it."""
    form = await request.form()
    email, given = (str(form.get(name) or "") for name in ("email", "skills"))
    environment = Environment.TEST if form.get("environment") == "test" else Environment.LIVE
    try:
        async with services.work.begin("invitations.made") as tx:
            _, token = await joining.invite(
                tx, email, actor=person.actor, environment=environment, skills=given.replace(",", " ").split()
            )
    except HubError as error:
        return await _people(person, services, error="; ".join(error.field_errors.values()) or error.message)
    return await _people(person, services, link=f"{services.settings.public_url}/join/{token.reveal()}")


@post(
    "/invitations/{invitation_id:str}/link",
    name="operator.invitation",
    guards=_OPERATE,
    include_in_schema=False,
)
async def make_link(
    invitation_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """A new link; the former one is dead."""
    async with services.work.begin("invitations.link") as tx:
        token = await invitations.renew(tx, invitation_id, actor=person.actor)
    return await _people(person, services, link=f"{services.settings.public_url}/join/{token.reveal()}")


@post(
    "/invitations/{invitation_id:str}/revoke",
    name="operator.revoke",
    guards=_OPERATE,
    include_in_schema=False,
)
async def revoke(
    invitation_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    async with services.work.begin("invitations.revoked") as tx:
        await invitations.revoke(tx, invitation_id, actor=person.actor)
    return see_other("/operator/people")


@post("/{worker_id:str}", name="operator.worker", guards=_OPERATE, include_in_schema=False)
async def change(
    request: AnyRequest,
    worker_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """`do` is suspend, lift, tier, grant, revoke, expert, cluster or link; `text` what goes with it: the reason, the tier, the
    skill, yes or no, the name of the cluster."""
    form = await request.form()
    do, text = (str(form.get(name) or "").strip() for name in ("do", "text"))
    actor, link, alone = person.actor, "", form.get("back") == "person"
    try:
        async with services.work.begin("operator.worker") as tx:
            match do:
                case "suspend":
                    await suspensions.suspend(tx, worker_id, text, actor=actor)
                case "lift":
                    await suspensions.lift(tx, worker_id, actor=actor)
                case "tier":
                    tier, _, reason = text.partition(" ")
                    number = int(tier) if tier.isdecimal() and len(tier) == 1 else -1
                    await standing.set_tier(tx, worker_id, number, reason, actor=actor)
                case "grant":
                    await skills.grant(tx, worker_id, text, by=actor)
                case "revoke":
                    await skills.revoke(tx, worker_id, text, actor=actor)
                case "expert":
                    await actions.set_expert(tx, worker_id, _yes(text), actor=actor)
                case "cluster":
                    await actions.set_cluster(tx, worker_id, text or None, actor=actor)
                case "link":
                    token = await sessions.make_link(tx, worker_id, actor=actor)
                    link = f"{services.settings.public_url}/sign-in/{token.reveal()}"
                case _:
                    raise Invalid("unknown_deed", "Choose what to do")
    except HubError as error:
        told = "; ".join(error.field_errors.values()) or error.message
        if alone and not isinstance(error, NotFound):
            return await person_page(worker_id, person, services, error=told)
        return await _people(person, services, error=told)
    if link and alone:
        return await person_page(worker_id, person, services, link=link)
    if link:
        return await _people(person, services, link=link)
    return see_other(f"/operator/people/{worker_id}" if alone else "/operator/people")


@post("/appeals/{appeal_id:str}", name="operator.appeal", guards=_OPERATE, include_in_schema=False)
async def decide(
    request: AnyRequest,
    appeal_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """`verdict` grant, or anything else to refuse; the worker reads `answer`."""
    form = await request.form()
    try:
        async with services.work.begin("operator.appeal") as tx:
            row = await suspensions.decide(
                tx,
                appeal_id,
                grant=form.get("verdict") == "grant",
                answer=str(form.get("answer") or ""),
                actor=person.actor,
                trust=services.trust,
            )
    except HubError as error:
        return await _people(person, services, error="; ".join(error.field_errors.values()) or error.message)
    return see_other(
        f"/operator/people/{row.worker_id}" if form.get("back") == "person" else "/operator/people"
    )


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise Invalid("bad_word", "Write yes or no", field_errors={"text": "Write yes or no"})
    return text == "yes"


ROUTER = Router(
    path="/operator/people",
    guards=[no_nul, auth.operator],
    route_handlers=[show_people, show_person, invite, make_link, revoke, change, decide],
)
