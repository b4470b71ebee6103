"""The operator's organisations: plan, balance, tasks that wait for funds, credits, top-ups over Lightning, usage and monthly
statements."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Stream
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.access import organisations
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.access.tables import Organisation
from core.billing import monthly, top_ups
from core.billing.actions import credit
from core.billing.balance import Balance, balance_of
from core.billing.plans import Plans
from core.errors import Invalid
from core.ledger import accounts
from core.ledger.export import Format
from core.money import Currency, decimal_of, to_msat
from core.tasks.model import Environment
from hub import auth
from hub.api.billing import movements
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

PAGE = 50
_HOME = "/operator/organisations"
_MONEY = [auth.require(Scope.MONEY)]


@get("/", name="operator.organisations", include_in_schema=False)
async def show_organisations(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    after: FromQuery[str] = "",
) -> Response[str]:
    """By name, each with its live balance and what waits for funds."""
    async with services.work.read() as session:
        query = select(Organisation).where(Organisation.name > after).order_by(Organisation.name)
        rows = list(await session.scalars(query.limit(PAGE + 1)))
        shown = [(row, await balance_of(session, row.id, Environment.LIVE)) for row in rows[:PAGE]]
    following = f"{_HOME}?{urlencode({'after': rows[PAGE - 1].name})}" if len(rows) > PAGE else ""
    return page(
        "operator_organisations.html",
        person,
        heading="Organisations",
        area="operator",
        here="organisations",
        test_money=test_money(services, ""),
        organisations=shown,
        following=following,
    )


@get("/{organisation_id:str}", name="operator.organisation", include_in_schema=False)
async def show_organisation(
    organisation_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    environment: FromQuery[str] = "live",
) -> Response[str]:
    """One organisation in one environment."""
    chosen = _environment(environment)
    async with services.work.read() as session:
        owner, balance = await _read(session, organisation_id, chosen)
        rows, _ = await top_ups.listing(session, organisation_id, chosen, limit=20)
        months = await monthly.months(session, organisation_id, chosen)
    return page(
        "operator_organisation.html",
        person,
        heading=owner.name,
        area="operator",
        here="organisations",
        test_money=test_money(services, chosen),
        organisation=owner,
        environment=str(chosen),
        environments=[str(one) for one in Environment],
        balance=balance,
        account=accounts.prefund(owner.id, chosen).id,
        top_ups=rows,
        moods={"credited": "good", "lapsed": "warn"},
        can_top_up=_can_top_up(services, chosen),
        months=months,
        plans=services.plans.names,
        promise=_promise(services.plans, owner.plan),
        may_pay=may(person.role, Scope.MONEY),
    )


@get("/{organisation_id:str}/statements/{month:str}", name="operator.monthly", include_in_schema=False)
async def show_month(
    organisation_id: FromPath[str],
    month: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    environment: FromQuery[str] = "live",
) -> Response[str]:
    """What a month cost, as it was closed or as it stands."""
    chosen = _environment(environment)
    async with services.work.read() as session:
        owner = await organisations.get(session, organisation_id)
    async with services.work.read() as session:
        found = await monthly.shown(session, organisation_id, chosen, month)
    return page(
        "operator_month.html",
        person,
        heading=f"{owner.name}, {month}",
        area="operator",
        here="organisations",
        test_money=test_money(services, chosen),
        organisation=owner,
        environment=str(chosen),
        statement=found.statement,
        closed_at=found.closed_at,
    )


@get("/{organisation_id:str}/statements/{month:str}/movements", include_in_schema=False)
async def download_month(
    organisation_id: FromPath[str],
    month: FromPath[str],
    services: NamedDependency[Services],
    environment: FromQuery[str] = "live",
) -> Stream:
    """Every movement of the prefund, as CSV."""
    chosen = _environment(environment)
    async with services.work.read() as session:
        await monthly.shown(session, organisation_id, chosen, month)
    return movements(services, organisation_id, chosen, month, Format.CSV)


@post("/{organisation_id:str}/credit", guards=_MONEY, include_in_schema=False)
async def credit_organisation(
    organisation_id: FromPath[str],
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Book a payment that the organisation made elsewhere; the same reference twice credits once."""
    form = await request.form()
    chosen, reference = _environment(_text(form, "environment")), _text(form, "reference")
    if not reference or len(reference) > 200:
        raise Invalid("no_reference", "Give the payment's own number, by which it is credited once")
    msat = _sats(_text(form, "sats"))
    async with services.work.begin("operator.credit") as tx:
        await credit(tx, organisation_id, chosen, msat, reference=reference, actor=person.actor)
    return _back(organisation_id, chosen)


@post("/{organisation_id:str}/top-up", guards=_MONEY, include_in_schema=False)
async def top_up_organisation(
    organisation_id: FromPath[str],
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """A Lightning invoice for the organisation to pay."""
    form = await request.form()
    chosen = _environment(_text(form, "environment"))
    await top_ups.ask(
        services.work,
        services.rails,
        services.top_ups,
        organisation_id=organisation_id,
        environment=chosen,
        amount_msat=_sats(_text(form, "sats")),
        actor=person.actor,
    )
    return _back(organisation_id, chosen, "#top-ups")


@post("/{organisation_id:str}/look", guards=_MONEY, include_in_schema=False)
async def look_at_top_up(
    organisation_id: FromPath[str],
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Ask the rail now, also about an invoice that has lapsed."""
    form = await request.form()
    chosen, top_up_id = _environment(_text(form, "environment")), _text(form, "top_up")
    async with services.work.read() as session:
        await top_ups.one(session, organisation_id, chosen, top_up_id)
    await top_ups.look_now(services.work, services.rails, top_up_id, actor=person.actor)
    return _back(organisation_id, chosen, "#top-ups")


@post("/{organisation_id:str}/plan", guards=[auth.require(Scope.ACCESS)], include_in_schema=False)
async def change_plan(
    organisation_id: FromPath[str],
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """From the next task on."""
    plan = _text(await request.form(), "plan")
    if plan not in services.plans.names:
        raise Invalid("unknown_plan", f"There is no plan {plan!r} in plans.yaml")
    async with services.work.begin("operator.plan") as tx:
        owner = await organisations.get(tx.session, organisation_id)
        await organisations.set_plan(tx, owner, plan, actor=person.actor)
    return _back(organisation_id, Environment.LIVE)


async def _read(
    session: AsyncSession, organisation_id: str, environment: Environment
) -> tuple[Organisation, Balance]:
    owner = await organisations.get(session, organisation_id)
    return owner, await balance_of(session, organisation_id, environment)


def _promise(plans: Plans, name: str) -> str:
    """What a plan gives beside its fee; empty for one that is not in the file any more."""
    if name not in plans.names:
        return "not in plans.yaml; its tasks are refused"
    plan = plans.get(name)
    given = (
        (plan.redundancy > 1, f"{plan.redundancy} answers to a task"),
        (plan.expert_pool, "expert pool"),
        (plan.monthly_statement, "monthly statement"),
    )
    return ", ".join(words for there, words in given if there)


def _can_top_up(services: Services, environment: Environment) -> bool:
    rail = services.rails.get(services.top_ups.rail)
    return rail is not None and (environment is Environment.LIVE or not rail.capabilities.real_money)


def _environment(text: str) -> Environment:
    try:
        return Environment(text)
    except ValueError as error:
        raise Invalid("bad_environment", "The environment is live or test") from error


def _sats(text: str) -> int:
    """In msat. Raises Invalid."""
    try:
        amount = decimal_of(text)
    except ValueError:
        amount = None
    if amount is None or amount <= 0 or amount != amount.to_integral_value() or amount >= 21 * 10**14:
        raise Invalid("bad_amount", "The amount must be a whole number of satoshis above zero")
    return to_msat(amount, Currency.SATS, None)


def _text(form: Any, name: str) -> str:
    value = form.get(name)
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def _back(organisation_id: str, environment: Environment, place: str = "") -> Redirect:
    return see_other(f"{_HOME}/{organisation_id}?environment={environment}{place}")


ROUTER = Router(
    path=_HOME,
    guards=[no_nul, auth.operator],
    route_handlers=[
        show_organisations,
        show_organisation,
        show_month,
        download_month,
        credit_organisation,
        top_up_organisation,
        look_at_top_up,
        change_plan,
    ],
)
