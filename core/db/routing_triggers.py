"""Notes every change of a worker that routing looks at, as DDL for both databases: what the routers' directories follow
(`core/routing/directory/follow.py`). Used by the migrations of routing. A trigger, because no writer can forget it.

`hot` is a change of the load or of what was judged, which a follower reads without the rest. On PostgreSQL `xid` is the transaction's
number, by which a follower knows that nothing before its last look can still come (sequences do not promise that).

There the columns are named twice, because an update that sets none of them then costs nothing: the comparison of a WHEN is read
and prepared anew for each statement."""

from __future__ import annotations

_PROFILE = (
    "environment", "tier", "reliability", "price_floor_msat", "capacity", "available", "payout_address",
    "languages", "cluster_id", "expert", "cool_off_until", "usual_seconds",
)  # fmt: skip
_LOAD = ("load", "idle_since", "offers_taken", "offers_missed", "answers")


def _row(side: str, names: tuple[str, ...]) -> str:
    return f"({', '.join(f'{side}.{name}' for name in names)})"


def _compared(names: tuple[str, ...], operator: str) -> str:
    return f"{_row('OLD', names)} {operator} {_row('NEW', names)}"


_NOW = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


def _sqlite(name: str, when: str, table: str, worker: str, *, hot: bool = False, only: str = "") -> str:
    condition = f"WHEN {only} " if only else ""
    values = f"{worker}, {int(hot)}, 0, {_NOW}"
    note = f"INSERT INTO worker_changes (worker_id, hot, xid, at_ms) VALUES ({values})"  # noqa: S608 - text of ours
    return f"CREATE TRIGGER {name} AFTER {when} ON {table} {condition}BEGIN {note}; END"


def _postgresql(name: str, when: str, table: str, key: str, *, hot: bool = False, only: str = "") -> str:
    condition = f"WHEN ({only}) " if only else ""
    return (
        f"CREATE TRIGGER {name} AFTER {when} ON {table} FOR EACH ROW {condition}"
        f"EXECUTE FUNCTION worker_changed('{key}', '{'t' if hot else 'f'}')"
    )


_OF_A_WORKER = tuple(
    _postgresql(
        name, f"UPDATE OF {', '.join(columns)}", "workers", "id", hot=hot, only=_compared(columns, "IS DISTINCT FROM")
    )
    for name, columns, hot in (("workers_changed", _PROFILE, False), ("workers_loaded", _LOAD, True))
)  # fmt: skip
# The same for a database whose triggers of a worker's update look at every one.
REPLACE = {
    "sqlite": (),
    "postgresql": (
        "DROP TRIGGER workers_changed ON workers",
        "DROP TRIGGER workers_loaded ON workers",
        *_OF_A_WORKER,
    ),
}

CREATE = {
    "sqlite": (
        _sqlite("workers_made", "INSERT", "workers", "NEW.id"),
        _sqlite("workers_gone", "DELETE", "workers", "OLD.id"),
        _sqlite("workers_changed", "UPDATE", "workers", "NEW.id", only=_compared(_PROFILE, "IS NOT")),
        _sqlite(
            "workers_loaded",
            "UPDATE",
            "workers",
            "NEW.id",
            hot=True,
            only=f"{_compared(_PROFILE, 'IS')} AND {_compared(_LOAD, 'IS NOT')}",
        ),
        _sqlite("worker_skills_made", "INSERT", "worker_skills", "NEW.worker_id"),
        _sqlite("worker_skills_gone", "DELETE", "worker_skills", "OLD.worker_id"),
        _sqlite("people_blocked", "UPDATE", "people", "NEW.id", only="OLD.blocked_at IS NOT NEW.blocked_at"),
        _sqlite("organisation_workers_made", "INSERT", "organisation_workers", "NEW.worker_id"),
        _sqlite("organisation_workers_changed", "UPDATE", "organisation_workers", "NEW.worker_id"),
        _sqlite("organisation_workers_gone", "DELETE", "organisation_workers", "OLD.worker_id"),
    ),
    "postgresql": (
        (
            "CREATE FUNCTION worker_changed() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE told text; BEGIN "
            "IF TG_ARGV[0] = 'id' THEN IF TG_OP = 'DELETE' THEN told := OLD.id; ELSE told := NEW.id; END IF; "
            "ELSIF TG_OP = 'DELETE' THEN told := OLD.worker_id; ELSE told := NEW.worker_id; END IF; "
            "INSERT INTO worker_changes (worker_id, hot, xid, at_ms) VALUES (told, TG_ARGV[1]::boolean, "
            "pg_current_xact_id()::text::bigint, (extract(epoch from clock_timestamp()) * 1000)::bigint); "
            "RETURN NULL; END $$"
        ),
        _postgresql("workers_made", "INSERT OR DELETE", "workers", "id"),
        *_OF_A_WORKER,
        _postgresql("worker_skills_changed", "INSERT OR DELETE", "worker_skills", "worker_id"),
        _postgresql(
            "people_blocked", "UPDATE", "people", "id", only="OLD.blocked_at IS DISTINCT FROM NEW.blocked_at"
        ),
        _postgresql(
            "organisation_workers_changed", "INSERT OR UPDATE OR DELETE", "organisation_workers", "worker_id"
        ),
    ),
}

# What was judged of a worker at a task type: a later table, in a migration of its own.
CREATE_RECORDS = {
    "sqlite": (
        _sqlite("worker_records_made", "INSERT", "worker_records", "NEW.worker_id", hot=True),
        _sqlite("worker_records_changed", "UPDATE OF good, bad", "worker_records", "NEW.worker_id", hot=True),
    ),
    "postgresql": (
        _postgresql(
            "worker_records_changed",
            "INSERT OR UPDATE OF good, bad",
            "worker_records",
            "worker_id",
            hot=True,
        ),
    ),
}
DROP_RECORDS = {
    "sqlite": ("DROP TRIGGER worker_records_made", "DROP TRIGGER worker_records_changed"),
    "postgresql": ("DROP TRIGGER worker_records_changed ON worker_records",),
}

DROP = {
    "sqlite": tuple(f"DROP TRIGGER {text.split()[2]}" for text in CREATE["sqlite"]),
    "postgresql": (
        *(
            f"DROP TRIGGER {text.split()[2]} ON {text.partition(' ON ')[2].split()[0]}"
            for text in CREATE["postgresql"][1:]
        ),
        "DROP FUNCTION worker_changed()",
    ),
}
