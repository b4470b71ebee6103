"""What the worker settles for themselves (hours, languages, price floor, capacity), what is known of them (tier, rules,
evidence, every change), earnings by month, and appeals."""

from __future__ import annotations

import csv
import io
from itertools import zip_longest
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from core import clock
from core.access.sessions import SignedIn
from core.errors import Conflict, HubError, Invalid
from core.money import MSAT_PER_SAT
from core.workers import actions, availability, records, skills, standing, suspensions
from core.workers.hours import DAYS, Span, from_spans, shifts
from core.workers.model import ProfileChange
from core.workers.suspensions import About
from core.workers.tables import Worker, WorkerSettings
from core.workers.tiers import missing
from hub import auth
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.record import months_of, type_lines
from hub.pages.templating import page, see_other
from hub.services import Services
from hub.tier_rules import general, published

AnyRequest = Request[Any, Any, Any]
NOTICES = {
    "saved": "Saved.",
    "appealed": "Your appeal is with the operators.",
    "gone": "There is nothing to appeal.",
}


_FIELDS = {"tier_too_low": "auto_assign"}


async def _me(
    person: SignedIn, services: Services, notice: str, errors: dict[str, str] | None = None
) -> Response[str]:
    now = clock.now_ms()
    async with services.work.read() as session:
        worker = await session.get_one(Worker, person.person_id)
        rows = await records.of_worker(session, worker.id)
        stands = await standing.standing_of(session, worker, rows, now)
        kept = await session.get(WorkerSettings, worker.id)
        context: dict[str, Any] = {
            "worker": worker,
            "kept": kept,
            "spans": _by_day(kept.hours if kept else []),
            "types": await type_lines(session, worker),
            "changes": await standing.tier_changes(session, worker.id),
            "suspensions": await suspensions.suspensions_of(session, worker.id),
            "appeals": await suspensions.appeals_of(session, worker.id),
            "months": await months_of(session, worker.id),
        }
    return page(
        "worker_me.html",
        person,
        status_code=422 if errors else 200,
        heading="My account",
        area="worker",
        here="me",
        test_money=test_money(services, worker.environment),
        standing=stands,
        missing=missing(now, stands, services.trust),
        tiers=published(services.trust, services.policy, services.types.checks.review.reviewer_tier),
        rules=general(services.trust),
        tier=services.trust.of(worker.tier),
        days=DAYS,
        may_auto_assign=worker.tier in services.trust.auto_assigned,
        auto_from=min((one for one in services.trust.auto_assigned if one > worker.tier), default=None),
        floor_sats=worker.price_floor_msat // MSAT_PER_SAT,
        notice=NOTICES.get(notice, ""),
        errors=errors or {},
        **context,
    )


@get(["/me", "/tiers"], name="worker.me", include_in_schema=False)
async def show_me(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """The account, and the published rules of the tiers."""
    return await _me(person, services, request.query_params.get("notice", ""))


@post("/me", name="worker.me.save", include_in_schema=False)
async def save(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """Hours, time zone, languages, price floor, capacity, auto-assignment: all of the form, or nothing."""
    form = await request.form()

    def one(name: str) -> str:
        value = form.get(name)
        return value.strip() if isinstance(value, str) else ""

    def every(name: str) -> list[str]:
        return [value.strip() for value in form.getall(name, []) if isinstance(value, str)]

    try:
        spans = [
            Span(day=day, start=start, end=end)
            for day in DAYS
            for start, end in zip_longest(every(f"{day}_from"), every(f"{day}_to"), fillvalue="")
            if start or end
        ]
        change = ProfileChange(
            price_floor_msat=_number(one("price_floor"), "price_floor") * MSAT_PER_SAT,
            capacity=_number(one("capacity"), "capacity"),
        )
        async with services.work.begin("workers.settings") as tx:
            await availability.set_hours(
                tx, person.person_id, from_spans(spans), one("timezone") or "UTC", actor=person.actor
            )
            tags = one("languages").replace(",", " ").split()
            await skills.set_languages(tx, person.person_id, tags, actor=person.actor)
            await actions.change(tx, person.person_id, change, actor=person.actor)
            await actions.set_auto_assign(
                tx, person.person_id, one("auto_assign") == "yes", services.trust, actor=person.actor
            )
    except (Invalid, Conflict) as error:
        return await _me(
            person, services, "", error.field_errors or {_FIELDS.get(error.code, "capacity"): error.message}
        )
    return see_other("/worker/me?notice=saved")


@post("/appeal", name="worker.me.appeal", include_in_schema=False)
async def appeal(
    request: AnyRequest, person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """Against a suspension or a demotion; another operator decides."""
    form = await request.form()
    about = About.SUSPENSION if form.get("about") == "suspension" else About.TIER
    subject, text = (str(form.get(name) or "") for name in ("subject", "text"))
    try:
        async with services.work.begin("workers.appeal") as tx:
            await suspensions.appeal(tx, person.person_id, about, subject, text, services.trust)
    except Invalid as error:
        return await _me(person, services, "", error.field_errors)
    except HubError:
        return see_other("/worker/me?notice=gone")
    return see_other("/worker/me?notice=appealed")


@get("/earnings.csv", name="worker.earnings", include_in_schema=False)
async def earnings(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> Response[str]:
    """By month (UTC): answers paid, satoshis."""
    async with services.work.read() as session:
        found = await months_of(session, person.person_id)
    sheet = io.StringIO()
    rows = csv.writer(sheet)
    rows.writerow(["month", "answers_paid", "sats"])
    rows.writerows([one.month, one.answers, one.sats] for one in found)
    headers = {"Content-Disposition": 'attachment; filename="earnings.csv"'}
    return Response(sheet.getvalue(), media_type="text/csv", headers=headers)


def _by_day(hours: list[list[int]]) -> dict[str, list[Span]]:
    """What the form shows of each day."""
    found = shifts(hours)
    return {day: [span for span in found if span.day == day] for day in DAYS}


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise Invalid("bad_number", "Not a number", field_errors={name: "Write a whole number"})
    return int(text)


ROUTER = Router(
    path="/worker", guards=[no_nul, auth.worker], route_handlers=[show_me, save, appeal, earnings]
)
