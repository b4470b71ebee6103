"""When in the week somebody works, in their own time zone. Pure; `availability.py` asks it, the pages and the API read
and write it.

Hours are pairs of minutes since Monday 00:00 on the wall clock of the zone: [540, 1020] is Monday, 9 to 17. What the
wall clock shows decides, so a working day stays 9 to 17 when the clocks change; an hour that comes twice counts twice,
one that is left out is not waited for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from core.errors import Invalid

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
WEEK = 7 * DAY
MOST = 28
_LOOK_AHEAD = WEEK + 2 * DAY


class Span(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"start": "from", "end": "to"},
):
    """One stretch as people write it: `{"day": "mon", "from": "09:00", "to": "17:00"}`. One that ends at or before its
    start ends on the next day."""

    day: str
    start: str
    end: str


def zone(name: str) -> ZoneInfo:
    """Raises Invalid for a name that the IANA database does not have."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        told = {"timezone": "Write a name such as Europe/Berlin or UTC"}
        raise Invalid("bad_timezone", f"There is no time zone {name[:64]!r}", field_errors=told) from error


def from_spans(spans: Sequence[Span]) -> list[list[int]]:
    """Sorted and joined. Raises Invalid, which names the span."""
    if len(spans) > MOST:
        raise Invalid("bad_hours", "Too many hours", field_errors={"hours": f"At most {MOST}"})
    found: list[tuple[int, int]] = []
    for number, span in enumerate(spans):
        if span.day not in DAYS:
            raise _wrong(number, f"day is one of {', '.join(DAYS)}")
        midnight = DAYS.index(span.day) * DAY
        start, end = midnight + _minute(span.start, number), midnight + _minute(span.end, number)
        if start == midnight + DAY:
            raise _wrong(number, "from must be before 24:00")
        end += DAY if end <= start else 0
        found.append((start, min(end, WEEK)))
        if end > WEEK:  # the night from Sunday to Monday
            found.append((0, end - WEEK))
    return _joined(found)


def to_spans(hours: Sequence[Sequence[int]]) -> list[Span]:
    """As people read them; what goes over midnight is told day by day."""
    told: list[Span] = []
    for start, end in hours:
        while start < end:
            midnight = start // DAY * DAY
            until = min(end, midnight + DAY)
            told.append(
                Span(day=DAYS[start // DAY], start=_clock(start - midnight), end=_clock(until - midnight))
            )
            start = until
    return told


def shifts(hours: Sequence[Sequence[int]]) -> list[Span]:
    """As a form asks for them, by the day on which they begin: one that goes over midnight is one, with an end before its
    start. `from_spans` of it gives the same hours."""
    found = [(start, end) for start, end in hours]
    if len(found) > 1 and found[0][0] == 0 and found[-1][1] == WEEK:  # the night from Sunday to Monday
        (_, end), (start, _) = found[0], found[-1]
        found = [*found[1:-1], (start, WEEK + end)]
    told: list[Span] = []
    for first, end in found:
        start = first
        while end - start > DAY:  # 24 hours from here, and the rest
            told.append(_span(start, start + DAY))
            start += DAY
        told.append(_span(start, end))
    return told


def _span(start: int, end: int) -> Span:
    return Span(day=DAYS[start // DAY % 7], start=_clock(start % DAY), end=_clock(end % DAY))


def open_at(hours: Sequence[Sequence[int]], timezone: ZoneInfo, now_ms: int) -> bool:
    """No hours at all: always."""
    if not hours:
        return True
    local = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(timezone)
    minute = local.weekday() * DAY + local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in hours)


def next_change(hours: Sequence[Sequence[int]], timezone: ZoneInfo, now_ms: int) -> int | None:
    """The first moment (ms UTC, a whole minute) at which `open_at` changes; None when it never does. Minute by minute:
    a thousand looks on a usual day, and right about every change of the clocks."""
    if not hours or [list(one) for one in hours] == [[0, WEEK]]:
        return None
    now = open_at(hours, timezone, now_ms)
    minute = now_ms // 60_000
    for ahead in range(1, _LOOK_AHEAD):
        if open_at(hours, timezone, (minute + ahead) * 60_000) != now:
            return (minute + ahead) * 60_000
    return None


def _joined(found: list[tuple[int, int]]) -> list[list[int]]:
    joined: list[list[int]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return joined


def _minute(text: str, number: int) -> int:
    hour, colon, minute = text.partition(":")
    fits = colon and hour.isdecimal() and minute.isdecimal() and hour.isascii() and minute.isascii()
    if (
        not fits
        or len(hour) > 2
        or len(minute) != 2
        or int(minute) > 59
        or int(hour) * 60 + int(minute) > DAY
    ):
        raise _wrong(number, f"{text[:16]!r} is no time of day; write 09:00")
    return int(hour) * 60 + int(minute)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _wrong(number: int, told: str) -> Invalid:
    return Invalid("bad_hours", "These hours cannot be read", field_errors={f"hours[{number}]": told})
