"""The operator's bank payments: what waits, batches that one person makes and another confirms, their files, and what the
bank answered."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.status_codes import HTTP_422_UNPROCESSABLE_ENTITY

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.bank import actions, queries
from core.bank.answers import Told, import_answers
from core.errors import Conflict, Invalid, Misconfigured
from core.payouts.limits import PayoutLimits
from core.payouts.rail import Capabilities
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

MONEY = [auth.require(Scope.MONEY)]


@get("/", name="operator.bank", include_in_schema=False)
async def show_bank(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> Response[str]:
    """What waits, and the batches, newest first."""
    return await _bank(person, services)


async def _bank(
    person: SignedIn,
    services: Services,
    *,
    refusal: str = "",
    report: list[Told] | None = None,
    status_code: int = 200,
) -> Response[str]:
    async with services.work.read() as session:
        waiting = await queries.waiting(session)
        batches = await queries.batches(session)
        actors = [actor or "" for one in batches for actor in (one.made_by, one.confirmed_by)]
        names = await queries.names_of(session, actors)
    return page(
        "operator_bank.html",
        person,
        status_code=status_code,
        heading="Bank payments",
        area="operator",
        here="bank",
        test_money=test_money(services, ""),
        in_use=queries.RAIL in services.rails,
        waiting=waiting,
        waiting_cents=sum(one.cents for one in waiting),
        batches=batches,
        names=names,
        refusal=refusal,
        report=report,
        may_pay=may(person.role, Scope.MONEY),
        actor=person.actor,
    )


@post("/batches", name="operator.bank.make", guards=MONEY, include_in_schema=False)
async def make(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """Freeze what waits into a batch."""
    async with services.work.begin("bank.make") as tx:
        made = await actions.make_batch(
            tx,
            person.actor,
            unseal=services.sealer.unseal,
            capabilities=capabilities(services),
            limits=PayoutLimits.from_sats(services.settings.payouts),
        )
    if made is None:
        return await _bank(person, services, refusal="No payment waits for a batch", status_code=409)
    return see_other("/operator/bank")


@post("/batches/{batch_id:str}/confirm", name="operator.bank.confirm", guards=MONEY, include_in_schema=False)
async def confirm(
    batch_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """The second person's word."""
    try:
        async with services.work.begin("bank.confirm") as tx:
            await actions.confirm(tx, batch_id, person.actor)
    except Conflict as error:
        return await _bank(person, services, refusal=error.message, status_code=409)
    return see_other("/operator/bank")


@post(
    "/batches/{batch_id:str}/dissolve", name="operator.bank.dissolve", guards=MONEY, include_in_schema=False
)
async def dissolve(
    batch_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """Take a batch apart that nobody has confirmed."""
    try:
        async with services.work.begin("bank.dissolve") as tx:
            await actions.dissolve(tx, batch_id, person.actor)
    except Conflict as error:
        return await _bank(person, services, refusal=error.message, status_code=409)
    return see_other("/operator/bank")


@post("/batches/{batch_id:str}/file", name="operator.bank.file", guards=MONEY, include_in_schema=False)
async def download(
    batch_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """The file. A POST, because reading it is a deed that is audited; no cache keeps it."""
    try:
        async with services.work.begin("bank.export") as tx:
            text = await actions.export(tx, batch_id, person.actor, unseal=services.sealer.unseal)
    except Conflict as error:
        return await _bank(person, services, refusal=error.message, status_code=409)
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.csv"', "Cache-Control": "no-store"}
    return Response(text, status_code=200, media_type="text/csv", headers=headers)


@post("/answers", name="operator.bank.answers", guards=MONEY, include_in_schema=False)
async def take_answers(
    request: Request[Any, Any, Any], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """What the bank said, as a file or as pasted text; every line is told what became of it."""
    form = await request.form()
    file, pasted = form.get("file"), form.get("pasted")
    try:
        text = (await file.read()).decode() if isinstance(file, UploadFile) else ""
    except UnicodeDecodeError:
        return await _bank(
            person,
            services,
            refusal="The file is not UTF-8: save it as CSV (UTF-8)",
            status_code=HTTP_422_UNPROCESSABLE_ENTITY,
        )
    try:
        async with services.work.begin("bank.import") as tx:
            report = await import_answers(
                tx,
                text or (pasted if isinstance(pasted, str) else ""),
                person.actor,
                capabilities=capabilities(services),
                limits=PayoutLimits.from_sats(services.settings.payouts),
            )
    except Invalid as error:
        return await _bank(person, services, refusal=error.message, status_code=HTTP_422_UNPROCESSABLE_ENTITY)
    return await _bank(person, services, report=report)


def capabilities(services: Services) -> Capabilities:
    """Of the rail `bank`. Raises Misconfigured when the hub does not use it."""
    rail = services.rails.get(queries.RAIL)
    if rail is None:
        raise Misconfigured(
            "no_bank_rail", "This hub pays no banks by hand: add `bank` to rails.use in hub.yaml"
        )
    return rail.capabilities


ROUTER = Router(
    path="/operator/bank",
    guards=[no_nul, auth.operator],
    route_handlers=[show_bank, make, confirm, dissolve, download, take_answers],
)
