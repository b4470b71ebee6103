"""`/worker/api`, the account: how the worker works (hours, languages, price floor, capacity, auto-assignment), where they
stand and why, what they earned, suspensions and appeals. The same actions as the pages; `worker.py` puts the handlers
behind its guard."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get, patch, post
from litestar.di import NamedDependency

from core import clock
from core.access.sessions import SignedIn
from core.db.unit_of_work import Transaction
from core.errors import Invalid
from core.money import MSAT_PER_SAT
from core.payouts.queries import totals_of
from core.workers import actions, availability, records, skills, standing, suspensions
from core.workers.hours import Span, from_spans
from core.workers.model import ProfileChange
from core.workers.suspensions import About
from core.workers.tables import Worker, WorkerSettings
from core.workers.tiers import missing
from hub.api.decoding import Fields, read_object
from hub.api.worker_account_views import (
    AppealView,
    EarningsView,
    SettingsView,
    StandingView,
    SuspensionList,
    TierList,
    appeal_view,
    change_view,
    month_view,
    record_view,
    settings_view,
    suspension_view,
    tier_view,
)
from hub.api.worker_views import whole_sats
from hub.pages.record import months_of, type_lines
from hub.services import Services
from hub.tier_rules import general, published

AnyRequest = Request[Any, Any, Any]
SETTINGS = ("timezone", "hours", "languages", "priceFloorSats", "capacity", "autoAssign")
_NAMES = {"price_floor_msat": "priceFloorSats"}
_MOST_SATS = 2**62 // MSAT_PER_SAT

_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_number = msgspec.json.Decoder(int)
_texts = msgspec.json.Decoder(list[str])
_spans = msgspec.json.Decoder(list[Span])
_about = msgspec.json.Decoder(About)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the body of a change names; None: left as it is."""

    timezone: str | None
    hours: list[Span] | None
    languages: list[str] | None
    price_floor_sats: int | None
    capacity: int | None
    auto_assign: bool | None


@get("/me/settings", name="worker_api.settings")
async def show_settings(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> SettingsView:
    async with services.work.read() as session:
        worker = await session.get_one(Worker, person.person_id)
        kept = await session.get(WorkerSettings, person.person_id)
    return settings_view(worker, kept, services.trust)


@patch("/me/settings", name="worker_api.settings_change")
async def change_settings(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> SettingsView:
    """What is named is changed, all of it or nothing. `hours` is a list of `{"day": "mon", "from": "09:00", "to":
    "17:00"}` in `timezone`, empty: always. Raises Malformed, Invalid, Conflict, which name the field."""
    wanted = _wanted(Fields(await read_object(request)))
    try:
        async with services.work.begin("workers.settings") as tx:
            await _apply(tx, person, services, wanted)
    except Invalid as error:
        told = {_NAMES.get(name, name): what for name, what in error.field_errors.items()}
        raise Invalid(error.code, error.message, field_errors=told) from error
    return await show_settings.fn(person, services)


def _wanted(body: Fields) -> Wanted:
    for name in body.raw:
        if name not in SETTINGS:
            body.fail(name[:64], f"There is no such setting; there are {', '.join(SETTINGS)}")
    found = Wanted(
        timezone=body.take(_text, "timezone"),
        hours=body.take(_spans, "hours"),
        languages=body.take(_texts, "languages"),
        price_floor_sats=body.take(_number, "priceFloorSats"),
        capacity=body.take(_number, "capacity"),
        auto_assign=body.take(_flag, "autoAssign"),
    )
    floor = found.price_floor_sats
    if floor is not None and not 0 <= floor <= _MOST_SATS:
        body.fail("priceFloorSats", f"Must be 0 to {_MOST_SATS}")
    body.check()
    return found


async def _apply(tx: Transaction, person: SignedIn, services: Services, wanted: Wanted) -> None:
    me, actor = person.person_id, person.actor
    if wanted.hours is not None or wanted.timezone is not None:
        kept = await tx.session.get(WorkerSettings, me)
        present = [] if kept is None else kept.hours
        hours = present if wanted.hours is None else from_spans(wanted.hours)
        zone = wanted.timezone or ("UTC" if kept is None else kept.timezone)
        await availability.set_hours(tx, me, hours, zone, actor=actor)
    if wanted.languages is not None:
        await skills.set_languages(tx, me, wanted.languages, actor=actor)
    values: dict[str, Any] = {}
    if wanted.price_floor_sats is not None:
        values["price_floor_msat"] = wanted.price_floor_sats * MSAT_PER_SAT
    if wanted.capacity is not None:
        values["capacity"] = wanted.capacity
    if values:
        await actions.change(tx, me, ProfileChange(**values), actor=actor)
    if wanted.auto_assign is not None:
        await actions.set_auto_assign(tx, me, wanted.auto_assign, services.trust, actor=actor)


@get("/me/standing", name="worker_api.standing")
async def show_standing(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> StandingView:
    """Tier, reliability and the evidence behind both, by task type and month; the last twenty changes of tier."""
    now = clock.now_ms()
    async with services.work.read() as session:
        worker = await session.get_one(Worker, person.person_id)
        stands = await standing.standing_of(session, worker, await records.of_worker(session, worker.id), now)
        lines = await type_lines(session, worker)
        changes = await standing.tier_changes(session, worker.id)
    tier = services.trust.of(worker.tier)
    return StandingView(
        tier=worker.tier,
        name=tier.name,
        may=tier.may,
        reliability=worker.reliability,
        lower_bound=stands.lower,
        missing=missing(now, stands, services.trust),
        records=[record_view(one) for one in lines],
        changes=[change_view(one) for one in changes],
    )


@get("/tiers", name="worker_api.tiers")
async def list_tiers(services: NamedDependency[Services]) -> TierList:
    """The published rules, from tier 0 up."""
    trust, reviewers = services.trust, services.types.checks.review.reviewer_tier
    rules = published(trust, services.policy, reviewers)
    return TierList(
        data=[tier_view(told, one) for told, one in zip(rules, trust.tiers, strict=True)],
        rules=general(trust),
    )


@get("/me/earnings", name="worker_api.earnings")
async def show_earnings(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> EarningsView:
    async with services.work.read() as session:
        months = await months_of(session, person.person_id)
        totals = await totals_of(session, person.person_id)
    return EarningsView(
        months=[month_view(one) for one in months],
        paid_sats=whole_sats(totals.paid_msat),
        on_its_way_sats=whole_sats(totals.on_its_way_msat),
        owed_sats=whole_sats(totals.owed_msat),
    )


@get("/me/suspensions", name="worker_api.suspensions")
async def list_suspensions(
    person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> SuspensionList:
    """Why, and what became of an appeal."""
    async with services.work.read() as session:
        rows = await suspensions.suspensions_of(session, person.person_id)
        appeals = await suspensions.appeals_of(session, person.person_id)
    return SuspensionList(
        suspended=any(one.state == "in_force" for one in rows),
        data=[suspension_view(one, appeals.get(one.id)) for one in rows],
    )


@post("/me/appeals", name="worker_api.appeal_account", status_code=201)
async def make_appeal(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> AppealView:
    """`{"about": "suspension" or "tier", "subject": id of the suspension or of the change, "text": …}`. Raises NotFound for
    somebody else's, Conflict for a second one or for what is over."""
    body = Fields(await read_object(request))
    about = body.take(_about, "about", required=True)
    subject = body.take(_text, "subject", required=True)
    text = body.take(_text, "text", required=True)
    body.check()
    async with services.work.begin("workers.appeal") as tx:
        row = await suspensions.appeal(
            tx, person.person_id, about or About.TIER, subject or "", text or "", services.trust
        )
    return appeal_view(row)


HANDLERS = [
    show_settings,
    change_settings,
    show_standing,
    list_tiers,
    show_earnings,
    list_suspensions,
    make_appeal,
]
