"""What the sandbox writes down: invoices, payments, settlements and scripted faults. Plain functions over one
connection of `SandboxFile`; the rail, the wallets and the controls call them inside a transaction."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

import msgspec

from core.payouts.rail import Outcome

DAY_MS = 86_400_000
OWN_WALLET = ":hub"  # the rail itself; no worker's name has a colon


class Fault(StrEnum):
    """What can be scripted for the next payment (the last one: for the next look-up)."""

    DELAY = "delay"  # settles after the seconds given, and only then answers
    HANG = "hang"  # stays in flight until released
    ACCEPT_THEN_LOSE_ANSWER = "accept_then_lose_answer"  # settles, but the answer is lost
    FAIL = "fail"  # fails for good
    SETTLE_LATER = "settle_later"  # answers "in flight" at once, settles by itself after the seconds given
    UNREACHABLE = "unreachable"  # nothing arrives, nothing is recorded
    LOOK_UP_UNREACHABLE = "look_up_unreachable"


class Script(msgspec.Struct, frozen=True, kw_only=True):
    kind: Fault
    after_ms: int


class PaymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One payment hash in the sandbox's history. `settled_count` counts the settlements; more than 1 is a double payment."""

    payment_hash: str
    amount_msat: int
    fee_msat: int
    state: Outcome
    settled_count: int
    attempts: int
    preimage: str | None
    reason: str | None
    created_at_ms: int
    due_at_ms: int | None


_RECORD = """
SELECT payment_hash, amount_msat, fee_msat, state, attempts, preimage, reason, created_at_ms, due_at_ms,
       (SELECT count(*) FROM settlements s WHERE s.payment_hash = p.payment_hash) AS settled_count
  FROM payments p
"""


def find(db: sqlite3.Connection, payment_hash: str) -> PaymentRecord | None:
    row = db.execute(f"{_RECORD} WHERE payment_hash = ?", (payment_hash,)).fetchone()
    return None if row is None else msgspec.convert(dict(row), PaymentRecord)


def history(db: sqlite3.Connection) -> list[PaymentRecord]:
    """Every payment, oldest first."""
    rows = db.execute(f"{_RECORD} ORDER BY created_at_ms, payment_hash").fetchall()
    return [msgspec.convert(dict(row), PaymentRecord) for row in rows]


def put_in_flight(
    db: sqlite3.Connection,
    *,
    payment_hash: str,
    bolt11: str,
    amount_msat: int,
    fee_msat: int,
    now_ms: int,
    due_at_ms: int | None,
    verdict: Outcome,
    reason: str | None,
) -> None:
    """Record a payment before anything is sent; a failed one of the same hash starts again, as LND allows."""
    db.execute(
        """
        INSERT INTO payments (payment_hash, bolt11, amount_msat, fee_msat, state, attempts, created_at_ms,
                              due_at_ms, verdict, reason)
        VALUES (?, ?, ?, ?, 'in_flight', 1, ?, ?, ?, ?)
        ON CONFLICT (payment_hash) DO UPDATE
           SET state = 'in_flight', bolt11 = excluded.bolt11, amount_msat = excluded.amount_msat,
               fee_msat = excluded.fee_msat, attempts = attempts + 1, due_at_ms = excluded.due_at_ms,
               verdict = excluded.verdict, reason = excluded.reason
         WHERE state = 'failed'
        """,
        (payment_hash, bolt11, amount_msat, fee_msat, now_ms, due_at_ms, verdict, reason),
    )


def decide_due(db: sqlite3.Connection, now_ms: int) -> None:
    """Settle or fail every payment whose time has come. An invoice that expired meanwhile still settles: the end of
    an invoice does not end an HTLC in flight (lightningnetwork/lnd#7621)."""
    due = db.execute(
        "SELECT payment_hash, verdict, reason FROM payments WHERE state = 'in_flight' AND due_at_ms <= ?",
        (now_ms,),
    ).fetchall()
    for row in due:
        if row["verdict"] == Outcome.SETTLED:
            settle(db, row["payment_hash"], now_ms)
        else:
            fail(db, row["payment_hash"], row["reason"])


def settle(db: sqlite3.Connection, payment_hash: str, now_ms: int) -> None:
    """Pay the invoice, take its preimage, count the settlement."""
    invoice = db.execute(
        "UPDATE invoices SET paid_at_ms = ? WHERE payment_hash = ? AND paid_at_ms IS NULL RETURNING preimage",
        (now_ms, payment_hash),
    ).fetchone()
    if invoice is None:
        fail(db, payment_hash, "the payee does not know this invoice, or has been paid for it")
        return
    db.execute(
        "UPDATE payments SET state = 'settled', preimage = ?, reason = NULL WHERE payment_hash = ?",
        (invoice["preimage"], payment_hash),
    )
    db.execute(
        """
        INSERT INTO settlements (payment_hash, amount_msat, fee_msat, at_ms)
        SELECT payment_hash, amount_msat, fee_msat, ? FROM payments WHERE payment_hash = ?
        """,
        (now_ms, payment_hash),
    )


def fail(db: sqlite3.Connection, payment_hash: str, reason: str) -> None:
    db.execute(
        "UPDATE payments SET state = 'failed', reason = ? WHERE payment_hash = ? AND state = 'in_flight'",
        (reason, payment_hash),
    )


def spent_msat(db: sqlite3.Connection) -> int:
    """What has left, or is held by payments in flight, fees included."""
    row = db.execute(
        """
        SELECT (SELECT coalesce(sum(amount_msat + fee_msat), 0) FROM settlements)
             + (SELECT coalesce(sum(amount_msat + fee_msat), 0) FROM payments WHERE state = 'in_flight')
        """
    ).fetchone()
    return int(row[0])


def add_fault(db: sqlite3.Connection, script: Script) -> None:
    db.execute("INSERT INTO faults (kind, after_ms) VALUES (?, ?)", (script.kind, script.after_ms))


def next_fault(db: sqlite3.Connection, *, look_up: bool) -> Script | None:
    """The oldest fault that waits for a payment, or for a look-up; it stays until taken."""
    row = db.execute(
        "SELECT kind, after_ms FROM faults WHERE (kind = ?) = ? ORDER BY number LIMIT 1",
        (Fault.LOOK_UP_UNREACHABLE, look_up),
    ).fetchone()
    return None if row is None else Script(kind=Fault(row["kind"]), after_ms=row["after_ms"])


def take_fault(db: sqlite3.Connection, script: Script) -> None:
    """Remove the oldest fault of this kind: its moment has come."""
    db.execute(
        "DELETE FROM faults WHERE number = (SELECT min(number) FROM faults WHERE kind = ?)", (script.kind,)
    )


class NewInvoiceRow(msgspec.Struct, frozen=True, kw_only=True):
    payment_hash: str
    wallet: str
    preimage: str
    amount_msat: int
    bolt11: str
    comment: str
    expires_at_ms: int


def add_invoice(db: sqlite3.Connection, invoice: NewInvoiceRow, now_ms: int) -> None:
    """Keep a fresh invoice; forget those that nobody tried to pay for a day after their end."""
    db.execute(
        """
        DELETE FROM invoices WHERE paid_at_ms IS NULL AND expires_at_ms < ?
           AND payment_hash NOT IN (SELECT payment_hash FROM payments)
        """,
        (now_ms - DAY_MS,),
    )
    db.execute(
        """
        INSERT INTO invoices (payment_hash, wallet, preimage, amount_msat, bolt11, comment, expires_at_ms)
        VALUES (:payment_hash, :wallet, :preimage, :amount_msat, :bolt11, :comment, :expires_at_ms)
        """,
        msgspec.structs.asdict(invoice),
    )


def invoice_text(db: sqlite3.Connection, payment_hash: str) -> str | None:
    row = db.execute("SELECT bolt11 FROM invoices WHERE payment_hash = ?", (payment_hash,)).fetchone()
    return None if row is None else str(row["bolt11"])


def invoice_end_ms(db: sqlite3.Connection, payment_hash: str) -> int | None:
    row = db.execute("SELECT expires_at_ms FROM invoices WHERE payment_hash = ?", (payment_hash,)).fetchone()
    return None if row is None else int(row["expires_at_ms"])


def put_receipt(db: sqlite3.Connection, bolt11: str, amount_msat: int | None, now_ms: int) -> int | None:
    """Somebody pays an invoice of the rail's own, its amount or another one; what has arrived for it, which a second
    payment does not change. None when there is no such invoice. A receipt outlives its invoice."""
    invoice = db.execute(
        "SELECT payment_hash, amount_msat FROM invoices WHERE bolt11 = ? AND wallet = ?",
        (bolt11.lower(), OWN_WALLET),
    ).fetchone()
    if invoice is None:
        return None
    db.execute(
        "INSERT OR IGNORE INTO receipts (payment_hash, amount_msat, at_ms) VALUES (?, ?, ?)",
        (
            invoice["payment_hash"],
            invoice["amount_msat"] if amount_msat is None else amount_msat,
            now_ms,
        ),
    )
    return receipt_msat(db, invoice["payment_hash"])


def receipt_msat(db: sqlite3.Connection, payment_hash: str) -> int | None:
    row = db.execute("SELECT amount_msat FROM receipts WHERE payment_hash = ?", (payment_hash,)).fetchone()
    return None if row is None else int(row["amount_msat"])


def receipts_msat(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(sum(amount_msat), 0) FROM receipts").fetchone()[0])


def received_msat(db: sqlite3.Connection, wallet: str) -> int:
    row = db.execute(
        "SELECT coalesce(sum(amount_msat), 0) FROM invoices WHERE wallet = ? AND paid_at_ms IS NOT NULL",
        (wallet,),
    ).fetchone()
    return int(row[0])
