"""How a careless worker or a colluding pair was caught: every mark with its evidence in words and figures, one worker's with
the answers behind it, open until an operator has looked and said so."""

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
from core.payouts import holds
from core.verification import marked
from core.verification.anomaly import marks
from core.verification.anomaly.behind import Behind, answers_behind
from core.verification.anomaly.tables import WorkerMark
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

# What a mark of each kind leads to, for the operator's page; more gold and held pay beside it (`marks` in
# verification.yaml). None refuses an answer by itself.
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


# The test behind each kind, and what its figure says.
STATISTICS = {
    "fast": "binomial test of the last ten and fifty answers, each by robust z of log seconds",
    "repeats": "binomial test of the last ten and fifty answers, each by simhash of the text",
    "copies": "binomial test of the last ten and fifty answers, each by simhash of the text",
    "constant": "Poisson-binomial test of the choices against those of others at the same questions",
    "unskilled": "Beta posterior of right and wrong against the least skill",
    "turned": "CUSUM over gold, consensus and reviews",
    "pair": "agreement against Fleiss' agreement of each question, Benjamini-Hochberg at 1 %",
    "shared": "an equality, no test",
}
FIGURES = {"with", "what", "alarmed_at"}  # of the evidence, told in words


def _words(mark: WorkerMark, names: dict[str, str]) -> str:
    """With the other one's name in place of their id."""
    other = str(mark.evidence.get("with", ""))
    return mark.words.replace(other, names.get(other, other)) if other else mark.words


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
        waiting = await holds.still_held(session, worker_id=worker_id)
        wanted = (
            {hold.worker_id for hold, _ in waiting}
            | {one.worker_id for one in found}
            | {str(one.evidence.get("with", "")) for one in found}
        )
        rows = await session.execute(select(Person.id, Person.name).where(Person.id.in_(wanted)))
        names: dict[str, str] = {row[0]: row[1] for row in rows.all()}
        behind: dict[str, list[Behind]] = {}
        if worker_id is not None:
            behind = {one.id: await answers_behind(session, one) for one in found if one.closed_at is None}
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
        statistics=STATISTICS,
        figures={
            one.id: " · ".join(f"{key} {value}" for key, value in one.evidence.items() if key not in FIGURES)
            for one in found
        },
        said={one.id: _words(one, names) for one in found},
        behind=behind,
        waiting=waiting,
        rules=services.types.checks.marks,
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
    """Somebody has looked and found nothing (any more): the mark is closed, and pay that waited for it is sent."""
    note = await _note(request)
    if not note:
        return await _show(person, services, None, missing=mark_id)
    async with services.work.begin("operator.close") as tx:
        await marked.clear(tx, mark_id, actor=person.actor, note=note)
    return see_other("/operator/marks")


@post(
    "/{mark_id:str}/confirm",
    name="operator.mark.confirm",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def confirm_mark(
    mark_id: FromPath[str],
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """Somebody has looked and found it true: the answers whose pay waits are refused, with what was said; the worker may
    appeal. The mark stays."""
    note = await _note(request)
    if not note:
        return await _show(person, services, None, missing=mark_id)
    async with services.work.begin("operator.confirm") as tx:
        await marked.confirm(tx, mark_id, actor=person.actor, note=note)
    return see_other("/operator/marks")


async def _note(request: Request[Any, Any, Any]) -> str:
    said = (await request.form()).get("note")
    return said.strip() if isinstance(said, str) else ""


ROUTER = Router(
    path="/operator/marks",
    guards=[no_nul, auth.operator],
    route_handlers=[show_marks, show_marks_of, close_mark, confirm_mark],
)
