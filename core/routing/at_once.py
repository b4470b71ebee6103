"""The common offer on PostgreSQL in two statements: one that reads the task, one that writes all of it or nothing. Called by
`actions.offer_posted`, which goes the long way (a transaction under the task's lock) whenever this one gives up.

Nothing is locked while it reads. The write names the version of the task that was read: whatever happens to a task, its
people included, while it is `posted` or on the way there gives it another version. It takes the first of the candidates
who, in the database and now, still may have the task and whom nobody else holds. A lost race leaves a NULL in the
assignment, which the table refuses, and with it the whole statement; so does a first candidate who has everything in hand
without accepting it (`automatic.py`).

With a directory (`core/routing/directory`) the candidates come out of memory, with what is known of them; without one a scan
and what is known of whom it found are two more statements."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from core import clock, ids
from core.db.base import to_json
from core.db.engine import NOW_MS, Database
from core.db.hot import outbox_sql
from core.db.hot_callbacks import LISTENED
from core.db.quick import Quick, Refused
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease, NewJob
from core.routing import decisions
from core.routing.candidates import Asked, Asker, asked_of
from core.routing.deadlines import Deadlines
from core.routing.directory.registry import follower_of
from core.routing.eligible import may_take
from core.routing.house import for_one_alone
from core.routing.model import Policy, Question
from core.routing.offering import again_job, deadlines, lapse_at, more_jobs, seconds_of, timer_jobs_of
from core.routing.people import candidate_of, free_of
from core.routing.score import Score, best_of
from core.routing.shortlist import Shortlist, explained, named
from core.routing.statements import ALLOW_LISTED, ASSIGNMENT, TASKS
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.times import KNOWN, known_of, with_known
from core.tasks.changes import snapshot_as
from core.tasks.model import EventType
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskType, TaskTypes

if TYPE_CHECKING:
    from core.routing.directory.follow import Follower

_turns = msgspec.json.Decoder(list[tuple[str, str | None, str | None, int, str]])
_NOW = NOW_MS["postgresql"]
_LOOK = f"""
    SELECT {_NOW}, {LISTENED.format(organisation="t.organisation_id", environment="t.environment")}, o.plan, {ALLOW_LISTED},
           (SELECT json_agg(json_build_array(a.worker_id, w.payout_address, w.cluster_id, a.slot, a.state))::text
            FROM assignments a JOIN workers w ON w.id = a.worker_id WHERE a.task_id = t.id), t.xmin::text::bigint,
           {TASKS.select("t")}
    FROM tasks t JOIN organisations o ON o.id = t.organisation_id WHERE t.id = $1"""  # noqa: S608 - text of ours
# Whether the worker `w` may still have the task: what a directory believed a moment ago, asked of the database.
_STILL = """
    w.load < w.capacity AND w.available AND w.environment = $27 AND w.tier >= $28::int AND w.price_floor_msat <= $29::bigint
    AND (w.cool_off_until IS NULL OR w.cool_off_until <= $5::bigint)
    AND NOT EXISTS (SELECT 1 FROM people p WHERE p.id = w.id AND p.blocked_at IS NOT NULL)
    AND $30::text[] <@ ARRAY(SELECT s.skill FROM worker_skills s WHERE s.worker_id = w.id)
    AND (w.payout_address IS NULL OR w.payout_address <> ALL($31::text[]))
    AND (w.cluster_id IS NULL OR w.cluster_id <> ALL($32::text[]))
    AND ($33::text IS NULL OR w.languages LIKE '%"' || $33::text || '"%')
    AND ($34::int IS NULL OR w.expert OR w.tier >= $34::int)
    AND coalesce((SELECT l.kind FROM organisation_workers l WHERE l.organisation_id = $35 AND l.worker_id = w.id),
                 CASE WHEN $36::boolean THEN 'block' ELSE 'allow' END) = 'allow'"""
_JOBS = f"""
    INSERT INTO outbox (id, queue, topic, subject, body, key, due_at, created_at, state, attempts, lease_token)
    SELECT j.id, 'default', j.topic, j.subject, j.body, j.key, {_NOW} + j.delay, {_NOW}, 'pending', 0, 0
    FROM {{}} CROSS JOIN unnest({{}}) AS j (id, topic, subject, body, key, delay)
    ON CONFLICT (key) DO NOTHING"""  # noqa: S608 - text of ours


def _arrays(first: int) -> str:
    kinds = ("text", "text", "text", "text", "text", "bigint")
    return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, first))


# fmt: off
_MOVE = "UPDATE tasks SET status = 'assigned', updated_at = $5::bigint, version = tasks.version + 1"  # arch: state-by-move -- from `posted` alone, named with the version in the WHERE below
# fmt: on
# PostgreSQL plans this anew for each offer, which takes longer than running it, unless the plan for any values looks no dearer
# than that for these: hence the LIMIT, and no skill compared with a list. `|| ''` keeps the planner from the index of waiting
# tasks, which it believes to be empty when it was so once. The candidates are looked at one after the other, best first, until
# one still may: a LATERAL with OFFSET 0 is run for each row of the list in its order. Sorted by their place, all were looked
# at for the first, at twice the cost of the whole statement; out of order, it would be somebody less good and nothing worse.
_WRITE = f"""
    WITH done AS ({outbox_sql("postgresql").done}),
    held AS (
        {_MOVE} FROM done WHERE tasks.id = $3 AND tasks.status || '' = 'posted' AND tasks.version = $4::int AND tasks.funded
        RETURNING tasks.id),
    pick AS (
        SELECT w.id, c.score FROM held,
            (SELECT * FROM unnest($8::text[], $12::float8[]) LIMIT {{claims}}) AS c (worker, score)
        CROSS JOIN LATERAL (
            SELECT w.id FROM workers w WHERE w.id = c.worker AND {_STILL} FOR NO KEY UPDATE SKIP LOCKED OFFSET 0) AS w
        LIMIT 1),
    taken AS (UPDATE workers SET load = workers.load + 1 FROM pick
              WHERE workers.id = pick.id AND NOT (workers.auto_assign AND workers.tier = ANY($37::int[]))
              RETURNING workers.id, pick.score),
    given AS (
        INSERT INTO assignments ({ASSIGNMENT})
        SELECT $6, CASE WHEN held.id = $7 THEN held.id END, taken.id, $9::int, $10, $11, coalesce(taken.score, 0), $13::bigint,
               $14::bigint, $15::bigint
        FROM done LEFT JOIN held ON true LEFT JOIN taken ON true),
    told AS (
        INSERT INTO task_events (id, task_id, version, type, actor, snapshot, created_at)
        SELECT $16, held.id, $4::int + 1, $17, 'hub', $18, $5::bigint FROM held),
    jobs AS ({_JOBS.format("held", _arrays(19))}),
    noted AS (
        INSERT INTO routing_decisions (id, task_id, assignment_id, kind, slot, times, decided_at, body)
        SELECT $25, held.id, $6, $10, $9::int, 1, $5::bigint, $26 FROM held)
    SELECT taken.id FROM held JOIN taken ON true"""  # noqa: S608 - text of ours


@functools.cache
def _write(claims: int) -> str:
    return _WRITE.format(claims=claims)


_NOBODY = f"""
    WITH done AS ({outbox_sql("postgresql").done}),
    jobs AS ({_JOBS.format("done", _arrays(3))}),
    noted AS (
        INSERT INTO routing_decisions (id, task_id, kind, slot, times, decided_at, body)
        SELECT $9, $10, $11, $12::int, 1, $13::bigint, $14 FROM done
        ON CONFLICT (id) DO UPDATE SET times = routing_decisions.times + 1, decided_at = excluded.decided_at,
            body = excluded.body)
    SELECT 1 FROM done"""  # noqa: S608 - text of ours


async def offer_at_once(work: UnitOfWork, lease: Lease, types: TaskTypes, policy: Policy) -> bool:
    """True when the task is offered, or nobody can take it and that is noted, and the job done. False: nothing was
    written. Raises Unavailable."""
    async with work.quick("routing.offer") as quick:
        rows = await quick.read(_LOOK, lease.subject)
        if not rows:
            return False
        now, listened, plan, allow_listed, turns, written, *columns = rows[0]
        task = TASKS.of(columns)
        kind = types.of(task.task_type)
        if for_one_alone(task):
            return False
        if task.status != TaskStatus.POSTED or not task.funded or now >= clock.to_ms(task.hard_stop_at):
            return False
        asked = asked_of(task, kind, policy, _turns.decode(turns) if turns else [], Asker(plan, allow_listed))
        clocked = deadlines(task, kind)
        seconds_left = seconds_of(clocked, now)
        found = await _shortlist(work.database, quick, asked.question, written, now, seconds_left, policy)
        if found is None:
            return False
        scores = best_of(
            asked.question,
            found.lineup,
            seconds_left,
            policy.weights,
            max(policy.claims, decisions.SHOWN),
        )
        decision = decisions.decided(asked.question, found, scores, seconds_left, policy)
        if not scores:
            return await _nobody(quick, lease, task, clocked, policy, decision, now, asked.free_slot)
        told = listened or task.callback_url is not None
        return await _offer(
            work.database, quick, lease, task, kind, clocked, policy, asked, scores, decision, now, told
        )


async def _shortlist(
    database: Database,
    quick: Quick,
    question: Question,
    written: int,
    now: int,
    seconds_left: float,
    policy: Policy,
) -> Shortlist | None:
    """From memory: the write asks the database again. None: the scan found nobody, or who is left is just being given
    something by this process; the long way waits for them and tells why. `written`: the transaction that wrote the task.

    Before it is said that nobody may, the directory looks again, unless the task stood there as it stands now when it looked last:
    whoever became able after that look has announced it after the task was there to be found, and the job of that
    (`actions.offer_waiting`) looks itself. A task that came later may have been missed by that job."""
    follower = follower_of(database)
    if follower is not None:
        found = named(follower, question, now, seconds_left, policy, with_asked=True)
        if not found.people and not follower.saw(written):
            await follower.catch_up()
            found = named(follower, question, now, seconds_left, policy, with_asked=True)
        return found if found.people or not follower.is_asking else None
    sql, parameters = free_of(question, now, policy.candidates, "postgresql")
    read = [candidate_of(row, now) for row in await quick.read(sql, *parameters)]
    able = [worker for worker in read if may_take(question, worker)]
    if not able:
        return None
    wanted = known_of(question.environment, question.task_type, able, "postgresql")
    return explained(question, read, with_known(able, await quick.read(KNOWN["postgresql"], *wanted)))


async def _offer(
    database: Database,
    quick: Quick,
    lease: Lease,
    task: Task,
    kind: TaskType,
    clocked: Deadlines,
    policy: Policy,
    asked: Asked,
    scores: Sequence[Score],
    decision: decisions.Decision,
    now: int,
    told: bool,
) -> bool:
    assignment, event, slot, due = ids.new("asg"), ids.new("evt"), asked.free_slot, clocked.due_ms(now)
    expires = min(now + kind.offer_seconds * 1000, due)
    jobs = [*timer_jobs_of(task.id, clocked, now), lapse_at(assignment, expires - now), *more_jobs(task)]
    if told:
        jobs.append(NewJob.make("task.event", event, body=None, delay=0, queue="default", key=None))
    tried = scores[: policy.claims]
    note = decisions.row(decision, task.id, AssignmentKind.PRIMARY, slot, assignment, now)
    parameters = (
        lease.id,
        lease.token,
        task.id,
        task.version,
        now,
        assignment,
        task.id,
        [one.worker_id for one in tried],
        slot,
        str(AssignmentKind.PRIMARY),
        str(AssignmentState.OFFERED),
        [one.total for one in tried],
        now,
        expires,
        due,
        event,
        str(EventType.ASSIGNED),
        snapshot_as(task, TaskStatus.ASSIGNED, now),
        *_columns(jobs),
        note[0],
        note[-1],
        *_question(asked.question),
        sorted(policy.auto_assigned),
    )
    first = tried[0].worker_id
    if not await _taken(quick, follower_of(database), first, _write(policy.claims), parameters):
        return False
    quick.jobs = [job for job in jobs if job.delay_ms == 0]
    return True


async def _taken(
    quick: Quick, follower: Follower | None, first: str, sql: str, parameters: tuple[object, ...]
) -> bool:
    """Whether the claim was written. While it is, the first who is asked counts as loaded with it in this process."""
    asking = follower.asking(first) if follower else None
    try:
        written = await quick.write(sql, *parameters)
    except Refused:
        return False
    finally:
        if asking is not None:
            asking()
    if written and follower is not None and follower.directory is not None:
        follower.directory.took(written[0][0])
    return bool(written)


async def _nobody(
    quick: Quick,
    lease: Lease,
    task: Task,
    clocked: Deadlines,
    policy: Policy,
    decision: decisions.Decision,
    now: int,
    slot: int,
) -> bool:
    """What `actions.offer` does then: the timers, another try, and why."""
    jobs = [*timer_jobs_of(task.id, clocked, now), again_job("task.posted", task, now, policy)]
    note = decisions.row(decision, task.id, AssignmentKind.PRIMARY, slot, None, now)
    done = await quick.write(_NOBODY, lease.id, lease.token, *_columns(jobs), note[0], note[1], *note[3:])
    return bool(done)


def _columns(jobs: list[NewJob]) -> list[list[Any]]:
    rows = [(j.id, j.topic, j.subject, to_json(j.body), j.key, j.delay_ms) for j in jobs]
    return [list(column) for column in zip(*rows, strict=True)]


def _question(question: Question) -> tuple[object, ...]:
    """$27 to $36 of `_WRITE`."""
    return (
        question.environment,
        question.minimum_tier,
        question.payout_msat,
        sorted(question.skills),
        sorted(question.addresses),
        sorted(question.clusters),
        question.language,
        question.experts_from,
        question.organisation_id,
        question.allow_listed,
    )
