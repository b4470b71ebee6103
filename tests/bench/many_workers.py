"""Very many workers in a database within a minute or so: made by the database itself, with the rows' triggers and foreign
keys switched off meanwhile. Used by the benchmarks of routing."""

from __future__ import annotations

import asyncpg

PAYOUT_MSAT = 1_000_000

# Person n is always the same one, whatever the size. Skills: 3 to 6 of 64, low numbers are popular. A worker's hash spreads
# what the number alone would put in order.
_PEOPLE = """
    INSERT INTO people (id, role, name, email, created_at)
    SELECT 'per_b' || lpad(n::text, 8, '0'), 'worker', 'Worker ' || n, 'b' || n || '@bench.example', 0
    FROM generate_series($1::int, $2::int) n"""
_WORKERS = """
    INSERT INTO workers (id, environment, tier, reliability, price_floor_msat, capacity, load, available, payout_address,
                         idle_since, languages)
    SELECT 'per_b' || lpad(n::text, 8, '0'), 'test', CASE WHEN h % 10 < 5 THEN 1 WHEN h % 10 < 8 THEN 2 ELSE 3 END,
           0.5 + (h % 4900) / 10000.0, 10000 + (h % 1900) * 1000, 1 + h % 3, 0, (h % 5) < 3, 'b' || n || '@sandbox.test',
           (extract(epoch from now()) * 1000)::bigint - h % 7200000,
           CASE h % 4 WHEN 0 THEN '["de"]' WHEN 1 THEN '["en"]' ELSE '[]' END
    FROM (SELECT n, abs(hashint4(n)::bigint) AS h FROM generate_series($1::int, $2::int) n) x"""
_SKILLS = """
    INSERT INTO worker_skills (worker_id, skill)
    SELECT DISTINCT 'per_b' || lpad(n::text, 8, '0'), 's' || floor(64 * ((abs(hashint8(n * 31 + k)) % 10000) / 10000.0) ^ 2)::int
    FROM generate_series($1::bigint, $2::bigint) n, generate_series(1, 5) k"""
_ALSO = """
    INSERT INTO worker_skills (worker_id, skill) SELECT 'per_b' || lpad(n::text, 8, '0'), $3
    FROM generate_series($1::int, $2::int) n WHERE n % 4 = 0"""


# Filled without their indexes, which are built after: a million rows sorted once in place of a million places looked up.
_TABLES = ("people", "workers", "worker_skills")
_INDEXES = f"""
    SELECT i.indexname, i.indexdef, c.conname, pg_get_constraintdef(c.oid) AS definition, i.tablename FROM pg_indexes i
    LEFT JOIN pg_constraint c ON c.conname = i.indexname AND c.contype IN ('p', 'u')
    WHERE i.schemaname = 'public' AND i.tablename IN {_TABLES}
      AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexname::regclass)"""


async def grow(url: str, before: int, size: int, also: str | None = None) -> None:
    """From `before` workers to `size`; every fourth has the skill `also`."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET statement_timeout = 0; SET session_replication_role = replica")
        await connection.execute(
            "SET synchronous_commit = off; SET maintenance_work_mem = '512MB'; SET work_mem = '512MB'"
        )
        async with connection.transaction():
            indexes = await connection.fetch(_INDEXES)
            for one in indexes:
                await connection.execute(
                    f"ALTER TABLE {one['tablename']} DROP CONSTRAINT {one['conname']}"
                    if one["conname"]
                    else f"DROP INDEX {one['indexname']}"
                )
            for sql in (_PEOPLE, _WORKERS, _SKILLS):
                await connection.execute(sql, before + 1, size)
            if also is not None:
                await connection.execute(_ALSO, before + 1, size, also)
            for one in indexes:
                await connection.execute(
                    f"ALTER TABLE {one['tablename']} ADD CONSTRAINT {one['conname']} {one['definition']}"
                    if one["conname"]
                    else one["indexdef"]
                )
        await connection.execute("SET session_replication_role = DEFAULT")
        for table in _TABLES:
            await connection.execute(f"VACUUM ANALYZE {table}")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
