"""`/v1/balance`, `/v1/top-ups` and `/v1/statements`: what the organisation has, how it pays in over Lightning, and what each
month cost. Amounts are whole satoshis and, where parts of one may be left, millisatoshi."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Stream

from core import clock
from core.billing import monthly, top_ups
from core.billing.balance import Balance, balance_of
from core.billing.monthly import Monthly
from core.billing.tables import TopUp
from core.ledger import accounts, export
from core.ledger.export import Format
from core.ledger.statements import Period
from core.money import MSAT_PER_SAT
from core.tasks.view import encode
from hub.api.decoding import Fields, Query, read_object, whole
from hub.auth import api_key, asker
from hub.idempotency import Answer, once_outside
from hub.services import Services

_sats = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=1, le=2_100_000_000_000_000)])


class BalanceView(msgspec.Struct, kw_only=True, rename="camel"):
    """`available` may still be committed, `reserved` is committed to open tasks; `tasksWaiting` wait for funds."""

    available_sats: int
    available_msat: int
    reserved_sats: int
    reserved_msat: int
    tasks_waiting: int


class TopUpView(msgspec.Struct, kw_only=True, rename="camel"):
    id: str
    status: str
    amount_sats: int
    received_msat: int
    invoice: str
    payment_hash: str
    created_at: str
    expires_at: str
    paid_at: str | msgspec.UnsetType = msgspec.UNSET


class TopUpList(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    data: list[TopUpView]
    has_more: bool
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


class MonthView(msgspec.Struct, kw_only=True, rename="camel"):
    month: str
    status: str
    closed_at: str | msgspec.UnsetType = msgspec.UNSET


def top_up_view(row: TopUp) -> TopUpView:
    return TopUpView(
        id=row.id,
        status=row.state,
        amount_sats=row.amount_msat // MSAT_PER_SAT,
        received_msat=row.received_msat,
        invoice=row.invoice,
        payment_hash=row.payment_hash,
        created_at=clock.iso(row.created_at),
        expires_at=clock.iso(row.expires_at),
        paid_at=msgspec.UNSET if row.paid_at is None else clock.iso(row.paid_at),
    )


@get("/")
async def get_balance(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    async with services.work.read() as session:
        found: Balance = await balance_of(session, caller.organisation_id, caller.environment)
    return _json(
        BalanceView(
            available_sats=found.available_msat // MSAT_PER_SAT,
            available_msat=found.available_msat,
            reserved_sats=found.reserved_msat // MSAT_PER_SAT,
            reserved_msat=found.reserved_msat,
            tasks_waiting=found.tasks_waiting,
        )
    )


@post("/", status_code=201)
async def ask_top_up(request: Request[Any, Any, Any]) -> Response[bytes]:
    """A repeat with the same Idempotency-Key gives the same invoice."""
    services, caller = asker(request)
    fields = Fields(await read_object(request))
    sats = fields.take(_sats, "amountSats", "amount_sats", required=True)
    fields.check()

    async def effect() -> Answer:
        row = await top_ups.ask(
            services.work,
            services.rails,
            services.top_ups,
            organisation_id=caller.organisation_id,
            environment=caller.environment,
            amount_msat=(sats or 0) * MSAT_PER_SAT,
            actor=caller.actor,
        )
        return Answer(status=201, body=encode(top_up_view(row)))

    return await once_outside(services, caller, request, effect)


@get("/")
async def list_top_ups(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    query = Query(request)
    limit = query.take("limit", whole(1, 100), "Must be a whole number from 1 to 100")
    after = query.take("after", _cursor, "Must be the id of a top-up")
    query.check()
    async with services.work.read() as session:
        rows, more = await top_ups.listing(
            session, caller.organisation_id, caller.environment, before=after, limit=limit or 20
        )
    answer = TopUpList(data=[top_up_view(row) for row in rows], has_more=more)
    if more:
        answer.next_cursor = rows[-1].id
    return _json(answer)


@get("/{top_up_id:str}")
async def get_top_up(top_up_id: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    async with services.work.read() as session:
        row = await top_ups.one(session, caller.organisation_id, caller.environment, _known(top_up_id))
    return _json(top_up_view(row))


@get("/")
async def list_statements(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    async with services.work.read() as session:
        found = await monthly.months(session, caller.organisation_id, caller.environment)
    return _json({"data": [_month(month, closed_at) for month, closed_at in found]})


@get("/{month:str}")
async def get_statement(month: FromPath[str], request: Request[Any, Any, Any]) -> Response[Any]:
    """The sums as JSON; with `?format=csv` or `jsonl` every movement of the prefund, with the balance after each."""
    services, caller = asker(request)
    query = Query(request)
    form = query.take("format", _form, "Must be one of: json, csv, jsonl")
    query.check()
    async with services.work.read() as session:
        found = await monthly.shown(session, caller.organisation_id, caller.environment, month)
    if form is not None:
        return movements(services, caller.organisation_id, caller.environment, month, form)
    return _json(
        {
            **_month(month, found.closed_at),
            **_fields(found.statement),
        }
    )


def movements(services: Services, organisation_id: str, environment: str, month: str, form: Format) -> Stream:
    """A file of every movement of the prefund in a month; read and sent page by page."""
    since, until = monthly.bounds(month)
    account = accounts.prefund(organisation_id, environment).id

    async def lines() -> AsyncGenerator[str]:
        async with services.work.read() as session:
            async for part in export.statement(session, form, account, Period(since=since, until=until)):
                yield part

    media = "text/csv; charset=utf-8" if form is Format.CSV else "application/x-ndjson"
    name = f'attachment; filename="statement-{month}.{form}"'
    return Stream(lines(), media_type=media, headers={"Content-Disposition": name})


def _fields(statement: Monthly) -> dict[str, Any]:
    return {
        name: value
        for name, value in msgspec.to_builtins(statement, builtin_types=(Decimal,)).items()
        if name != "month"
    }


def _month(month: str, closed_at: datetime | None) -> dict[str, Any]:
    view = MonthView(month=month, status="open" if closed_at is None else "closed")
    if closed_at is not None:
        view.closed_at = clock.iso(closed_at)
    return msgspec.to_builtins(view)


def _cursor(text: str) -> str:
    if not text.startswith("top_") or len(text) > 64 or not text.isascii() or not text.isprintable():
        raise ValueError
    return text


def _known(top_up_id: str) -> str:
    """What no id of ours looks like is not asked of a database that takes no U+0000."""
    try:
        return _cursor(top_up_id)
    except ValueError:
        return ""


def _form(text: str) -> Format | None:
    return None if text == "json" else Format(text)


def _json(content: object) -> Response[bytes]:
    return Response(encode(content), media_type="application/json")


ROUTERS = [
    Router(path="/v1/balance", guards=[api_key], route_handlers=[get_balance]),
    Router(path="/v1/top-ups", guards=[api_key], route_handlers=[ask_top_up, list_top_ups, get_top_up]),
    Router(path="/v1/statements", guards=[api_key], route_handlers=[list_statements, get_statement]),
]
