"""Failures of a vendor call sorted into the port's errors, and network exceptions into sent or not."""

from __future__ import annotations

import pytest
from requests import exceptions as http
from urllib3 import exceptions as pool

from connectors.calls import Answer, NoAnswer, NotSent, failure_of, seconds_to_wait
from connectors.pagerduty.api import refusal
from connectors.pagerduty.client import without_answer
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain


def max_retry(reason: Exception) -> http.ConnectionError:
    return http.ConnectionError(pool.MaxRetryError(None, "/", reason))  # type: ignore[arg-type]  # the pool is not looked at


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (http.ConnectTimeout(), NotSent),
        (http.ProxyError(), NotSent),
        (max_retry(pool.NewConnectionError(None, "refused")), NotSent),  # type: ignore[arg-type]  # as above
        (max_retry(pool.NameResolutionError("x", None, OSError("unknown"))), NotSent),  # type: ignore[arg-type]  # as above
        (max_retry(pool.ConnectTimeoutError("slow")), NotSent),
        (max_retry(pool.ProtocolError("reset")), NoAnswer),
        (http.ConnectionError(pool.ProtocolError("Connection aborted.", ConnectionResetError())), NoAnswer),
        (http.ConnectionError(), NoAnswer),
        (http.ReadTimeout(), NoAnswer),
        (http.ChunkedEncodingError(), NoAnswer),
        (http.SSLError(), NoAnswer),
        (pool.HTTPError(), NoAnswer),
        (None, NoAnswer),
    ],
)
def test_sent_or_not(cause: BaseException | None, kind: type[Exception]) -> None:
    assert type(without_answer(cause)) is kind


@pytest.mark.parametrize(
    ("problem", "writes", "kind"),
    [
        (NotSent("x"), True, Retryable),
        (NotSent("x"), False, Retryable),
        (NoAnswer("x"), True, Uncertain),
        (NoAnswer("x"), False, Retryable),
    ],
)
def test_without_an_answer(problem: NotSent | NoAnswer, writes: bool, kind: type[HubError]) -> None:
    assert type(failure_of(problem, "PagerDuty", writes=writes)) is kind


def answer(status: int, code: int | None = None, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status=status,
        body={"error": {"message": "Sorry", "code": code, "errors": ["why"]}},
        headers=headers or {},
    )


@pytest.mark.parametrize(
    ("status", "code", "kind", "named"),
    [
        (400, 2001, Rejected, "refused"),
        (400, 1008, Misconfigured, "unknown_sender"),
        (400, 1019, Rejected, "incident_merged"),
        (400, 5001, Rejected, "ticket_gone"),
        (401, 2006, Misconfigured, "credentials_refused"),
        (402, 2014, Rejected, "missing_ability"),
        (403, 2010, Misconfigured, "credentials_refused"),
        (404, 2100, Rejected, "ticket_gone"),
        (404, None, Rejected, "ticket_gone"),
        (408, None, Uncertain, "server_error"),
        (413, None, Rejected, "refused"),
        (422, None, Rejected, "refused"),
        (429, 2020, Retryable, "rate_limited"),
        (500, 2000, Uncertain, "server_error"),
        (502, None, Uncertain, "server_error"),
        (503, None, Uncertain, "server_error"),
        (302, None, Rejected, "refused"),
    ],
)
def test_refusals(status: int, code: int | None, kind: type[HubError], named: str) -> None:
    error = refusal(answer(status, code), writes=True)
    assert (type(error), error.code) == (kind, named)
    assert "Sorry (why)" in error.message
    looking = refusal(answer(status, code), writes=False)
    assert type(looking) is (Retryable if kind is Uncertain else kind)


@pytest.mark.parametrize(
    "body", [None, [], {}, {"error": None}, {"error": "x"}, {"error": {"errors": 5}}, "<html>"]
)
def test_a_refusal_without_its_usual_body(body: object) -> None:
    error = refusal(Answer(status=400, body=body, headers={}), writes=True)
    assert (type(error), error.code) == (Rejected, "refused")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit-reset": "17", "retry-after": "3"}, 17.0),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"ratelimit-reset": "-1"}, None),
        ({"ratelimit-reset": "99999"}, None),
        ({"ratelimit-reset": "²"}, None),
        ({"ratelimit-reset": "soon", "retry-after": "4"}, 4.0),
        ({}, None),
    ],
)
def test_seconds_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_wait(headers, "ratelimit-reset", "retry-after") == seconds
