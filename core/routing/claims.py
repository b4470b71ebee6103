"""The claim of an offer as text for PostgreSQL, for any number of offers at once: one statement reads the tasks, one writes all of
what was decided for them, or for each of them nothing. Used by `at_once.py`, which decides.

What belongs to an offer stands in arrays, one value for each; what an offer has several of (candidates, jobs, skills) in flat
arrays, of which the offer has a slice."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from core.db.base import to_json
from core.db.engine import NOW_MS
from core.db.hot import ENDED, LEASED, for_dialect
from core.db.hot_callbacks import LISTENED
from core.outbox.rows import Lease, NewJob
from core.routing.model import Question
from core.routing.statements import ALLOW_LISTED, ASSIGNMENT, TASKS

_NOW = NOW_MS["postgresql"]


def _hidden(array: str) -> str:
    """An array whose length the planner cannot know: into what is volatile it does not look. Else a plan for these values looks
    cheaper than the one for any, and it plans anew for each statement, which takes longer than running it."""
    return f"CASE WHEN random() >= 0 THEN {array} END"


def _arrays(first: int, columns: dict[str, str]) -> str:
    """`unnest(…)` of so many parameters. The longest decides on the plan, so that it is enough to hide one."""
    one, *rest = [f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), first)]
    return f"unnest({', '.join((_hidden(one), *rest))})"


# LATERAL with OFFSET 0: each by its key, also while the tables are small. A plan made then is kept for long, and would read all.
LOOK = f"""
    SELECT t.id, {_NOW}, {LISTENED.format(organisation="t.organisation_id", environment="t.environment")}, o.plan, {ALLOW_LISTED},
           (SELECT json_agg(json_build_array(a.worker_id, w.payout_address, w.cluster_id, a.slot, a.state))::text
            FROM assignments a JOIN workers w ON w.id = a.worker_id WHERE a.task_id = t.id), t.written::text::bigint,
           {TASKS.select("t")}
    FROM {_arrays(1, {"id": "text"})} AS x (id) CROSS JOIN LATERAL (SELECT *, xmin AS written FROM tasks WHERE id = x.id OFFSET 0) AS t
    CROSS JOIN LATERAL (SELECT * FROM organisations WHERE id = t.organisation_id OFFSET 0) AS o"""  # noqa: S608 - text of ours

_OFFER = {
    "job": "text", "token": "int", "task": "text", "version": "int", "assignment": "text", "slot": "int",
    "expires": "bigint", "due": "bigint", "event": "text", "snapshot": "text", "decision": "text", "body": "text",
    "environment": "text", "tier": "int", "price": "bigint", "language": "text", "experts": "int", "organisation": "text",
    "listed": "bool",
}  # fmt: skip
_JOB = {"n": "int", "id": "text", "topic": "text", "subject": "text", "body": "text", "key": "text", "due": "bigint"}  # fmt: skip
# The first flat array: candidates, their scores, skills, addresses, clusters, tiers of auto-assignment.
_FLAT = len(_OFFER) + 1
_JOBS = _FLAT + 6
_CONSTANT = _JOBS + len(_JOB)
_TIME = f"${_CONSTANT}::bigint"
_ROLE, _STATE, _EVENT = (f"${_CONSTANT + number}" for number in (1, 2, 3))
# From where to where its candidates, skills, addresses, clusters and tiers of auto-assignment stand in the flat arrays: one that is
# alone has all.
_SLICES = {
    f"{side}{end}": _CONSTANT + 4 + place
    for place, (side, end) in enumerate(itertools.product("csalt", "12"))
}


class _Values:
    """How a statement names what an offer has: as the parameters themselves when it is `alone`, else as its place in arrays, the
    place `n`. So the rows that are handed from one part of the statement to the next carry little: of thirty columns PostgreSQL
    described each anew at every step."""

    def __init__(self, *, alone: bool):
        self.alone = alone

    def of(self, names: str) -> str:
        """Some of them, as a list."""
        place = {name: f"${number}::{kind}" for number, (name, kind) in enumerate(_OFFER.items(), 1)}
        return ", ".join(place[name] if self.alone else f"({place[name]}[])[n]" for name in names.split())

    def some(self, number: int, kind: str, side: str) -> str:
        """What it has of a flat array: all of it when it is alone."""
        if self.alone:
            return f"${number}::{kind}[]"
        first, last = (f"(${_SLICES[side + end]}::int[])[n]" for end in "12")
        return f"(${number}::{kind}[])[{first}:{last}]"


def _still(values: _Values) -> str:
    """Whether the worker `w` may still have the task of the offer `o`: what a directory believed a moment ago, asked of the
    database."""
    names = ("environment", "tier", "price", "language", "experts", "organisation", "listed")
    environment, tier, price, language, experts, organisation, listed = (values.of(name) for name in names)
    skills, addresses, clusters = (
        values.some(_FLAT + number, "text", side) for number, side in ((2, "s"), (3, "a"), (4, "l"))
    )
    return f"""
        w.load < w.capacity AND w.available AND w.environment = {environment} AND w.tier >= {tier}
        AND w.price_floor_msat <= {price} AND (w.cool_off_until IS NULL OR w.cool_off_until <= {_TIME})
        AND NOT EXISTS (SELECT 1 FROM people p WHERE p.id = w.id AND p.blocked_at IS NOT NULL)
        AND {skills} <@ ARRAY(SELECT s.skill FROM worker_skills s WHERE s.worker_id = w.id)
        AND (w.payout_address IS NULL OR w.payout_address <> ALL({addresses}))
        AND (w.cluster_id IS NULL OR w.cluster_id <> ALL({clusters}))
        AND ({language} IS NULL OR w.languages LIKE '%"' || {language} || '"%')
        AND ({experts} IS NULL OR w.expert OR w.tier >= {experts})
        AND coalesce((SELECT l.kind FROM organisation_workers l WHERE l.organisation_id = {organisation} AND l.worker_id = w.id),
                     CASE WHEN {listed} THEN 'block' ELSE 'allow' END) = 'allow'"""  # noqa: S608 - text of ours


_LEASED, _ENDED = for_dialect(LEASED, "postgresql"), for_dialect(ENDED, "postgresql")
# Whether a task waits as it was read. `|| ''` keeps the planner from the index of waiting tasks, which it believes to be empty
# when it was so once.
_POSTED = "{0}.status || '' = 'posted' AND {0}.version = {1} AND {0}.funded"


def _mine(job: str, token: str) -> str:
    return f"""
    SELECT j.id FROM outbox j WHERE j.id = {job} AND {_LEASED.format(job="j", fence=token)}
    FOR NO KEY UPDATE SKIP LOCKED OFFSET 0"""  # noqa: S608 - text of ours


def _insert_jobs(of: str, first: int, now: str, *, alone: bool = False) -> str:
    return f"""
    INSERT INTO outbox (id, queue, topic, subject, body, key, due_at, created_at, state, attempts, lease_token)
    SELECT j.id, 'default', j.topic, j.subject, j.body, j.key, j.due, {now}, 'pending', 0, 0
    FROM {of} JOIN {_arrays(first, _JOB)} AS j ({", ".join(_JOB)}) ON {"true" if alone else f"j.n = {of}.n"}
    ON CONFLICT (key) DO NOTHING"""  # noqa: S608 - text of ours


# fmt: off
_MOVE = f"UPDATE tasks SET status = 'assigned', updated_at = {_TIME}, version = tasks.version + 1"  # noqa: S608 - text of ours  # arch: state-by-move -- from `posted` alone, locked with that status and the version that was read
# fmt: on


def _many() -> str:
    """Nothing waits here for anybody: a task, a job or a worker whom somebody else holds is passed over, so that many offers in one
    statement cannot lock each other out. Two offers can find the same worker: each counts with those before it."""
    values = _Values(alone=False)
    task, version, job, token = (values.of(name) for name in ("task", "version", "job", "token"))
    return f"""
    WITH held AS MATERIALIZED (
        SELECT n FROM (SELECT n::int FROM {_arrays(1, {"job": "text"})} WITH ORDINALITY AS o (job, n) OFFSET 0) AS o
        CROSS JOIN LATERAL (
            SELECT t.id FROM tasks t WHERE t.id = {task} AND {_POSTED.format("t", version)}
            FOR NO KEY UPDATE SKIP LOCKED OFFSET 0) AS t
        CROSS JOIN LATERAL ({_mine(job, token)}) AS j),
    pick AS MATERIALIZED (SELECT n, w.* FROM held CROSS JOIN LATERAL ({_pick(values)}) AS w),
    won AS MATERIALIZED (
        SELECT n, worker, score FROM (SELECT *, row_number() OVER (PARTITION BY worker ORDER BY n) AS place FROM pick) AS p
        WHERE place <= more AND NOT automatic),
    taken AS (
        UPDATE workers SET load = workers.load + f.more FROM (SELECT worker, count(*)::int AS more FROM won GROUP BY worker) AS f
        WHERE workers.id = f.worker),
    done AS (UPDATE outbox SET {_ENDED} FROM won WHERE outbox.id = {job}),
    moved AS ({_MOVE} FROM won WHERE tasks.id = {task}),
    given AS (
        INSERT INTO assignments ({ASSIGNMENT})
        SELECT {values.of("assignment task")}, worker, {_given(values)} FROM won),
    {_beside(values)}
    SELECT n, worker FROM won"""  # noqa: S608 - text of ours


def _alone() -> str:
    """The same for one offer, cheaper: nothing is locked before it is written, so that it waits for whoever holds its task or its
    job. What is not there any more, or nobody, leaves a NULL in the assignment, which the table refuses, and with it all."""
    values = _Values(alone=True)
    job, token, task, version = (values.of(name) for name in ("job", "token", "task", "version"))
    return f"""
    WITH done AS (
        UPDATE outbox SET {_ENDED} WHERE id = {job} AND {_LEASED.format(job="outbox", fence=token)} RETURNING id),
    held AS ({_MOVE} FROM done WHERE tasks.id = {task} AND {_POSTED.format("tasks", version)} RETURNING tasks.id),
    pick AS MATERIALIZED (SELECT w.* FROM held CROSS JOIN LATERAL ({_pick(values)}) AS w),
    won AS MATERIALIZED (SELECT 1 AS n, worker, score FROM pick WHERE NOT automatic),
    taken AS (UPDATE workers SET load = workers.load + 1 FROM won WHERE workers.id = won.worker),
    given AS (
        INSERT INTO assignments ({ASSIGNMENT})
        SELECT {values.of("assignment task")}, won.worker, {_given(values)} FROM done LEFT JOIN won ON true),
    {_beside(values)}
    SELECT n, worker FROM won"""  # noqa: S608 - text of ours


def _pick(values: _Values) -> str:
    """The candidates are looked at one after the other, best first, until one still may: a LATERAL with OFFSET 0 is run for each
    row of the list in its order. Sorted by their place, all were looked at for the first, at twice the cost of everything."""
    candidates = f"{_hidden(values.some(_FLAT, 'text', 'c'))}, {values.some(_FLAT + 1, 'float8', 'c')}"
    return f"""
        SELECT w.id AS worker, c.score, w.capacity - w.load AS more,
               w.auto_assign AND w.tier = ANY({values.some(_FLAT + 5, "int", "t")}) AS automatic
        FROM unnest({candidates}) AS c (worker, score)
        CROSS JOIN LATERAL (
            SELECT w.id, w.load, w.capacity, w.tier, w.auto_assign FROM workers w WHERE w.id = c.worker AND {_still(values)}
            FOR NO KEY UPDATE SKIP LOCKED OFFSET 0) AS w
        LIMIT 1"""  # noqa: S608 - text of ours


def _given(values: _Values) -> str:
    """The columns of an assignment behind its worker."""
    rest = ", ".join((_TIME, values.of("expires due")))
    return f"{values.of('slot')}, {_ROLE}, {_STATE}, coalesce(score, 0), {rest}"


def _beside(values: _Values) -> str:
    """What is written beside an assignment: the task's event, its jobs, and why."""
    return f"""
    told AS (
        INSERT INTO task_events (id, task_id, version, type, actor, snapshot, created_at)
        SELECT {values.of("event task version")} + 1, {_EVENT}, 'hub', {values.of("snapshot")}, {_TIME} FROM won),
    jobs AS ({_insert_jobs("won", _JOBS, _TIME, alone=values.alone)}),
    noted AS (
        INSERT INTO routing_decisions (id, task_id, assignment_id, kind, slot, times, decided_at, body)
        SELECT {values.of("decision task assignment")}, {_ROLE}, {values.of("slot")}, 1, {_TIME},
               {values.of("body")} FROM won)"""  # noqa: S608 - text of ours


_ALONE, _MANY = _alone(), _many()

_NOBODY = {"n": "int", "job": "text", "token": "int", "task": "text", "slot": "int", "decision": "text", "body": "text"}  # fmt: skip
_NOBODY_JOBS = len(_NOBODY) + 1
_NOBODY_CONSTANT = _NOBODY_JOBS + len(_JOB)  # now, kind
_NOBODY_TIME = f"${_NOBODY_CONSTANT}::bigint"
NOBODY = f"""
    WITH held AS MATERIALIZED (
        SELECT o.* FROM {_arrays(1, _NOBODY)} AS o ({", ".join(_NOBODY)}) CROSS JOIN LATERAL ({_mine("o.job", "o.token")}) AS j),
    done AS (UPDATE outbox SET {_ENDED} FROM held WHERE outbox.id = held.job),
    jobs AS ({_insert_jobs("held", _NOBODY_JOBS, _NOBODY_TIME)}),
    noted AS (
        INSERT INTO routing_decisions (id, task_id, kind, slot, times, decided_at, body)
        SELECT decision, task, ${_NOBODY_CONSTANT + 1}, slot, 1, {_NOBODY_TIME}, body FROM held
        ON CONFLICT (id) DO UPDATE SET times = routing_decisions.times + 1, decided_at = excluded.decided_at,
            body = excluded.body)
    SELECT n FROM held"""  # noqa: S608 - text of ours


class Offer(NamedTuple):
    """What one offer would write. `tried` are the candidates that the database is asked about, best first, with their scores; the
    times are milliseconds UTC. Somebody of the tiers `automatic` who has switched it on is left to the long way."""

    lease: Lease
    task_id: str
    version: int
    assignment: str
    slot: int
    expires_ms: int
    due_ms: int
    event: str
    snapshot: str
    decision: str
    body: str
    question: Question
    tried: Sequence[tuple[str, float]]
    automatic: Sequence[int]
    jobs: Sequence[NewJob]


class Nobody(NamedTuple):
    """What is written when nobody can take a task."""

    lease: Lease
    task_id: str
    slot: int
    decision: str
    body: str
    jobs: Sequence[NewJob]


class _Flat:
    """Several lists behind each other, and from where to where each of them goes, as PostgreSQL counts: from 1, both ends in."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, values: Sequence[Any]) -> tuple[int, int]:
        first = len(self.values) + 1
        self.values.extend(values)
        return first, len(self.values)


def write(offers: Sequence[Offer], now: int, words: Sequence[str]) -> tuple[str, list[object]]:
    """The statement and its parameters. It gives the number of each offer that was written, and the worker who has it. `words`:
    role, state, type of the event."""
    people, scores, skills, addresses, clusters, tiers = flat = tuple(_Flat() for _ in range(6))
    rows: list[tuple[object, ...]] = []
    slices: list[tuple[object, ...]] = []
    for one in offers:
        asks = one.question
        rows.append(
            (
                one.lease.id, one.lease.token, one.task_id, one.version, one.assignment, one.slot, one.expires_ms,
                one.due_ms, one.event, one.snapshot, one.decision, one.body, asks.environment, asks.minimum_tier,
                asks.payout_msat, asks.language, asks.experts_from, asks.organisation_id, asks.allow_listed,
            )
        )  # fmt: skip
        scores.add([score for _, score in one.tried])
        slices.append(
            (
                *people.add([worker for worker, _ in one.tried]), *skills.add(sorted(asks.skills)),
                *addresses.add(sorted(asks.addresses)), *clusters.add(sorted(asks.clusters)), *tiers.add(one.automatic),
            )
        )  # fmt: skip
    rest = (*(one.values for one in flat), *_jobs(offers, now), now, *words)
    if len(offers) == 1:
        return _ALONE, [*rows[0], *rest]
    return _MANY, [*_columns(rows), *rest, *_columns(slices)]


def nobody_parameters(found: Sequence[Nobody], now: int, role: str) -> list[object]:
    """Those of `NOBODY`."""
    rows = [
        (number, one.lease.id, one.lease.token, one.task_id, one.slot, one.decision, one.body)
        for number, one in enumerate(found, 1)
    ]
    return [*_columns(rows), *_jobs(found, now), now, role]


def _jobs(of: Sequence[Offer] | Sequence[Nobody], now: int) -> list[list[object]]:
    return _columns(
        [
            (number, job.id, job.topic, job.subject, to_json(job.body), job.key, now + job.delay_ms)
            for number, one in enumerate(of, 1)
            for job in one.jobs
        ]
    )


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


decode_turns = msgspec.json.Decoder(list[tuple[str, str | None, str | None, int, str]]).decode
