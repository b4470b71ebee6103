"""The few statements that run for every delivery, task and job, as text for the driver, in both dialects.
The ORM costs 4.4 times the bare path; everything that runs less often uses it."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec

from core.db.engine import NOW_MS

if TYPE_CHECKING:
    from core.db.unit_of_work import Transaction


def for_dialect(sql: str, dialect: str) -> str:
    """`$1` placeholders and `NOW_MS` as this driver wants them. SQLite takes `?1`, which may repeat like `$1`."""
    sql = sql.replace("NOW_MS", NOW_MS[dialect])
    return re.sub(r"\$(\d+)(::\w+(\[\])?)?", r"?\1", sql) if dialect == "sqlite" else sql


class OutboxSql(msgspec.Struct, frozen=True, kw_only=True):
    insert: str
    lease: str
    renew: str
    done: str
    later: str
    dead: str
    redrive: str
    due: str


_OUTBOX = OutboxSql(
    insert="""
        INSERT INTO outbox (id, queue, topic, subject, body, key, due_at, created_at, state, attempts, lease_token)
        VALUES ($1, $2, $3, $4, $5, $6, NOW_MS + $7::bigint, NOW_MS, 'pending', 0, 0)
        ON CONFLICT (key) DO NOTHING""",
    lease="""
        UPDATE outbox SET state = 'leased', lease_until = NOW_MS + $1::bigint, lease_token = lease_token + 1,
               attempts = attempts + 1
        WHERE id = $2 AND due_at <= NOW_MS
          AND (state = 'pending' OR (state = 'leased' AND lease_until < NOW_MS))
        RETURNING lease_token, queue, topic, subject, body, attempts, lease_until, NOW_MS - created_at""",
    renew="""
        UPDATE outbox SET lease_until = NOW_MS + $1::bigint
        WHERE id = $2 AND lease_token = $3 AND state = 'leased' AND lease_until >= NOW_MS""",
    done="""
        UPDATE outbox SET state = 'done', ended_at = NOW_MS, lease_until = NULL
        WHERE id = $1 AND lease_token = $2 AND state = 'leased' AND lease_until >= NOW_MS""",
    later="""
        UPDATE outbox SET state = 'pending', due_at = NOW_MS + $1::bigint, lease_until = NULL, last_error = $2
        WHERE id = $3 AND lease_token = $4 AND state = 'leased'""",
    dead="""
        UPDATE outbox SET state = 'dead', ended_at = NOW_MS, lease_until = NULL, last_error = $1
        WHERE id = $2 AND lease_token = $3 AND state = 'leased'""",
    redrive="""
        UPDATE outbox SET state = 'pending', due_at = NOW_MS, attempts = 0, ended_at = NULL
        WHERE id = $1 AND state = 'dead'""",
    due="""
        SELECT id FROM outbox
        WHERE queue = $1 AND state IN ('pending', 'leased') AND due_at <= NOW_MS
          AND (state = 'pending' OR lease_until < NOW_MS)
        ORDER BY due_at LIMIT $2""",
)


@functools.cache
def outbox_sql(dialect: str) -> OutboxSql:
    return msgspec.convert(
        {name: for_dialect(sql, dialect) for name, sql in msgspec.structs.asdict(_OUTBOX).items()}, OutboxSql
    )


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """A table that is filled in batches: its name, its columns with their PostgreSQL types, and what comes back."""

    table: str
    types: dict[str, str]
    returning: str | None = None


async def insert_many(tx: Transaction, columns: Columns, rows: list[tuple[Any, ...]]) -> set[Any]:
    """Insert all rows in one statement, skipping those that a unique constraint already has; the `returning` column
    of those that went in. One round trip for any number of rows, which is what makes a group commit cheap."""
    if not rows:
        return set()
    names = ", ".join(columns.types)
    tail = "ON CONFLICT DO NOTHING" + (f" RETURNING {columns.returning}" if columns.returning else "")
    if tx.dialect == "postgresql":
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(columns.types.values(), 1))
        sql = f"INSERT INTO {columns.table} ({names}) SELECT * FROM unnest({arrays}) {tail}"  # noqa: S608 - names are ours
        result = await tx.execute(sql, tuple(list(column) for column in zip(*rows, strict=True)))
        return {row[0] for row in result} if columns.returning else set()
    inserted: set[Any] = set()
    per_statement = max(1, 30_000 // len(columns.types))  # SQLite takes 32,766 parameters
    for start in range(0, len(rows), per_statement):
        chunk = rows[start : start + per_statement]
        one = f"({', '.join('?' * len(columns.types))})"
        values = ", ".join([one] * len(chunk))
        sql = f"INSERT INTO {columns.table} ({names}) VALUES {values} {tail}"  # noqa: S608 - names are ours
        result = await tx.execute(sql, tuple(value for row in chunk for value in row))
        if columns.returning:
            inserted.update(row[0] for row in result)
    return inserted


INBOUND = Columns(
    table="inbound_events",
    types={
        "id": "text",
        "connector": "text",
        "delivery_id": "text",
        "event_type": "text",
        "headers": "text",
        "body": "bytea",
        "verified_by": "int",
        "received_at": "bigint",
        "state": "text",
    },
    returning="id",
)

TASKS = Columns(
    table="tasks",
    types={
        "id": "text",
        "organisation_id": "text",
        "environment": "text",
        "idempotency_key": "text",
        "request_digest": "text",
        "status": "text",
        "task_type": "text",
        "risk_tier": "text",
        "sla_seconds": "int",
        "payload": "text",
        "output_schema": "text",
        "skills": "text",
        "payout_currency": "text",
        "payout_amount": "text",
        "callback_url": "text",
        "metadata": "text",
        "connector": "text",
        "ticket_id": "text",
        "escalation_key": "text",
        "funded": "bool",
        "reserved_msat": "bigint",
        "fee_msat": "bigint",
        "payout_msat": "bigint",
        "reroutes": "int",
        "answers_wanted": "int",
        "version": "int",
        "created_at": "bigint",
        "updated_at": "bigint",
        "expires_at": "bigint",
        "hard_stop_at": "bigint",
    },
    returning="id",
)

TASK_EVENTS = Columns(
    table="task_events",
    types={
        "id": "text",
        "task_id": "text",
        "version": "int",
        "type": "text",
        "actor": "text",
        "snapshot": "text",
        "created_at": "bigint",
    },
)

TRANSFERS = Columns(
    table="ledger_transfers",
    types={
        "id": "text",
        "debit_account": "text",
        "credit_account": "text",
        "amount_msat": "bigint",
        "kind": "text",
        "subject": "text",
        "created_at": "bigint",
    },
)

IDEMPOTENCY = Columns(
    table="idempotency_records",
    types={
        "organisation_id": "text",
        "environment": "text",
        "method": "text",
        "path": "text",
        "key": "text",
        "digest": "text",
        "status_code": "int",
        "body": "bytea",
        "created_at": "bigint",
    },
    returning="key",
)
