"""`GET /v1/usage`, and `/v1/org/usage` as the published MCP server calls it: how many tasks in a span of days, how they
ended, what was paid."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from litestar import Request, Response, Router, get

from core import clock
from core.billing.usage import Usage, usage
from core.tasks.view import encode
from hub.api.decoding import Query
from hub.auth import api_key, asker


class Period(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class TaskCounts(msgspec.Struct, kw_only=True, rename="camel"):
    total: int
    verified: int
    failed: int
    cancelled: int
    expired: int
    average_completion_seconds: Decimal | msgspec.UnsetType = msgspec.UNSET


class PayoutSums(msgspec.Struct, kw_only=True, rename="camel"):
    total_usd: Decimal
    total_sats: int
    count: int


class UsageAnswer(msgspec.Struct, kw_only=True, rename="camel"):
    period: str
    start_date: str
    end_date: str
    tasks: TaskCounts
    payouts: PayoutSums


@get("/")
async def get_usage(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    period, first, last = _span(Query(request), clock.now().date())
    start = datetime.combine(first, time.min, UTC)
    end = datetime.combine(last, time.min, UTC) + timedelta(days=1)
    async with services.work.read() as session:
        found = await usage(session, caller.organisation_id, caller.environment, start, end)
    return Response(encode(_answer(period, first, last, found)), media_type="application/json")


def _span(query: Query, today: date) -> tuple[Period, date, date]:
    """First and last day. Without dates the current period up to today: the day, the week since Monday, the month
    since the first; `start_date` or `end_date` alone moves that end."""
    what = "Must be a date such as 2026-11-23"
    period = query.take("period", Period, f"Must be one of: {', '.join(Period)}") or Period.MONTH
    first, last = query.take("start_date", _day, what), query.take("end_date", _day, what)
    last = last or max(today, first or today)
    first = first or _start(period, last)
    if first > last:
        query.fail("start_date", "Must not be after end_date")
    query.check()
    return period, first, last


def _start(period: Period, last: date) -> date:
    match period:
        case Period.DAY:
            return last
        case Period.WEEK:
            return last - timedelta(days=last.weekday())
        case Period.MONTH:
            return last.replace(day=1)


def _day(text: str) -> date:
    """ISO 8601 calendar dates in their long form alone, in years that a clock of ours can reach."""
    found = date.fromisoformat(text)
    if len(text) != 10 or text[4] != "-" or not 1970 <= found.year <= 9000:
        raise ValueError
    return found


def _answer(period: Period, first: date, last: date, found: Usage) -> UsageAnswer:
    tasks = TaskCounts(
        total=found.total,
        verified=found.verified,
        failed=found.failed,
        cancelled=found.cancelled,
        expired=found.expired,
    )
    if found.average_completion_seconds is not None:
        tasks.average_completion_seconds = found.average_completion_seconds
    payouts = PayoutSums(total_usd=found.total_usd, total_sats=found.total_sats, count=found.payout_count)
    return UsageAnswer(
        period=period, start_date=first.isoformat(), end_date=last.isoformat(), tasks=tasks, payouts=payouts
    )


ROUTERS = [
    Router(path=path, guards=[api_key], route_handlers=[get_usage]) for path in ("/v1/usage", "/v1/org/usage")
]
