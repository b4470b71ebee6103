"""One worker as the database tells the directory: the query, and its rows. Used by `follow.py` to read all of them or
those that changed."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from core.db.hot import for_dialect


class Entry(NamedTuple):
    """`skills`, `languages` and `words` as the JSON text of a list; a word is [organisation, allow | block]. Times are
    milliseconds."""

    worker_id: str
    environment: str
    available: bool
    tier: int
    reliability: float
    price_floor_msat: int
    capacity: int
    load: int
    payout_address: str | None
    idle_since: int
    languages: str
    cluster_id: str | None
    expert: bool
    cool_off_until: int | None
    usual_seconds: int | None
    offers_taken: int
    offers_missed: int
    answers: int
    skills: str | None
    words: str | None


_COLUMNS = """
    w.id, w.environment, w.available AND p.blocked_at IS NULL, w.tier, w.reliability, w.price_floor_msat, w.capacity,
    w.load, w.payout_address, w.idle_since, w.languages, w.cluster_id, w.expert, w.cool_off_until, w.usual_seconds,
    w.offers_taken, w.offers_missed, w.answers"""
_LISTS = {
    "postgresql": """
        (SELECT json_agg(s.skill)::text FROM worker_skills s WHERE s.worker_id = w.id),
        (SELECT json_agg(json_build_array(o.organisation_id, o.kind))::text FROM organisation_workers o
         WHERE o.worker_id = w.id)""",
    "sqlite": """
        (SELECT json_group_array(s.skill) FROM worker_skills s WHERE s.worker_id = w.id),
        (SELECT json_group_array(json_array(o.organisation_id, o.kind)) FROM organisation_workers o
         WHERE o.worker_id = w.id)""",
}
# For all of them at once a join by hash is many times quicker than a look into the index for each.
_LISTS_OF_ALL = "s.skills, o.words"
_JOINS_OF_ALL = {
    "postgresql": """
        LEFT JOIN (SELECT worker_id, json_agg(skill)::text AS skills FROM worker_skills GROUP BY worker_id) s
            ON s.worker_id = w.id
        LEFT JOIN (SELECT worker_id, json_agg(json_build_array(organisation_id, kind))::text AS words
                   FROM organisation_workers GROUP BY worker_id) o ON o.worker_id = w.id""",
    "sqlite": """
        LEFT JOIN (SELECT worker_id, json_group_array(skill) AS skills FROM worker_skills GROUP BY worker_id) s
            ON s.worker_id = w.id
        LEFT JOIN (SELECT worker_id, json_group_array(json_array(organisation_id, kind)) AS words
                   FROM organisation_workers GROUP BY worker_id) o ON o.worker_id = w.id""",
}
_AMONG = {"postgresql": "= ANY($1::text[])", "sqlite": "IN (SELECT value FROM json_each(?1))"}


def _some(dialect: str) -> str:
    return for_dialect(
        f"SELECT {_COLUMNS}, {_LISTS[dialect]} FROM workers w JOIN people p ON p.id = w.id "  # noqa: S608 - text of ours
        f"WHERE w.id {_AMONG[dialect]}",
        dialect,
    )


def _all(dialect: str) -> str:
    """In the order in which routing looks at people: the most reliable first."""
    return (
        f"SELECT {_COLUMNS}, {_LISTS_OF_ALL} FROM workers w JOIN people p ON p.id = w.id {_JOINS_OF_ALL[dialect]} "  # noqa: S608 - text of ours
        "ORDER BY w.reliability DESC, w.id"
    )


SOME = {dialect: _some(dialect) for dialect in ("postgresql", "sqlite")}
ALL = {dialect: _all(dialect) for dialect in ("postgresql", "sqlite")}
LOADS = {
    dialect: "SELECT id, load, idle_since, offers_taken, offers_missed, answers FROM workers "  # noqa: S608 - text of ours
    f"WHERE id {_AMONG[dialect]}"
    for dialect in ("postgresql", "sqlite")
}


def names(worker_ids: list[str], dialect: str) -> Any:
    """The parameter of `SOME` and `LOADS`."""
    return worker_ids if dialect == "postgresql" else msgspec.json.encode(worker_ids).decode()
