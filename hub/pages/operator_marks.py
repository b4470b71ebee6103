"""How a careless worker or a colluding pair was caught: every mark with its evidence in words, open until an operator has
looked and said so."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import select

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.access.tables import Person
from core.verification.anomaly import marks
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

# What a mark of each kind leads to, for the operator's page. None refuses an answer by itself.
MEANS = {
    "fast": "answers go to a reviewer",
    "repeats": "answers go to a reviewer",
    "copies": "answers go to a reviewer",
    "constant": "answers go to a reviewer",
    "unskilled": "answers go to a reviewer",
    "turned": "answers go to a reviewer",
    "pair": "answers go to a reviewer; the two are never asked the same question",
    "shared": "the two are never asked the same question",
}


async def _show(
    person: SignedIn, services: Services, worker_id: str | None, *, missing: str = ""
) -> Response[str]:
    """All open marks, or one worker's, closed ones included. `missing` is the mark that was closed without a word."""
    async with services.work.read() as session:
        found = (
            await marks.still_open(session)
            if worker_id is None
            else await marks.of_worker(session, worker_id)
        )
        wanted = {one.worker_id for one in found} | {str(one.evidence.get("with", "")) for one in found}
        rows = await session.execute(select(Person.id, Person.name).where(Person.id.in_(wanted)))
        names: dict[str, str] = {row[0]: row[1] for row in rows.all()}
    return page(
        "operator_marks.html",
        person,
        status_code=422 if missing else 200,
        heading="Marks",
        area="operator",
        here="marks",
        test_money=test_money(services, ""),
        marks=found,
        names=names,
        means=MEANS,
        worker_id=worker_id,
        missing=missing,
        may_operate=may(person.role, Scope.OPERATE),
    )


@get("/", name="operator.marks", include_in_schema=False)
async def show_marks(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> Response[str]:
    """Open marks of all workers, newest first."""
    return await _show(person, services, None)


@get("/{worker_id:str}", name="operator.marks.worker", include_in_schema=False)
async def show_marks_of(
    worker_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """One worker's marks: the open ones, then those that were closed, with what was said."""
    return await _show(person, services, worker_id)


@post(
    "/{mark_id:str}/close",
    name="operator.mark.close",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def close_mark(
    mark_id: FromPath[str],
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """Somebody has looked, and says what they found."""
    said = (await request.form()).get("note")
    note = said.strip() if isinstance(said, str) else ""
    if not note:
        return await _show(person, services, None, missing=mark_id)
    async with services.work.begin("operator.close") as tx:
        await marks.close(tx, mark_id, actor=person.actor, note=note)
    return see_other("/operator/marks")


ROUTER = Router(
    path="/operator/marks",
    guards=[no_nul, auth.operator],
    route_handlers=[show_marks, show_marks_of, close_mark],
)
