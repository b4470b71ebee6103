"""What waits for an operator: repair items, with the fix, until somebody closes them; and dead letters, to be tried
again."""

from __future__ import annotations

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.audit.record import record
from core.repairs.actions import STOPPING, close
from core.repairs.queries import still_open
from hub import auth
from hub.connector_desk.dead_letters import dead_letters, redrive
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

CONNECTOR = "connector:"  # how the subject of a connector's repair item begins


@get("/", name="operator.repairs", include_in_schema=False)
async def show_repairs(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """Open items, oldest first, and what did not go through, newest first."""
    async with services.work.read() as session:
        items = await still_open(session)
        letters = await dead_letters(session)
    # Closing an item of such a kind would let its connector go on without what waited getting its patience back.
    resumed = {
        item.id: item.subject.removeprefix(CONNECTOR)
        for item in items
        if item.subject.startswith(CONNECTOR) and item.kind in STOPPING
    }
    return page(
        "operator_repairs.html",
        person,
        heading="Repairs",
        area="operator",
        here="repairs",
        test_money=test_money(services, ""),
        items=items,
        resumed=resumed,
        letters=letters,
        may_operate=may(person.role, Scope.OPERATE),
    )


@post(
    "/{repair_id:str}/close",
    name="operator.repair.close",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def close_repair(
    repair_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Somebody has looked. What is still broken opens a new item when it is met again."""
    async with services.work.begin("operator.close") as tx:
        await close(tx, repair_id, actor=person.actor)
        await record(tx, actor=person.actor, action="repair.closed", subject=repair_id)
    return see_other("/operator/repairs")


@post(
    "/letters/{letter_id:str}/redrive",
    name="operator.letter.redrive",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def redrive_letter(
    letter_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Try a dead reply again, or read a failed delivery again."""
    async with services.work.begin("operator.redrive") as tx:
        await redrive(tx, letter_id, actor=person.actor)
    return see_other("/operator/repairs#letters")


ROUTER = Router(
    path="/operator/repairs",
    guards=[no_nul, auth.operator],
    route_handlers=[show_repairs, close_repair, redrive_letter],
)
