"""The common offer on PostgreSQL in three statements: two that read, one that writes all of it or nothing. Called by
`actions.offer_posted`, which goes the long way (a transaction under the task's lock) whenever this one gives up.

Nothing is locked while it reads. The write names the version of the task that was read: whatever happens to a task, its
people included, while it is `posted` or on the way there gives it another version. A lost race for the task or for the
worker leaves a NULL in the assignment, which the table refuses, and with it the whole statement."""

from __future__ import annotations

from core import clock, ids
from core.db.base import to_json
from core.db.engine import NOW_MS
from core.db.hot import outbox_sql
from core.db.hot_callbacks import LISTENED
from core.db.quick import Refused
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease, NewJob
from core.routing.candidates import able_of, asked_of
from core.routing.model import Policy
from core.routing.offering import best_of, lapse_job, offered, timer_jobs
from core.routing.statements import ASSIGNMENT, TASK, TURNS, assignment_row, free_of, task_of
from core.routing.states import AssignmentKind
from core.routing.tables import Assignment
from core.tasks.changes import snapshot_as
from core.tasks.model import EventType
from core.tasks.states import TaskStatus
from core.tasks.tables import Task
from core.tasks.types import TaskTypes

_LOOK = f"""
    SELECT {NOW_MS["postgresql"]}, {LISTENED.format(organisation="t.organisation_id", environment="t.environment")},
           {", ".join(f"t.{name}" for name in TASK)} FROM tasks t WHERE t.id = $1"""  # noqa: S608 - text of ours
# fmt: off
_MOVE = "UPDATE tasks SET status = 'assigned', updated_at = $5::bigint, version = tasks.version + 1"  # arch: state-by-move -- from `posted` alone, named with the version in the WHERE below
# fmt: on
_WRITE = f"""
    WITH done AS ({outbox_sql("postgresql").done}),
    held AS (
        {_MOVE} FROM done WHERE tasks.id = $3 AND tasks.status = 'posted' AND tasks.version = $4::int AND tasks.funded
        RETURNING tasks.id),
    taken AS (
        UPDATE workers SET load = load + 1 FROM held
        WHERE workers.id = $8 AND workers.load < workers.capacity AND workers.available RETURNING workers.id),
    given AS (
        INSERT INTO assignments ({ASSIGNMENT})
        SELECT $6, CASE WHEN held.id = $7 THEN held.id END, taken.id, $9::int, $10, $11, $12::float8, $13::bigint,
               $14::bigint, $15::bigint
        FROM done LEFT JOIN held ON true LEFT JOIN taken ON true),
    told AS (
        INSERT INTO task_events (id, task_id, version, type, actor, snapshot, created_at)
        SELECT $16, held.id, $4::int + 1, $17, 'hub', $18, $5::bigint FROM held),
    jobs AS (
        INSERT INTO outbox (id, queue, topic, subject, body, key, due_at, created_at, state, attempts, lease_token)
        SELECT j.id, 'default', j.topic, j.subject, j.body, j.key, {NOW_MS["postgresql"]} + j.delay,
               {NOW_MS["postgresql"]}, 'pending', 0, 0
        FROM held CROSS JOIN unnest($19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::bigint[])
            AS j (id, topic, subject, body, key, delay)
        ON CONFLICT (key) DO NOTHING)
    SELECT id FROM held"""  # noqa: S608 - text of ours


async def offer_at_once(work: UnitOfWork, lease: Lease, types: TaskTypes, policy: Policy) -> bool:
    """True when the task is offered and the job done. False: nothing was written. Raises Unavailable."""
    async with work.quick("routing.offer") as quick:
        rows = await quick.read(_LOOK, lease.subject)
        if not rows:
            return False
        now, listened, *columns = rows[0]
        task = task_of(columns)
        kind = types.of(task.task_type)
        if task.status != TaskStatus.POSTED or not task.funded or now >= clock.to_ms(task.hard_stop_at):
            return False
        asked = asked_of(task, kind, policy, await quick.read(TURNS["postgresql"], [task.id]))
        sql, parameters = free_of(asked.question, policy.candidates, "postgresql")
        candidates = able_of(asked.question, await quick.read(sql, *parameters), now)
        best = next(iter(best_of(asked.question, task, kind, candidates, now, policy)), None)
        if best is None:
            return False
        assignment = offered(task, kind, best, asked.free_slot, now, AssignmentKind.PRIMARY)
        event = ids.new("evt")
        jobs = [*timer_jobs(task, kind, now), lapse_job(assignment, now)]
        if listened or task.callback_url:
            jobs.append(NewJob.make("task.event", event, body=None, delay=0, queue="default", key=None))
        try:
            written = await quick.write(_WRITE, *_parameters(lease, task, assignment, event, jobs, now))
        except Refused:
            return False
        if written:
            quick.jobs = [job for job in jobs if job.delay_ms == 0]
        return bool(written)


def _parameters(
    lease: Lease, task: Task, assignment: Assignment, event: str, jobs: list[NewJob], now: int
) -> tuple[object, ...]:
    columns = [(j.id, j.topic, j.subject, to_json(j.body), j.key, j.delay_ms) for j in jobs]
    return (
        lease.id,
        lease.token,
        task.id,
        task.version,
        now,
        *assignment_row(assignment),
        event,
        str(EventType.ASSIGNED),
        snapshot_as(task, TaskStatus.ASSIGNED, now),
        *(list(column) for column in zip(*columns, strict=True)),
    )
