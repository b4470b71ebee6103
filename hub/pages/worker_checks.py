"""What a worker missed among the questions whose answer was known, told some time afterwards, and the button to dispute it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from core.access.sessions import SignedIn
from core.errors import Conflict
from core.verification import gold_items
from core.workers import queries as workers
from hub import auth
from hub.pages import forms
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.readable import readable
from hub.pages.templating import page, see_other
from hub.services import Services


@get("/", name="worker.checks", include_in_schema=False)
async def show_checks(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """The latest, each with the question, the own answer and the known one."""
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        found = await gold_items.missed(session, person.person_id, services.types.checks.gold)
    return page(
        "worker_checks.html",
        person,
        heading="Checks",
        area="worker",
        here="checks",
        test_money=test_money(services, worker.environment),
        missed=[
            (
                one.exposure,
                services.types.of(one.task.task_type).title,
                readable(one.task.payload),
                forms.reading(one.task.output_schema, one.given),
                forms.reading(one.task.output_schema, one.known),
            )
            for one in found
        ],
    )


@post("/{exposure_id:str}/dispute", name="worker.checks.dispute", include_in_schema=False)
async def dispute(
    request: Request[Any, Any, Any],
    exposure_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """The known answer is wrong, says the worker: an operator or reviewer decides."""
    said = (await request.form()).get("said")
    text = said if isinstance(said, str) else ""
    try:
        async with services.work.begin("gold.dispute") as tx:
            await gold_items.dispute(tx, exposure_id, person.person_id, text, services.types, services.plans)
    except Conflict:
        pass  # the page that follows says how it stands
    return see_other("/worker/checks")


ROUTER = Router(
    path="/worker/checks",
    guards=[no_nul, auth.worker],
    route_handlers=[show_checks, dispute],
)
