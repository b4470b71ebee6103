"""A worker's bank account: sealed when it is written, replaced by a new row when it changes, so that a payment on its way
keeps the account that it was made for. Called by `core/payouts/address.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core import clock, ids
from core.audit.record import record
from core.bank.details import label, pack
from core.bank.queries import account_of
from core.bank.tables import BankAccountRow
from core.db.unit_of_work import Transaction
from core.payouts.rail import BankAccount


async def put(
    tx: Transaction,
    worker_id: str,
    account: BankAccount,
    *,
    usable_at: datetime,
    seal: Callable[[str], str],
    actor: str,
) -> BankAccountRow:
    """Replaces the one in use. The caller holds the worker's row. The audit keeps the labels alone."""
    former = await _take_away(tx, worker_id, usable_at)
    now = clock.from_ms(await tx.now_ms())
    row = BankAccountRow(
        id=ids.new("bac"),
        worker_id=worker_id,
        kind=str(account.kind),
        label=label(account),
        sealed=seal(pack(account)),
        usable_at=usable_at,
        created_at=now,
    )
    tx.session.add(row)
    await tx.session.flush()
    await record(
        tx,
        actor=actor,
        action="worker.bank_account_changed",
        subject=worker_id,
        before=former.label if former else None,
        after=row.label,
        kind=row.kind,
        usable_at=clock.iso(usable_at),
    )
    return row


async def remove(tx: Transaction, worker_id: str, *, trusted_at: datetime, actor: str) -> bool:
    """False when there was none. Until `trusted_at` (UTC) no other place may be paid in its stead."""
    former = await _take_away(tx, worker_id, trusted_at)
    if former is None:
        return False
    await record(
        tx,
        actor=actor,
        action="worker.bank_account_changed",
        subject=worker_id,
        before=former.label,
        after=None,
        usable_at=clock.iso(trusted_at),
    )
    return True


async def _take_away(tx: Transaction, worker_id: str, trusted_at: datetime) -> BankAccountRow | None:
    former = await account_of(tx.session, worker_id)
    if former is not None:
        former.removed_at = clock.from_ms(await tx.now_ms())
        former.usable_at = max(former.usable_at, trusted_at)
        await tx.session.flush()
    return former
