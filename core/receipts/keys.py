"""The keys that sign: the first is made when it is needed, `rotate` makes the next. Public halves are kept for ever, for
old receipts stay verifiable. Called by `actions.py`, `hub receipt keys` and the well-known route."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core import clock
from core.access.sealing import Sealer
from core.audit.record import record
from core.db.unit_of_work import Transaction
from core.receipts import signature
from core.receipts.canonical import digest
from core.receipts.model import KeySet, PublicKey
from core.receipts.tables import ReceiptKey
from core.secret import Secret

_LOCK = 0x72637074  # "rcpt": one writer of receipts and keys at a time on PostgreSQL; SQLite has one writer anyway


class Signing(msgspec.Struct, frozen=True):
    id: str
    private: Secret


async def alone(tx: Transaction) -> None:
    """Until the commit nobody else issues a receipt or makes a key, so that the chain never forks."""
    if tx.dialect == "postgresql":
        await tx.execute("SELECT pg_advisory_xact_lock($1)", (_LOCK,))


def thumbprint(public: str) -> str:
    """RFC 7638, in hex: SHA-256 of the JWK's required members."""
    return digest({"crv": "Ed25519", "kty": "OKP", "x": public})


async def signing(tx: Transaction, sealer: Sealer) -> Signing:
    """The key in use; made now when there is none. Call `alone` before."""
    row = await _in_use(tx.session)
    if row is None or row.sealed is None:
        return await _make(tx, sealer, actor="hub")
    return Signing(row.id, Secret(sealer.unseal(row.sealed)))


async def rotate(tx: Transaction, sealer: Sealer, *, actor: str) -> str:
    """Retire the key in use, forget its private half, and make the next; its id."""
    await alone(tx)
    row = await _in_use(tx.session)
    if row is not None:
        row.retired_at, row.sealed = clock.from_ms(await tx.now_ms()), None
        await tx.session.flush()
    return (await _make(tx, sealer, actor=actor)).id


async def public_keys(session: AsyncSession) -> KeySet:
    """Every key that ever signed, newest first."""
    rows = await session.scalars(select(ReceiptKey).order_by(ReceiptKey.created_at.desc(), ReceiptKey.id))
    return KeySet(
        keys=[
            PublicKey(
                kid=row.id,
                x=row.public,
                created_at=clock.iso(row.created_at),
                retired_at=clock.iso(row.retired_at) if row.retired_at else None,
            )
            for row in rows
        ]
    )


async def _in_use(session: AsyncSession) -> ReceiptKey | None:
    return await session.scalar(select(ReceiptKey).where(ReceiptKey.retired_at.is_(None)))


async def _make(tx: Transaction, sealer: Sealer, *, actor: str) -> Signing:
    private = signature.new_private()
    public = signature.public_of(private)
    row = ReceiptKey(
        id=thumbprint(public),
        public=public,
        sealed=sealer.seal(private.reveal()),
        created_at=clock.from_ms(await tx.now_ms()),
    )
    tx.session.add(row)
    await record(tx, actor=actor, action="receipt_key.made", subject=row.id)
    await tx.session.flush()
    return Signing(row.id, private)
