"""The retry schedule of Standard Webhooks 1.0.0 and the meaning of each status, in exact numbers."""

from __future__ import annotations

import random

import pytest

from core.callbacks.schedule import DELAYS, Verdict, judge, next_delay, retry_after_seconds


def middle() -> float:
    return 0.5


def test_ten_tries_over_75_hours_35_minutes():
    waits = [next_delay(n, None, middle) for n in range(11)]
    assert waits == [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, None]
    assert sum(DELAYS) == 75 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize("attempts", range(10))
def test_jitter_stays_within_a_fifth(attempts):
    base = DELAYS[attempts]
    rng = random.Random(attempts).random
    waits = [next_delay(attempts, None, rng) for _ in range(500)]
    assert all(0.8 * base <= wait <= 1.2 * base for wait in waits)
    assert next_delay(attempts, None, lambda: 0.0) == pytest.approx(0.8 * base)
    if base:
        assert max(waits) - min(waits) > 0.3 * base


@pytest.mark.parametrize(
    ("attempts", "retry_after", "expected"),
    [
        (1, 0, 5),
        (1, 7, 7),
        (1, 3600, 10),
        (2, 60, 300),
        (2, 400, 400),
        (2, 1e12, 600),
        (0, 60, 0),
        (10, 60, None),
        (11, None, None),
    ],
)
def test_retry_after_is_clamped_to_once_and_twice_the_base(attempts, retry_after, expected):
    assert next_delay(attempts, retry_after, middle) == expected


@pytest.mark.parametrize(
    ("verdict", "statuses"),
    [
        (Verdict.DELIVERED, [200, 201, 202, 204, 299]),
        (
            Verdict.RETRY,
            [100, 101, 199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 409, 422, 500, 501, 503, 599],
        ),
        (Verdict.THROTTLE, [429, 502, 504]),
        (Verdict.DISABLE, [410]),
    ],
)
def test_judge(verdict, statuses):
    assert {judge(status) for status in statuses} == {verdict}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, 999_999_999_999.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        # RFC 9110 §10.2.3's own example, seen 30 s before and long after
        ("Fri, 31 Dec 1999 23:59:59 GMT", 30.0),
        ("Fri, 31 Dec 1998 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_header(value, expected):
    assert retry_after_seconds(value, 946_684_799 - 30) == expected
