"""The few statements that run for every delivery, task and job, as text for the driver (the ORM costs 4.4 times it)."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec

from core.db.engine import NOW_MS

if TYPE_CHECKING:
    from core.db.unit_of_work import Transaction


@functools.lru_cache(maxsize=1024)
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


# How a job ends, and whether its lease is this process's still: here for one, in `core/routing/claims.py` for many.
ENDED = "state = 'done', ended_at = NOW_MS, lease_until = NULL"
LEASED = "{job}.lease_token = {fence} AND {job}.state = 'leased' AND {job}.lease_until >= NOW_MS"
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
    renew=f"""
        UPDATE outbox SET lease_until = NOW_MS + $1::bigint
        WHERE id = $2 AND {LEASED.format(job="outbox", fence="$3")} RETURNING NOW_MS""",  # noqa: S608 - text of ours
    done=f"""
        UPDATE outbox SET {ENDED} WHERE id = $1 AND {LEASED.format(job="outbox", fence="$2")} RETURNING NOW_MS""",  # noqa: S608 - text of ours
    later="""
        UPDATE outbox SET state = 'pending', due_at = NOW_MS + $1::bigint, lease_until = NULL, last_error = $2
        WHERE id = $3 AND lease_token = $4 AND state = 'leased'""",
    dead="""
        UPDATE outbox SET state = 'dead', ended_at = NOW_MS, lease_until = NULL, last_error = $1
        WHERE id = $2 AND lease_token = $3 AND state = 'leased'""",
    redrive="""
        UPDATE outbox SET state = 'pending', due_at = NOW_MS, attempts = 0, ended_at = NULL WHERE id = $1 AND state = 'dead'""",
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
    """All rows in one round trip, without those that a unique constraint has; the `returning` column of the rest."""
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


async def insert_jobs(tx: Transaction, rows: list[tuple[Any, ...]]) -> None:
    """Outbox rows (id, queue, topic, subject, body, key, delay in ms), all in one statement on PostgreSQL."""
    if tx.dialect == "postgresql":
        await tx.execute(_JOBS, tuple(list(column) for column in zip(*rows, strict=True)))
    else:
        await tx.execute(outbox_sql(tx.dialect).insert, rows)


_JOBS = f"""
    INSERT INTO outbox (id, queue, topic, subject, body, key, due_at, created_at, state, attempts, lease_token)
    SELECT id, queue, topic, subject, body, key, {NOW_MS["postgresql"]} + delay, {NOW_MS["postgresql"]}, 'pending', 0, 0
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
        AS j (id, queue, topic, subject, body, key, delay)
    ON CONFLICT (key) DO NOTHING"""  # noqa: S608 - text of ours


# Which of the wanted (organisation, environment, idempotency key) exist, and for which request.
_KNOWN = {
    "postgresql": """
        SELECT t.organisation_id, t.environment, t.idempotency_key, t.request_digest, t.id
        FROM unnest($1::text[], $2::text[], $3::text[]) AS w (organisation, environment, key) CROSS JOIN LATERAL (
            SELECT * FROM tasks WHERE organisation_id = w.organisation AND environment = w.environment
                AND idempotency_key = w.key LIMIT 1) t""",  # one look into the index for each, whatever the planner thinks
    "sqlite": """
        SELECT t.organisation_id, t.environment, t.idempotency_key, t.request_digest, t.id FROM json_each(?1) w JOIN tasks t
        ON t.organisation_id = w.value ->> 0 AND t.environment = w.value ->> 1 AND t.idempotency_key = w.value ->> 2""",
}


async def known_tasks(
    tx: Transaction, names: list[tuple[str, str, str]]
) -> dict[tuple[str, str, str], tuple[str, str]]:
    """name -> (digest of its request, task id), for the names that are taken."""
    if tx.dialect == "postgresql":
        parameters = tuple(list(column) for column in zip(*names, strict=True))
    else:
        parameters = (msgspec.json.encode(names).decode(),)
    found = await tx.execute(_KNOWN[tx.dialect], parameters)
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in found}


_HELD = {
    "postgresql": f"""
        SELECT id, credits_msat - debits_msat, {NOW_MS["postgresql"]} FROM ledger_accounts WHERE id = ANY($1::text[])
        ORDER BY id FOR UPDATE""",  # noqa: S608 - text of ours
    "sqlite": f"""
        SELECT id, credits_msat - debits_msat, {NOW_MS["sqlite"]} FROM ledger_accounts
        WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id""",  # noqa: S608 - text of ours
}


async def held_balances(tx: Transaction, accounts: list[str]) -> dict[str, int]:
    """`core.ledger.post.balances` as a hot statement, which reads the clock on the way."""
    wanted = accounts if tx.dialect == "postgresql" else msgspec.json.encode(accounts).decode()
    found = (await tx.execute(_HELD[tx.dialect], (wanted,))).all()
    if found:
        tx.saw_now(found[0][2])
    return {row[0]: row[1] for row in found}


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
        "fee_minimum_msat": "bigint",
        "spread_msat": "bigint",
        "payout_msat": "bigint",
        "language": "text",
        "answers_wanted": "int",
        "answers_max": "int",
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


# Any number of deliveries and their jobs in one round trip: id, connector, delivery_id, event_type, headers, body, …, job.
RECEIVE = f"""
    WITH wanted AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::int[], $8::text[])
            AS d (id, connector, delivery_id, event_type, headers, body, verified_by, job)),
    stored AS (
        INSERT INTO inbound_events
            (id, connector, delivery_id, event_type, headers, body, verified_by, received_at, state)
        SELECT id, connector, delivery_id, event_type, headers, body, verified_by, {NOW_MS["postgresql"]}, 'received'
        FROM wanted ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO outbox (id, queue, topic, subject, body, due_at, created_at, state, attempts, lease_token)
    SELECT job, 'default', 'inbound.received', id, '{{}}', {NOW_MS["postgresql"]}, {NOW_MS["postgresql"]}, 'pending', 0, 0
    FROM wanted JOIN stored USING (id) RETURNING subject"""  # noqa: S608 - text of ours


# Balance, the clock, whether older tasks of the organisation wait for money (nobody overtakes them), whether it listens.
HELD_NOW = f"""
    SELECT id, credits_msat - debits_msat, {NOW_MS["postgresql"]},
           EXISTS (SELECT 1 FROM tasks WHERE organisation_id = split_part(ledger_accounts.id, ':', 1)
                   AND environment = split_part(ledger_accounts.id, ':', 2)
                   AND funded = false AND status IN ('posted', 'assigned', 'submitted')),
           EXISTS (SELECT 1 FROM callback_endpoints WHERE organisation_id = split_part(ledger_accounts.id, ':', 1)
                   AND environment = split_part(ledger_accounts.id, ':', 2) AND disabled_at IS NULL)
    FROM ledger_accounts WHERE id = ANY($1::text[])"""  # noqa: S608 - text of ours

_JOBS_OF = Columns(table="outbox", types={"id": "text", "topic": "text", "subject": "text", "task": "text"})


async def insert_tasks(
    tx: Transaction,
    tasks: list[tuple[Any, ...]],
    transfers: list[tuple[Any, ...]],
    events: list[tuple[Any, ...]],
) -> set[str]:
    """Tasks whose keys are free, with the transfers and events that belong to them; the ids of those that went in."""
    if tx.dialect == "postgresql":
        return {row[0] for row in await tx.execute(CREATE, create_columns(tasks, transfers, events, []))}
    inserted = await insert_many(tx, TASKS, tasks)
    await insert_many(tx, TRANSFERS, [row for row in transfers if row[5] in inserted])
    await insert_many(tx, TASK_EVENTS, [row for row in events if row[1] in inserted])
    return inserted


def create_columns(
    tasks: list[tuple[Any, ...]],
    transfers: list[tuple[Any, ...]],
    events: list[tuple[Any, ...]],
    jobs: list[tuple[Any, ...]],
) -> tuple[list[Any], ...]:
    """The parameters of `CREATE`; `jobs` are (id, topic, subject, task id)."""
    tables = ((TASKS, tasks), (TRANSFERS, transfers), (TASK_EVENTS, events), (_JOBS_OF, jobs))
    found: list[list[Any]] = []
    for table, rows in tables:
        found.extend([row[n] for row in rows] for n in range(len(table.types)))
    return tuple(found)


def _create_sql() -> str:
    first = 1

    def source(columns: Columns) -> str:
        nonlocal first
        arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(columns.types.values(), first))
        first += len(columns.types)
        return f"unnest({arrays}) AS x ({', '.join(columns.types)})"

    def insert(columns: Columns) -> str:
        names = ", ".join(columns.types)
        return f"INSERT INTO {columns.table} ({names}) SELECT {', '.join('x.' + name for name in columns.types)} FROM {source(columns)}"  # noqa: S608 - names and text are ours

    now = NOW_MS["postgresql"]  # transfers in the order of accounts: two processes lock them alike
    return f"""
        WITH stored AS ({insert(TASKS)} ON CONFLICT DO NOTHING RETURNING id),
        reserved AS ({insert(TRANSFERS)} JOIN stored ON stored.id = x.subject ORDER BY x.debit_account),
        told AS ({insert(TASK_EVENTS)} JOIN stored ON stored.id = x.task_id),
        jobs AS (
            INSERT INTO outbox (id, queue, topic, subject, body, due_at, created_at, state, attempts, lease_token)
            SELECT x.id, 'default', x.topic, x.subject, '{{}}', {now}, {now}, 'pending', 0, 0
            FROM {source(_JOBS_OF)} JOIN stored ON stored.id = x.task)
        SELECT id FROM stored"""  # noqa: S608 - text of ours


CREATE = _create_sql()
