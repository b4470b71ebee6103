"""Whether a task that runs late is given to a second person beside the first. Pure; `budget.py` counts, `sla.py` and the
simulator ask.

A backup spends a pair of hands. With hands to spare it saves the deadline; without, it takes them from tasks that nobody has
yet, and those get late in their turn: in simulation at a load of 1.0, ungated backups at 80 % drop the answers in time from
.92 to .53. So each is paid from a bucket: a share of a skill's assignments of the last minutes, none while its people are
nearly all at work, and only when more of them are free than tasks wait. That last rule is the sharp one: it looks at the
hands there are now. A limit of 85 % of taken capacity refuses a pool of twenty its backups while two people idle: in
simulation (10 seeds of 1,500 tasks at a load of 1.0) 98 % and a share of 20 % in place of 85 % and 10 % bring the answers in
time from .943 to .955, and change nothing at 1.3, where nobody idles. What is refused here costs nobody a hand: the worker is told that
the time is nearly up (a wake), and it is asked again in a moment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]


class Backups(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `share_percent` of a skill's assignments in `window_seconds` are backups, `burst` in any case; none while
    more than `busy_percent` of its people's capacity is taken."""

    share_percent: Percent = 20
    window_seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 600
    burst: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 3
    busy_percent: Percent = 98


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One skill: its assignments and backups in the window, and how much of its people's capacity is taken."""

    assigned: int = 0
    backups: int = 0
    load: int = 0
    capacity: int = 0


class NoBackup(StrEnum):
    NOBODY_FREE = "nobody_free"  # nobody eligible has a hand free
    NEEDED_ELSEWHERE = "needed_elsewhere"  # as many tasks wait for those who are free
    BUSY = "busy"  # the skill's people are nearly all at work
    SPENT = "spent"  # the skill's share of backups is used up for now


SENTENCES: dict[NoBackup, str] = {
    NoBackup.NOBODY_FREE: "nobody who may take it has a hand free",
    NoBackup.NEEDED_ELSEWHERE: "as many tasks wait for the people who have a hand free",
    NoBackup.BUSY: "the people of a skill that it asks for are nearly all at work",
    NoBackup.SPENT: "the share of backups of a skill that it asks for is used up for now",
}


def refusal(rules: Backups, budgets: list[Budget], free: int, waiting: int) -> NoBackup | None:
    """Why not now; None to go ahead. `free` are the eligible people with a hand free, `waiting` the tasks of the same kind
    that nobody has; one budget for each skill that the task asks for."""
    if free == 0:
        return NoBackup.NOBODY_FREE
    if free <= waiting:
        return NoBackup.NEEDED_ELSEWHERE
    for one in budgets:
        if one.load * 100 > one.capacity * rules.busy_percent:
            return NoBackup.BUSY
        if one.backups >= max(rules.burst, one.assigned * rules.share_percent // 100):
            return NoBackup.SPENT
    return None
