"""GET /v1/usage and its second address."""

from __future__ import annotations

from datetime import date, timedelta

import httpx

from core import clock
from tests.integration.api.conftest import refund


async def test_counts_of_the_month(client: httpx.AsyncClient) -> None:
    first = (await client.post("/v1/tasks", json=refund("a"))).json()
    await client.post("/v1/tasks", json=refund("b"))
    await client.post(f"/v1/tasks/{first['id']}/cancel")

    answer = await client.get("/v1/usage")

    today = clock.now().date()
    assert answer.status_code == 200
    assert answer.json() == {
        "period": "month",
        "startDate": today.replace(day=1).isoformat(),
        "endDate": today.isoformat(),
        "tasks": {"total": 2, "verified": 0, "failed": 0, "cancelled": 1, "expired": 0},
        "payouts": {"totalUsd": 0, "totalSats": 0, "count": 0},
    }
    assert (await client.get("/v1/org/usage")).json() == answer.json()


async def test_spans(client: httpx.AsyncClient) -> None:
    today = clock.now().date()
    monday = today - timedelta(days=today.weekday())
    for query, span in (
        ({"period": "day"}, (today, today)),
        ({"period": "week"}, (monday, today)),
        ({"start_date": "2026-01-15"}, (date(2026, 1, 15), today)),
        ({"end_date": "2026-01-15"}, (date(2026, 1, 1), date(2026, 1, 15))),
        ({"start_date": "2026-01-15", "end_date": "2026-01-15"}, (date(2026, 1, 15),) * 2),
    ):
        answer = (await client.get("/v1/usage", params=query)).json()
        assert (answer["startDate"], answer["endDate"]) == tuple(day.isoformat() for day in span)


async def test_wrong_parameters(client: httpx.AsyncClient) -> None:
    day = "Must be a date such as 2026-11-23"
    for query, details in (
        ({"period": "year"}, {"period": "Must be one of: day, week, month"}),
        ({"start_date": "20260101"}, {"start_date": day}),
        ({"start_date": "2026-02-30"}, {"start_date": day}),
        ({"end_date": "0001-01-01"}, {"end_date": day}),
        ({"end_date": "9999-12-31"}, {"end_date": day}),
        (
            {"start_date": "2026-02-02", "end_date": "2026-02-01"},
            {"start_date": "Must not be after end_date"},
        ),
    ):
        answer = await client.get("/v1/usage", params=query)
        assert (answer.status_code, answer.json()["error"]["details"]) == (400, details)
