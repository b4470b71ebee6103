"""The worker's money: every payout in words, an own invoice for one that is owed, and the bank account."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from litestar.status_codes import HTTP_422_UNPROCESSABLE_ENTITY

from core import clock
from core.access.sessions import SignedIn
from core.bank.details import TYPES, Typed
from core.errors import Conflict, Invalid
from core.payouts import address
from core.payouts.queries import payouts_of, totals_of, where_of
from core.payouts.rail import BankKind, Target
from core.secret import Secret
from core.workers import queries as workers
from hub import auth
from hub.pages import desk as desks
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

PAGE = 20
KINDS = {
    BankKind.ACH: "United States, ACH",
    BankKind.US_WIRE: "United States, wire",
    BankKind.SEPA: "Europe, SEPA",
    BankKind.FPS: "United Kingdom, Faster Payments",
}
NOTICES = {
    "invoice": "Your invoice is taken. We pay it now.",
    "no-invoice": "Your invoice is taken away.",
    "bank": "Your bank account is saved.",
    "no-bank": "Your bank account is taken away.",
    "gone": "That payout is on its way or paid: it needs no invoice.",
    "held": "Where you are paid was changed lately; until that is settled no invoice is taken.",
}


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed and refused: for one payout's invoice, or in the bank form (without the account number)."""

    payout_id: str = ""
    invoice: str = ""
    bank: dict[str, str] = {}
    errors: dict[str, str] = {}


@get("/", name="worker.money", include_in_schema=False)
async def show_money(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    before: FromQuery[str] = "",
    notice: FromQuery[str] = "",
) -> Response[str]:
    """Newest first, a page at a time."""
    return await _money(person, services, before=before, notice=notice)


async def _money(
    person: SignedIn, services: Services, *, before: str = "", notice: str = "", wrong: Wrong | None = None
) -> Response[str]:
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        found = await payouts_of(session, worker.id, before=before or None, limit=PAGE)
        earned = await totals_of(session, worker.id)
        where = await where_of(session, worker.id)
    pays = {rail.capabilities.pays for rail in services.rails.values()}
    now = clock.now()
    return page(
        "worker_payouts.html",
        person,
        status_code=200 if wrong is None else HTTP_422_UNPROCESSABLE_ENTITY,
        heading="My money",
        area="worker",
        here="money",
        test_money=desks.test_money(services, worker.environment),
        rate=desks.rate_or_none(services),
        earned=earned,
        payouts=found.items,
        where=where,
        address_held=where.address_from if where.address_from and where.address_from > now else None,
        bank_held=where.bank_from if where.bank_from and where.bank_from > now else None,
        lightning=Target.INVOICE in pays,
        banks=Target.BANK in pays,
        kinds=KINDS,
        types=TYPES,
        hold_hours=services.settings.payout_hold_hours,
        wrong=wrong or Wrong(),
        notice=NOTICES.get(notice, ""),
        newest=bool(before),
        following=f"/worker/money?before={found.next_before}" if found.next_before else "",
    )


@post("/payouts/{payout_id:str}/invoice", name="worker.money.invoice", include_in_schema=False)
async def give_invoice(
    request: Request[Any, Any, Any],
    payout_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """An invoice of the worker's own for this payout; an empty one takes the former away."""
    typed = await _field(request, "invoice")
    try:
        async with services.work.begin("payouts.invoice_asked") as tx:
            payout = await address.own_payout(tx, person.person_id, payout_id)
        invoice = await address.read_invoice(services.addresses, typed, payout) if typed.strip() else None
        async with services.work.begin("payouts.invoice_given") as tx:
            await address.set_invoice(tx, person.person_id, payout_id, invoice, actor=person.actor)
    except Invalid as error:
        told = {"invoice": error.field_errors.get("invoice", error.message)}
        return await _money(person, services, wrong=Wrong(payout_id=payout_id, invoice=typed, errors=told))
    except Conflict as error:
        return see_other(f"/worker/money?notice={'held' if error.code == 'address_hold' else 'gone'}")
    return see_other(f"/worker/money?notice={'invoice' if invoice else 'no-invoice'}")


@post("/bank", name="worker.money.bank", include_in_schema=False)
async def set_bank(
    request: Request[Any, Any, Any], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """Where dollars go from now on, or after the hold."""
    names = ("kind", "holder", "routing_number", "account_type", "company")
    typed = {name: await _field(request, name) for name in names}
    details = Typed(
        kind=typed["kind"],
        holder=typed["holder"],
        account_number=Secret(await _field(request, "account_number")),
        routing_number=typed["routing_number"],
        account_type=typed["account_type"],
        company=typed["company"] == "yes",
    )
    try:
        async with services.work.begin("workers.bank_account") as tx:
            await address.set_bank_account(
                tx,
                person.person_id,
                details,
                actor=person.actor,
                seal=services.sealer.seal,
                hold_hours=services.settings.payout_hold_hours,
            )
    except Invalid as error:
        return await _money(person, services, wrong=Wrong(bank=typed, errors=error.field_errors))
    return see_other("/worker/money?notice=bank")


@post("/bank/remove", name="worker.money.bank_remove", include_in_schema=False)
async def remove_bank(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> Redirect:
    """No dollars go there any more; what is in a confirmed batch still does."""
    async with services.work.begin("workers.bank_account") as tx:
        await address.remove_bank_account(
            tx, person.person_id, actor=person.actor, hold_hours=services.settings.payout_hold_hours
        )
    return see_other("/worker/money?notice=no-bank")


async def _field(request: Request[Any, Any, Any], name: str) -> str:
    value = (await request.form()).get(name)
    return value if isinstance(value, str) else ""


ROUTER = Router(
    path="/worker/money",
    guards=[no_nul, auth.worker],
    route_handlers=[show_money, give_invoice, set_bank, remove_bank],
)
