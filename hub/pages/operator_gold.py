"""The operator's editor of gold: the items with how they are answered, a form for a new one, and taking one out."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.errors import Invalid
from core.tasks.model import Environment
from core.verification import gold_items, reading
from core.verification.gold_items import NewItem
from hub import auth
from hub.pages import forms
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.readable import readable
from hub.pages.templating import page, see_other
from hub.services import Services

PAGE = 50
FIELDS = ("task_type", "environment", "payload", "answer", "output_schema", "most_exposures", "note")


async def _show(
    person: SignedIn,
    services: Services,
    *,
    task_type: str = "",
    after: str = "",
    typed: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response[str]:
    async with services.work.read() as session:
        found = await gold_items.items(session, task_type=task_type, after=after, limit=PAGE + 1)
        results = await reading.gold_results(session, [one.id for one in found[:PAGE]])
    return page(
        "operator_gold.html",
        person,
        status_code=422 if problems else 200,
        heading="Gold",
        area="operator",
        here="gold",
        test_money=test_money(services, ""),
        items=[
            (one, readable(one.payload), forms.reading(one.output_schema, one.answer), results.get(one.id))
            for one in found[:PAGE]
        ],
        types=sorted(kind.name for kind in services.types),
        task_type=task_type,
        environments=list(Environment),
        following=found[PAGE - 1].id if len(found) > PAGE else "",
        typed=dict.fromkeys(FIELDS, "") | (typed or {}),
        problems=problems or {},
        may_operate=may(person.role, Scope.OPERATE),
    )


@get("/", name="operator.gold", include_in_schema=False)
async def show_gold(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    task_type: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[str]:
    """Every item by id, a page at a time."""
    return await _show(person, services, task_type=task_type, after=after)


@post("/", name="operator.gold.add", guards=[auth.require(Scope.OPERATE)], include_in_schema=False)
async def add(
    request: Request[Any, Any, Any],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """A new item. What was typed comes back with what is wrong with it."""
    form = await request.form()
    typed = {name: str(form.get(name) or "").strip() for name in FIELDS}
    try:
        new = _new(typed)
        async with services.work.begin("gold.add") as tx:
            await gold_items.add(tx, new, services.types, actor=person.actor)
    except Invalid as error:
        problems = error.field_errors or {"answer": error.message}
        return await _show(person, services, typed=typed, problems=problems)
    return see_other("/operator/gold")


def _new(typed: dict[str, str]) -> NewItem:
    """Raises Invalid, which names the field."""
    read: dict[str, Any] = {}
    for name in ("payload", "answer", "output_schema"):
        if not typed[name] and name == "output_schema":
            continue
        try:
            read[name] = msgspec.json.decode(typed[name])
        except msgspec.DecodeError as error:
            raise Invalid("bad_json", "Not JSON", field_errors={name: f"Must be JSON: {error}"}) from error
    if typed["most_exposures"]:
        if not typed["most_exposures"].isdecimal():
            raise Invalid("bad_number", "Not a number", field_errors={"most_exposures": "Must be 1 to 1000"})
        read["most_exposures"] = int(typed["most_exposures"][:6])
    values = {"task_type": typed["task_type"], "environment": typed["environment"], **read}
    try:
        return msgspec.convert(values | ({"note": typed["note"][:500]} if typed["note"] else {}), NewItem)
    except msgspec.ValidationError as error:
        place = next((name for name in FIELDS if f"$.{name}" in str(error)), "payload")
        raise Invalid("bad_item", "Not an item", field_errors={place: str(error)}) from error


@post(
    "/{gold_id:str}/retire",
    name="operator.gold.retire",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def retire(
    gold_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """Nobody new is asked it."""
    async with services.work.begin("gold.retire") as tx:
        await gold_items.retire(tx, gold_id, actor=person.actor)
    return see_other("/operator/gold")


ROUTER = Router(
    path="/operator/gold",
    guards=[no_nul, auth.operator],
    route_handlers=[show_gold, add, retire],
)
