"""Proves the books: every rule that ties ledger, tasks and payouts together, as a query that finds what breaks it.
Run by `hub ledger check`, nightly, and by every test that moves money."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Collection
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import UNLIMITED
from core.ledger import chain
from core.ledger.accounts import WITH_FLOOR
from core.payouts.states import IN_CLEARING, OWED, PAID, PayoutState
from core.tasks.states import OPEN

AT_ONCE = 500  # rows fetched at a time


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that does not hold for `subject` (an account, a task or a payout): the books should say `wanted`, they
    say `found` (msat, or a count where the rule counts)."""

    rule: str
    subject: str
    wanted: int | None
    found: int | None

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: the books should say {self.wanted}, they say {self.found}"


def _words(states: Collection[str]) -> str:
    return ", ".join(f"'{state}'" for state in sorted(states))


def _agree(wanted: str, found: str) -> str:
    """Two lists of (subject, number), summed by subject, must be the same; a side that is missing counts as 0."""
    return f"""
        SELECT subject, sum(wanted), sum(found) FROM (
            SELECT subject, number AS wanted, 0 AS found FROM ({wanted}) w
            UNION ALL SELECT subject, 0, number FROM ({found}) f
        ) both_sides GROUP BY subject HAVING sum(wanted) <> sum(found) ORDER BY subject"""  # noqa: S608 - our own text


def _balances(kind: str) -> str:
    return f"SELECT id AS subject, credits_msat - debits_msat AS number FROM ledger_accounts WHERE kind = '{kind}'"  # noqa: S608 - our own text


_MOVED = "WHERE phase IN ('single', 'post')"
_OPEN_PENDS = """WHERE phase = 'pend'
    AND NOT EXISTS (SELECT 1 FROM ledger_transfers r WHERE r.pending_id = ledger_transfers.id)"""


def _sums(column: str, side: str, which: str) -> str:
    return _agree(
        f"SELECT {side} AS subject, amount_msat AS number FROM ledger_transfers {which}",  # noqa: S608 - our own text
        f"SELECT id AS subject, {column} AS number FROM ledger_accounts",  # noqa: S608 - our own text
    )


# A task holds its reservation while it is open, and until its payout in dollars finds a rate.
_HOLDS = f"""(status IN ({_words(OPEN)})
    OR id IN (SELECT task_id FROM payouts WHERE state = '{PayoutState.EARNED}'))"""  # noqa: S608 - our own text


# Rule -> query of (subject, wanted, found) that gives a row for every breach and none when the books are right.
# Sums are made by the database; nothing but breaches is fetched.
RULES: dict[str, str] = {
    # Every transfer is in both running sums, and nothing else is.
    "account_debits": _sums("debits_msat", "debit_account", _MOVED),
    "account_credits": _sums("credits_msat", "credit_account", _MOVED),
    # What is held is what open pends hold.
    "pending_debits": _sums("debits_pending_msat", "debit_account", _OPEN_PENDS),
    "pending_credits": _sums("credits_pending_msat", "credit_account", _OPEN_PENDS),
    # A pend is resolved by a transfer between its own accounts and for no more than it held; once, by unique index.
    "resolution": """
        SELECT r.id, p.amount_msat, r.amount_msat FROM ledger_transfers r
        LEFT JOIN ledger_transfers p ON p.id = r.pending_id AND p.phase = 'pend'
            AND p.debit_account = r.debit_account AND p.credit_account = r.credit_account
        WHERE r.phase IN ('post', 'void') AND (p.id IS NULL OR r.amount_msat > p.amount_msat
            OR (r.phase = 'void' AND r.amount_msat <> p.amount_msat)) ORDER BY r.id""",
    "books_balance": """
        SELECT 'all accounts', debits, credits FROM (
            SELECT sum(debits_msat) AS debits, sum(credits_msat) AS credits FROM ledger_accounts
        ) sums WHERE debits <> credits""",
    "account_floor": """
        SELECT id, floor_msat, credits_msat - debits_msat - debits_pending_msat FROM ledger_accounts
        WHERE credits_msat - debits_msat - debits_pending_msat < floor_msat""",
    # A kind of account that has a floor has it on every account: a dropped floor is the first step of an overdraft.
    "floor_of_kind": f"""
        SELECT id, 0, floor_msat FROM ledger_accounts
        WHERE kind IN ({_words(WITH_FLOOR)}) AND (floor_msat IS NULL OR floor_msat <> 0)""",  # noqa: S608 - our own text
    # From the commit of READY until the rail's last word, the amount and the fee limit are held for clearing.
    "held": _agree(
        f"""SELECT payout_id AS subject, amount_msat + max_fee_msat AS number FROM payout_attempts
            WHERE state IN ({_words(IN_CLEARING)})""",  # noqa: S608 - our own text
        f"SELECT subject, amount_msat AS number FROM ledger_transfers {_OPEN_PENDS}",  # noqa: S608 - our own text
    ),
    # What settles passes through.
    "clearing": _agree("SELECT '' AS subject, 0 AS number", _balances("clearing")),
    "reserved": _agree(
        f"""SELECT organisation_id || ':' || environment || ':reserved' AS subject, reserved_msat AS number FROM tasks
            WHERE funded AND {_HOLDS}""",  # noqa: S608 - our own text
        _balances("reserved"),
    ),
    "ended_task_holds_money": f"""
        SELECT id, 0, reserved_msat FROM tasks
        WHERE reserved_msat <> 0 AND (NOT funded OR NOT {_HOLDS}) ORDER BY id""",  # noqa: S608 - our own text
    # What is earned and not paid yet. A payout whose attempts ran out is still owed, and so is what whole cents left over.
    "payable": _agree(
        f"""SELECT worker_id || ':payable' AS subject, amount_msat AS number FROM payouts
            WHERE state IN ({_words(OWED | IN_CLEARING)})
            UNION ALL SELECT worker_id || ':payable', remainder_msat FROM payouts
            WHERE state IN ({_words(PAID | {PayoutState.REVERSED})})""",  # noqa: S608 - our own text
        _balances("payable"),
    ),
    # What left over a rail, less what came in over it.
    "rail": _agree(
        f"""SELECT 'rail:' || a.rail AS subject, a.amount_msat + a.fee_msat AS number
            FROM payout_attempts a JOIN payouts p ON p.id = a.payout_id
            WHERE a.state = 'settled' AND p.state IN ({_words(PAID)})
            UNION ALL SELECT 'rail:' || rail, -received_msat FROM top_ups WHERE state = 'credited'""",  # noqa: S608 - our own text
        _balances("rail"),
    ),
    # Exactly one transfer settles a settled payout, with its amount; none settles another.
    "settled_once": _agree(
        f"SELECT id AS subject, 1 AS number FROM payouts WHERE state IN ({_words(PAID)})",  # noqa: S608 - our own text
        """SELECT subject, CASE kind WHEN 'settle' THEN 1 ELSE -1 END AS number FROM ledger_transfers
            WHERE kind IN ('settle', 'reverse')""",
    ),
    "settled_amount": _agree(
        f"SELECT id AS subject, amount_msat - remainder_msat AS number FROM payouts WHERE state IN ({_words(PAID)})",  # noqa: S608 - our own text
        """SELECT subject, CASE kind WHEN 'settle' THEN amount_msat ELSE -amount_msat END AS number FROM ledger_transfers
            WHERE kind IN ('settle', 'reverse')""",
    ),
    "settled_attempt": _agree(
        f"SELECT id AS subject, 1 AS number FROM payouts WHERE state IN ({_words(PAID)})",  # noqa: S608 - our own text
        "SELECT payout_id AS subject, 1 AS number FROM payout_attempts WHERE state = 'settled'",
    ),
    "living_attempt": _agree(
        f"SELECT id || ' ' || state AS subject, 1 AS number FROM payouts WHERE state IN ({_words(IN_CLEARING)})",  # noqa: S608 - our own text
        f"""SELECT payout_id || ' ' || state AS subject, 1 AS number FROM payout_attempts
            WHERE state IN ({_words(IN_CLEARING)})""",  # noqa: S608 - our own text
    ),
    # A top-up that arrived is credited by one transfer of what arrived; no other transfer claims to be one.
    "top_up": _agree(
        "SELECT 'top_up:' || id AS subject, received_msat AS number FROM top_ups WHERE state = 'credited'",
        "SELECT id AS subject, amount_msat AS number FROM ledger_transfers WHERE kind = 'top_up'",
    ),
    "attempt_amount": """
        SELECT a.id, p.amount_msat, a.amount_msat FROM payout_attempts a JOIN payouts p ON p.id = a.payout_id
        WHERE a.amount_msat <> p.amount_msat AND (a.cents = 0 OR a.amount_msat > p.amount_msat) ORDER BY a.id""",
}

_PROOFS = "SELECT payout_id, payment_hash, preimage, rail FROM payout_attempts WHERE state = 'settled'"


async def check(
    session: AsyncSession,
    *,
    rails_without_preimage: Collection[str] = (),
    limit: int = 1000,
    head: str | None = None,
) -> list[Problem]:
    """Every breach of a rule, at most `limit`; empty when the books are right. `session` must be fresh: all rules
    are asked of one snapshot, else a payout that moves meanwhile would look like a breach. A settled attempt on a
    rail that is not in `rails_without_preimage` must carry the preimage of its payment hash. `head` is the hash of a
    link that was kept elsewhere. Whoever wants the newest transfers in the chain too calls `seal_all` before."""
    await snapshot(session)
    problems: list[Problem] = []
    for rule, sql in RULES.items():
        async for subject, wanted, found in _rows(session, sql):
            problems.append(Problem(rule=rule, subject=subject, wanted=_int(wanted), found=_int(found)))
            if len(problems) >= limit:
                return problems
    async for payout_id, payment_hash, preimage, rail in _rows(session, _PROOFS):
        if rail not in rails_without_preimage and not is_proof(preimage, payment_hash):
            problems.append(Problem(rule="preimage", subject=payout_id, wanted=1, found=0))
    async for breach in chain.breaches(session, head):
        problems.append(Problem(**msgspec.structs.asdict(breach)))
        if len(problems) >= limit:
            break
    return problems[:limit]


async def snapshot(session: AsyncSession) -> None:
    """All that a fresh `session` reads from here on is of one moment, however long it takes."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        await session.execute(text(UNLIMITED))  # a ledger of years takes its time
        await session.execute(text("SET LOCAL work_mem = '64MB'"))  # sums and joins over all of it
        # Whoever reads a long file of it may be slow, and must not hold old rows for ever.
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '10min'"))


def is_proof(preimage: str | None, payment_hash: str) -> bool:
    """True when `preimage` (hex) hashes to `payment_hash` (hex): whoever shows it was paid."""
    try:
        return preimage is not None and hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == payment_hash
    except ValueError:
        return False


async def _rows(session: AsyncSession, sql: str) -> AsyncGenerator[Any]:
    async for page in chain.pages(session, sql, AT_ONCE):
        for row in page:
            yield row


def _int(value: Any) -> int | None:
    return None if value is None else int(value)  # PostgreSQL sums bigint to numeric
