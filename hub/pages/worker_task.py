"""One task on a worker's screen: the question, the answer form, its draft, and what became of the answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.status_codes import HTTP_422_UNPROCESSABLE_ENTITY

from core.access.sessions import SignedIn
from core.errors import Conflict
from core.forms import fields
from core.forms.model import FieldError
from core.routing import actions as routing
from core.routing.extend import extend
from core.routing.states import AssignmentState
from core.verification import appeals
from core.verification.anomaly import book as anomalies
from core.verification.gold import offer_owed
from hub import auth
from hub.auth import CSRF_FIELD
from hub.pages import desk as desks
from hub.pages import forms
from hub.pages.desk import Desk, Sheet
from hub.pages.guards import no_nul
from hub.pages.noticed import noticed_in
from hub.pages.readable import readable
from hub.pages.templating import page, see_other
from hub.services import Services

AnyRequest = Request[Any, Any, Any]
Form = dict[str, list[str]]

# The page's own buttons; everything else that is posted belongs to the answer form.
SAVE, SUBMIT = "_save", "_submit"
NOTICED = "_noticed"  # by form.js: how the answer was written
_OURS = frozenset({CSRF_FIELD, SAVE, SUBMIT, NOTICED})


async def _posted(request: AnyRequest) -> Form:
    """The answer form as it was posted, each name with all its texts."""
    found: FormMultiDict = await request.form()
    return {
        name: [value for value in found.getall(name) if isinstance(value, str)]
        for name in found
        if name not in _OURS
    }


async def _read(services: Services, person: SignedIn, assignment_id: str) -> tuple[Sheet, Desk]:
    async with services.work.read() as session:
        sheet = await desks.sheet(session, services, person.person_id, assignment_id)
        return sheet, await desks.desk(session, services, person.person_id)


async def _show(
    services: Services,
    person: SignedIn,
    assignment_id: str,
    *,
    form: Form | None = None,
    errors: Iterable[FieldError] = (),
) -> Response[str]:
    """The page for the state that the turn is in. `form` is what was just posted, `errors` what is wrong with it."""
    sheet, desk = await _read(services, person, assignment_id)
    context: dict[str, Any] = {
        "heading": sheet.card.title,
        "area": "worker",
        "script": True,
        "test_money": desks.test_money(services, desk.worker.environment),
        "sheet": sheet,
        "card": sheet.card,
        "desk": desk,
        "rate": desk.rate,
    }
    match AssignmentState.ACCEPTED if sheet.late.now else sheet.card.state:
        case AssignmentState.ACCEPTED:
            form = sheet.draft if form is None else form
            data = None if form is None else fields.read(sheet.schema, form)[0]
            drawn = forms.render(sheet.schema, data, errors, form)
            return page(
                "worker_task.html",
                person,
                status_code=HTTP_422_UNPROCESSABLE_ENTITY if drawn["problems"] else 200,
                question=readable(sheet.payload),
                **drawn,
                **context,
            )
        case AssignmentState.OFFERED:
            return page("worker_offer.html", person, **context)
        case _:
            given = None if sheet.output is None else forms.reading(sheet.schema, sheet.output)
            async with services.work.read() as session:
                appeal = await appeals.standing(session, assignment_id, services.types.checks.review)
            return page("worker_done.html", person, given=given, appeal=appeal, **context)


@get("/", name="worker.task", include_in_schema=False)
async def show_task(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """The form with the draft in it; another device shows the same."""
    return await _show(services, person, assignment_id)


@post("/", name="worker.answer", include_in_schema=False)
async def answer(
    request: AnyRequest,
    assignment_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """Takes the form: a row added or taken away is drawn again, an answer with faults is shown with them, a good one
    is submitted. What was typed is kept in each case."""
    form = await _posted(request)
    noticed = noticed_in((await request.form()).get(NOTICED))
    here = f"/worker/assignments/{assignment_id}"
    redrawn = fields.press(form)
    try:
        if redrawn is not None:
            await _keep(services, person, assignment_id, redrawn)
            return see_other(f"{here}#answer")
        async with services.work.read() as session:
            sheet = await desks.sheet(session, services, person.person_id, assignment_id)
        output, errors = fields.judge(sheet.schema, form)
        if errors:
            await _keep(services, person, assignment_id, form)
            return await _show(services, person, assignment_id, form=form, errors=errors)
        async with services.work.begin("routing.submit") as tx:
            await routing.submit(
                tx, assignment_id, person.person_id, output, services.policy.sla.late_answers
            )
            await offer_owed(tx, person.person_id, services.types, services.policy)
            if noticed is not None:
                await anomalies.notice(tx, assignment_id, person.person_id, noticed)
    except Conflict:
        return see_other(here)  # what the page shows then says what happened
    return see_other(here)


async def _keep(services: Services, person: SignedIn, assignment_id: str, form: Form) -> None:
    async with services.work.begin("routing.draft") as tx:
        await routing.save_draft(tx, assignment_id, person.person_id, form)


@post("/draft", name="worker.draft", include_in_schema=False)
async def save_draft(
    request: AnyRequest,
    assignment_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[None] | Redirect:
    """Keeps the whole form: after each change by form.js, or by the button."""
    form = await _posted(request)
    pressed = fields.press(form)
    await _keep(services, person, assignment_id, form if pressed is None else pressed)
    if "text/html" in request.headers.get("accept", ""):
        return see_other(f"/worker/assignments/{assignment_id}#answer")
    return Response(None, status_code=204)


@post("/release", name="worker.release", include_in_schema=False)
async def release(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """Give the task back; somebody else gets it."""
    try:
        async with services.work.begin("routing.release") as tx:
            await routing.release(tx, assignment_id, person.person_id)
    except Conflict:
        return see_other("/worker?notice=late")
    return see_other("/worker?notice=released")


@post("/appeal", name="worker.appeal", include_in_schema=False)
async def appeal(
    request: AnyRequest,
    assignment_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Ask for another look at a refused answer."""
    said = (await request.form()).get("said")
    text = said if isinstance(said, str) else ""
    try:
        async with services.work.begin("reviews.appeal") as tx:
            await appeals.appeal(tx, assignment_id, person.person_id, text, services.types, services.plans)
    except Conflict:
        pass  # the page that follows says how it stands
    return see_other(f"/worker/assignments/{assignment_id}")


@post("/extend", name="worker.extend", include_in_schema=False)
async def more_time(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """Half an SLA more, once; the page shows the new deadline."""
    with contextlib.suppress(Conflict):  # the page says what there is
        async with services.work.begin("routing.extend") as tx:
            await extend(tx, assignment_id, person.person_id)
    return see_other(f"/worker/assignments/{assignment_id}")


ROUTER = Router(
    path="/worker/assignments/{assignment_id:str}",
    guards=[no_nul, auth.worker],
    route_handlers=[show_task, answer, save_draft, release, appeal, more_time],
)
