"""Named places where the process can be killed, so that tests can prove what a crash there leaves behind.

`HUB_CRASH_AT=name:n` ends the process with SIGKILL when the point `name` is reached for the n-th time; with
`HUB_CRASH_BY=stop` it freezes there (SIGSTOP) and goes on when somebody wakes it, long after its lease. Every
transaction of `core/db/unit_of_work.py` has the two points `<name>:before` and `<name>:after` (its commit);
every call to the outside has its own two. The chaos suite enumerates `POINTS`.
"""

from __future__ import annotations

import os
import signal

# Transactions of one task's life, in order. Each has two points: before and after its commit.
TRANSACTIONS: tuple[str, ...] = (
    "intake.receive",
    "intake.process",
    "tasks.create",
    "routing.offer",
    "routing.accept",
    "routing.submit",
    "tasks.verify",
    "receipts.issue",
    "payouts.prepare",
    "payouts.send",
    "payouts.record",
    "replies.compose",
    "replies.send",
    "replies.record",
    "callbacks.fan_out",
    "callbacks.record",
    "outbox.lease",
)

# Calls to somebody else's system: just before the first byte leaves, just after the answer is in.
CALLS: tuple[str, ...] = ("rail.pay", "ticket.write", "callback.post")

POINTS: tuple[str, ...] = tuple(
    f"{name}:{side}" for name in TRANSACTIONS + CALLS for side in ("before", "after")
)

# Passed by a payout alone, some only after a doubt; the matrix of `tests/chaos` runs over them.
PAYOUT_CALLS: tuple[str, ...] = ("rail.resolve", "rail.look_up")
PAYOUT_POINTS: tuple[str, ...] = tuple(
    f"{name}:{side}" for name in PAYOUT_CALLS for side in ("before", "after")
)

_wanted = os.environ.get("HUB_CRASH_AT", "")
_name, _, _count = _wanted.rpartition(":") if _wanted.count(":") == 2 else (_wanted, "", "1")
_left = int(_count or "1") if _wanted else 0
_how = signal.SIGSTOP if os.environ.get("HUB_CRASH_BY") == "stop" else signal.SIGKILL


def reach(point: str) -> None:
    """Pass a named point; this is where the process dies when the environment asks for it."""
    global _left
    if _name != point or _left == 0:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), _how)
