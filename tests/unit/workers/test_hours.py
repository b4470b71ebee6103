"""Weekly hours on the worker's wall clock, over both changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.workers.hours import DAYS, WEEK, Span, from_spans, next_change, open_at, shifts, to_spans, zone

BERLIN = zone("Europe/Berlin")
NINE_TO_FIVE = from_spans([Span(day=day, start="09:00", end="17:00") for day in ("sat", "sun", "mon")])


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("utc", "is_open"),
    [
        ("2026-03-28T08:00", True),  # Saturday 9:00 in winter
        ("2026-03-29T07:00", True),  # Sunday 9:00, the clocks went forward at 2:00
        ("2026-03-29T06:59", False),
        ("2026-10-24T07:00", True),  # Saturday 9:00 in summer
        ("2026-10-25T07:00", False),  # Sunday 8:00, the clocks went back at 3:00
        ("2026-10-25T08:00", True),
    ],
)
def test_the_wall_clock_decides(utc: str, is_open: bool) -> None:
    assert open_at(NINE_TO_FIVE, BERLIN, ms(utc)) is is_open


def test_the_next_change_is_where_the_wall_clock_says() -> None:
    assert next_change(NINE_TO_FIVE, BERLIN, ms("2026-03-28T16:30")) == ms("2026-03-29T07:00")
    assert next_change(NINE_TO_FIVE, BERLIN, ms("2026-10-24T16:00")) == ms("2026-10-25T08:00")
    assert next_change(NINE_TO_FIVE, BERLIN, ms("2026-03-30T12:00:30")) == ms("2026-03-30T15:00")


def test_an_hour_that_is_left_out_is_not_waited_for() -> None:
    """2:30 does not come on the day when the clocks go from 2:00 to 3:00."""
    hours = from_spans([Span(day="sun", start="02:30", end="04:00")])
    assert next_change(hours, BERLIN, ms("2026-03-29T00:30")) == ms("2026-03-29T01:00")


def test_an_hour_that_comes_twice_counts_twice() -> None:
    hours = from_spans([Span(day="sun", start="02:00", end="03:00")])
    assert next_change(hours, BERLIN, ms("2026-10-25T00:00")) == ms("2026-10-25T02:00")


def test_nights_and_weeks_go_around() -> None:
    assert from_spans([Span(day="sun", start="22:00", end="06:00")]) == [[0, 360], [WEEK - 120, WEEK]]
    assert from_spans(
        [Span(day="mon", start="00:00", end="24:00"), Span(day="tue", start="00:00", end="01:00")]
    ) == [[0, 1500]]
    assert to_spans([[0, 1500]]) == [
        Span(day="mon", start="00:00", end="24:00"),
        Span(day="tue", start="00:00", end="01:00"),
    ]
    assert open_at([], BERLIN, 0)
    assert next_change([], BERLIN, 0) is None
    assert next_change([[0, WEEK]], BERLIN, 0) is None


@given(st.lists(st.tuples(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(0, 1440)), max_size=12))
def test_a_form_gives_back_the_hours_that_it_shows(drawn: list[tuple[str, int, int]]) -> None:
    hours = from_spans(
        [
            Span(day=day, start=f"{start // 60:02}:{start % 60:02}", end=f"{end // 60:02}:{end % 60:02}")
            for day, start, end in drawn
        ]
    )
    assert from_spans(shifts(hours)) == hours


def test_a_night_is_one_shift() -> None:
    sunday = [Span(day="sun", start="22:00", end="06:00"), Span(day="tue", start="09:00", end="00:00")]
    assert shifts(from_spans(sunday)) == [
        Span(day="tue", start="09:00", end="00:00"),
        Span(day="sun", start="22:00", end="06:00"),
    ]
    assert shifts([[0, 1500]]) == [
        Span(day="mon", start="00:00", end="00:00"),
        Span(day="tue", start="00:00", end="01:00"),
    ]


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (Span(day="monday", start="09:00", end="17:00"), "day is one of mon, tue, wed, thu, fri, sat, sun"),
        (Span(day="mon", start="9", end="17:00"), "'9' is no time of day; write 09:00"),
        (Span(day="mon", start="09:60", end="17:00"), "'09:60' is no time of day; write 09:00"),
        (Span(day="mon", start="24:00", end="01:00"), "from must be before 24:00"),
    ],
)
def test_what_cannot_be_read_is_named(span: Span, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_spans([span])
    assert refused.value.field_errors == {"hours[0]": told}
    with pytest.raises(Invalid):
        zone("Europe/Nowhere")
