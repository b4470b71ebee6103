"""An organisation's own word on workers, as the operator sees and changes it: whom it blocks, and whom alone it wants."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from core.access import organisations, people
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.errors import HubError, Invalid, NotFound
from core.routing import lists
from core.routing.lists import Word
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

PAGE = 50
_HOME = "/operator/organisations"
_OPERATE = [auth.require(Scope.ACCESS)]


async def _lists(
    person: SignedIn,
    services: Services,
    organisation_id: str,
    *,
    after: str = "",
    typed: dict[str, str] | None = None,
    error: str = "",
) -> Response[str]:
    async with services.work.read() as session:
        owner = await organisations.get(session, organisation_id)
        rows = await lists.page(session, owner.id, after=after, limit=PAGE)
    more = f"{_HOME}/{owner.id}/people?after={rows[-1][0].worker_id}" if len(rows) == PAGE else ""
    return page(
        "operator_lists.html",
        person,
        status_code=422 if error else 200,
        heading="Whom it allows and blocks",
        area="operator",
        here="organisations",
        test_money=test_money(services, ""),
        organisation=owner,
        rows=rows,
        following=more,
        typed=typed or {"who": "", "word": "block", "reason": ""},
        error=error,
        may_change=may(person.role, Scope.ACCESS),
    )


@get("/", name="operator.lists", include_in_schema=False)
async def show_lists(
    organisation_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    after: FromQuery[str] = "",
) -> Response[str]:
    """Everybody on the lists, a page at a time."""
    return await _lists(person, services, organisation_id, after=after)


@post("/", name="operator.lists.say", guards=_OPERATE, include_in_schema=False)
async def say(
    request: Request[Any, Any, Any],
    organisation_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """`who` is an e-mail address or a worker's id; `word` allow or block."""
    form = await request.form()
    typed = {name: str(form.get(name) or "").strip() for name in ("who", "word", "reason")}
    try:
        if typed["word"] not in set(Word):
            raise Invalid("bad_word", "The word is allow or block")
        async with services.work.begin("organisation.people") as tx:
            owner = await organisations.get(tx.session, organisation_id)
            found = await people.by_email(tx.session, typed["who"]) if "@" in typed["who"] else None
            if "@" in typed["who"] and found is None:
                raise NotFound("person_not_found", f"There is no person with the address {typed['who']!r}")
            worker_id = typed["who"] if found is None else found.id
            word = Word(typed["word"])
            await lists.say(tx, owner, worker_id, word, reason=typed["reason"], actor=person.actor)
    except HubError as error:
        return await _lists(person, services, organisation_id, typed=typed, error=error.message)
    return see_other(f"{_HOME}/{organisation_id}/people")


@post("/{worker_id:str}/forget", name="operator.lists.forget", guards=_OPERATE, include_in_schema=False)
async def forget(
    organisation_id: FromPath[str],
    worker_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """Off the list."""
    try:
        async with services.work.begin("organisation.people") as tx:
            owner = await organisations.get(tx.session, organisation_id)
            await lists.forget(tx, owner, worker_id, actor=person.actor)
    except HubError as error:
        return await _lists(person, services, organisation_id, error=error.message)
    return see_other(f"{_HOME}/{organisation_id}/people")


ROUTER = Router(
    path=f"{_HOME}/{{organisation_id:str}}/people",
    guards=[no_nul, auth.operator],
    route_handlers=[show_lists, say, forget],
)
