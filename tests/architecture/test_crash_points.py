"""The registry of crash points (`core/crash.py`) is exactly what the code passes: a point that is not listed is one
where nobody ever killed the process; a listed one that is not passed is a chaos test that proves nothing."""

from __future__ import annotations

from core import crash
from tests.architecture.life import Named, crash_points, transactions
from tests.architecture.source import modules

SOURCE = modules()

# A transaction whose name begins so is on a task's life, unless it stands in BESIDE.
LIFE = ("intake.", "tasks.", "routing.", "verification.", "payouts.", "replies.", "callbacks.", "outbox.")

# Transactions of these concepts that no task's life needs, with the reason why killing the process there is not
# worth a chaos run of its own.
BESIDE = {
    "outbox.later": "what is lost is one postponement; the lease runs out and the job is due again",
    "outbox.dead": "as outbox.later: the job fails once more and is buried then",
    "outbox.sweep": "only reads which jobs are due",
    "routing.lapse": "a timer in one transaction with its job; killed before or after, the timer rings again or is done",
    "routing.timer": "as routing.lapse",
    "routing.offer_waiting": "ends a job whose offers were committed one by one as routing.offer",
    "routing.decline": "one transaction of a person's click; whoever gets no answer clicks again",
    "routing.release": "as routing.decline",
    "routing.take": "one transaction of a person's click, conditional like an offer; whoever gets no answer clicks again",
    "routing.extend": "as routing.take; asking twice is asking once",
    "routing.withdraw": "as routing.lapse, an offer at a time; what is killed in between is gone on with by the next try",
    "routing.draft": "keeps what a person typed; the page sends it again",
    "routing.more": "one transaction with its job; killed at both sides in tests/chaos/test_verification_jobs.py",
    "tasks.decide": "as routing.more, when nobody else can answer",
    "intake.stop": "only raises the alarm; the delivery is read again and raises it again",
    "intake.quarantine": "the sender gets its refusal in any case, and what it repeats is kept then",
    "payouts.convert": "one transaction with its job; killed before or after, the payout is converted by the next try or is",
    "payouts.look_back": "one transaction with its job; killed before or after, the bank is asked again or was",
    "payouts.invoice_asked": "reads a worker's own payout before their invoice is looked at; writes nothing",
    "payouts.invoice_given": "one transaction of a person's click; whoever gets no answer clicks again",
    "payouts.hold_over": "one transaction with its job; killed before or after, the next try ends the hold or finds it ended",
    "tasks.cancel": "one transaction of the command line, repeated by the operator",
}


def test_every_transaction_of_a_task_is_a_crash_point() -> None:
    unknown = [
        one
        for one in transactions(SOURCE)
        if one.name is not None
        and one.name.startswith(LIFE)
        and one.name not in crash.TRANSACTIONS
        and one.name not in BESIDE
    ]
    assert not unknown, "add it to core/crash.py TRANSACTIONS, or here to BESIDE with a reason:\n" + _lines(
        unknown
    )


def test_every_transaction_has_a_literal_name() -> None:
    unreadable = [one for one in transactions(SOURCE) if one.name is None]
    assert not unreadable, "write the name as a literal, the chaos suite looks for it:\n" + _lines(unreadable)


def test_every_registered_transaction_is_used() -> None:
    used = {one.name for one in transactions(SOURCE)}
    assert [name for name in crash.TRANSACTIONS if name not in used] == []


def test_every_transaction_beside_is_used() -> None:
    used = {one.name for one in transactions(SOURCE)}
    assert [name for name in BESIDE if name not in used] == []
    assert [name for name in BESIDE if name in crash.TRANSACTIONS] == []


# What commits passes the two points of the transaction that it was opened for.
COMMITTERS = ("core/db/unit_of_work.py", "core/db/quick.py")


def test_every_call_to_the_outside_has_its_two_points_and_no_more() -> None:
    passed = [one for one in crash_points(SOURCE) if one.path not in COMMITTERS]
    assert not [one for one in passed if one.name is None], "write the point as a literal"
    assert {one.name for one in passed} == {
        f"{name}:{side}" for name in crash.CALLS + crash.PAYOUT_CALLS for side in ("before", "after")
    }


def test_the_unit_of_work_passes_two_points_for_each_transaction() -> None:
    names = [one.name for one in crash_points(SOURCE) if one.path == "core/db/unit_of_work.py"]
    assert names == [None, None]  # f"{name}:before" and f"{name}:after"


def _lines(found: list[Named]) -> str:
    return "\n".join(map(str, sorted(found)))
