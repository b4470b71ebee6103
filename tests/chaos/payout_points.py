"""Every point between the ledger and the receiver where a payout's process can die, as data: what the crash matrix of the
sandbox (`payout_matrix.py`), the one of real nodes (`tests/lightning/test_crash_cells.py`) and the README run over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

WIRE = "wire:"  # a strike by the line between worker and rail (`payout_wire.py`); others are names of `core/crash.py`


class Receiver(StrEnum):
    """What becomes of the payment at its far end."""

    NOW = "settles now"
    LATER = "settles later"
    FAILS = "fails"
    NEVER = "never answers"  # held without an answer, and given back by the network in the end
    FROZEN = "frozen"  # held without an answer, and settled when the receiver wakes up


class Blow(StrEnum):
    """What befalls the worker at a point."""

    KILL = "killed"
    FREEZE = "frozen past its lease"  # another one takes over, then the sleeper wakes up
    DATABASE = "database killed"  # frozen while PostgreSQL dies and starts again


class Clock(StrEnum):
    """By how much the next worker's clock differs; `machine` moves the database's clock too."""

    RIGHT = "right"
    AHEAD = "worker +1 h"
    BEHIND = "worker -1 h"
    MACHINE_AHEAD = "machine +1 h"
    MACHINE_BEHIND = "machine -1 h"


@dataclass(frozen=True)
class Point:
    """`strikes`: where the first worker is struck, then the second …; the last one is the point, those before only lead
    the payout to it. `number` is the row of the table in the README."""

    number: int
    name: str
    strikes: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.number:2} {self.name}"


_DOUBT = "rail.pay:after"  # dies with the answer in hand: whoever comes next has to look

POINTS: tuple[Point, ...] = (
    Point(1, "before the earning is committed", ("tasks.verify:before",)),
    Point(2, "after the earning is committed", ("tasks.verify:after",)),
    Point(3, "before the address is asked", ("rail.resolve:before",)),
    Point(3, "after the address gave an invoice", ("rail.resolve:after",)),
    Point(3, "before the invoice is committed", ("payouts.prepare:before",)),
    Point(4, "after the invoice is committed", ("payouts.prepare:after",)),
    Point(4, "before `sending` is committed", ("payouts.send:before",)),
    Point(5, "after `sending` is committed", ("payouts.send:after",)),
    Point(5, "before the first byte", ("rail.pay:before",)),
    Point(6, "in the middle of the request", (f"{WIRE}mid-request",)),
    Point(7, "after the request, before the reply", (f"{WIRE}before-reply",)),
    Point(8, "in the middle of the reply", (f"{WIRE}mid-reply",)),
    Point(9, "after the reply", ("rail.pay:after",)),
    Point(9, "before the outcome is committed", ("payouts.record:before",)),
    Point(10, "after the outcome is committed", ("payouts.record:after",)),
    Point(11, "sweep: a job is leased", ("rail.pay:after", "outbox.lease:after")),
    Point(11, "sweep: before the look-up", (_DOUBT, "rail.look_up:before")),
    Point(11, "sweep: in the middle of the look-up", (_DOUBT, f"{WIRE}mid-look-up")),
    Point(11, "sweep: after the look-up", (_DOUBT, "rail.look_up:after")),
    Point(11, "sweep: before its outcome is committed", (_DOUBT, "payouts.record:before")),
)

# Where a process can sleep without holding a transaction open.
ZOMBIES: tuple[Point, ...] = (
    Point(12, "zombie: address resolved", ("rail.resolve:after",)),
    Point(12, "zombie: invoice committed", ("payouts.prepare:after",)),
    Point(12, "zombie: `sending` committed", ("payouts.send:after",)),
    Point(12, "zombie: before the first byte", ("rail.pay:before",)),
    Point(12, "zombie: its request still on the way", (f"{WIRE}before-request",)),
    Point(12, "zombie: half a request", (f"{WIRE}mid-request",)),
    Point(12, "zombie: before the reply", (f"{WIRE}before-reply",)),
    Point(12, "zombie: half a reply", (f"{WIRE}mid-reply",)),
    Point(12, "zombie: after the reply", ("rail.pay:after",)),
    Point(12, "zombie: after the look-up", (_DOUBT, "rail.look_up:after")),
)

DATABASE: tuple[Point, ...] = (
    Point(13, "database gone: before the invoice is committed", ("payouts.prepare:before",)),
    Point(13, "database gone: `sending` uncommitted", ("payouts.send:before",)),
    Point(13, "database gone: `sending` committed", ("payouts.send:after",)),
    Point(13, "database gone: before the first byte", ("rail.pay:before",)),
    Point(13, "database gone: before the reply", (f"{WIRE}before-reply",)),
    Point(13, "database gone: after the reply", ("rail.pay:after",)),
    Point(13, "database gone: outcome uncommitted", ("payouts.record:before",)),
    Point(13, "database gone: outcome committed", ("payouts.record:after",)),
)

CLOCKS: tuple[Point, ...] = (
    Point(15, "clock: invoice committed", ("payouts.prepare:after",)),
    Point(15, "clock: before the first byte", ("rail.pay:before",)),
    Point(15, "clock: before the reply", (f"{WIRE}before-reply",)),
    Point(15, "clock: after the reply", ("rail.pay:after",)),
)
# 14 is the restart of the rail: a column of every other row.
