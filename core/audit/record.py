"""Writes one audit entry. Called by every action that a person, a key or a connector sets off."""

from __future__ import annotations

from typing import Any

from core import clock, ids
from core.audit.tables import AuditEntry
from core.db.unit_of_work import Transaction


async def record(tx: Transaction, *, actor: str, action: str, subject: str, **detail: Any) -> None:
    """`action` is a dotted verb (`task.cancelled`); `detail` holds plain JSON values, never a secret or an answer."""
    entry = AuditEntry(
        id=ids.new("aud"),
        at=clock.from_ms(await tx.now_ms()),
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
    )
    tx.session.add(entry)
