"""The common offers on PostgreSQL in two statements, however many come at once: one that reads the tasks, one that writes all of
what was decided, or of an offer nothing. Called by `actions.offer_posted`, which goes the long way (a transaction under the
task's lock) with whatever is given back.

Nothing is locked while it reads. The write names the version of the task that was read: whatever happens to a task, its
people included, while it is `posted` or on the way there gives it another version. It takes the first of the candidates
who, in the database and now, still may have the task and whom nobody else holds. An offer that loses that race goes the long
way; so does one whose first candidate has everything in hand without accepting it (`automatic.py`).

Offers that come while others are read, decided or written wait for each other and go together (`group_commit.py`); one that comes alone
goes alone. Each counts what the ones before it are about to give (`Follower.asking`).

With a directory (`core/routing/directory`) the candidates come out of memory, with what is known of them; without one a scan
and what is known of whom it found are two more statements for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from core import clock, ids
from core.db.engine import Database
from core.db.group_commit import GroupCommit
from core.db.quick import Quick, Refused
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease, NewJob
from core.routing import claims, decisions
from core.routing.candidates import Asker, asked_of
from core.routing.claims import Nobody, Offer
from core.routing.directory.registry import follower_of
from core.routing.eligible import may_take
from core.routing.house import for_one_alone
from core.routing.model import Policy, Question
from core.routing.offering import again_job, deadlines, lapse_at, more_jobs, seconds_of, timer_jobs_of
from core.routing.people import candidate_of, free_of
from core.routing.score import best_of
from core.routing.shortlist import Shortlist, explained, named
from core.routing.statements import TASKS
from core.routing.states import AssignmentKind, AssignmentState
from core.routing.times import KNOWN, known_of, with_known
from core.tasks.changes import snapshot_as
from core.tasks.model import EventType
from core.tasks.states import TaskStatus
from core.tasks.types import TaskTypes

TOGETHER = 8  # offers in one statement at most: all of them wait for the last one
_LANES = 2  # groups at a time
_ROLE = AssignmentKind.PRIMARY
_WORDS = (str(_ROLE), str(AssignmentState.OFFERED), str(EventType.ASSIGNED))


class _Wanted(NamedTuple):
    work: UnitOfWork
    lease: Lease
    types: TaskTypes
    policy: Policy


_groups: WeakKeyDictionary[UnitOfWork, GroupCommit[_Wanted, bool]] = WeakKeyDictionary()


async def offer_at_once(work: UnitOfWork, lease: Lease, types: TaskTypes, policy: Policy) -> bool:
    """True when the task is offered, or nobody can take it and that is noted, and the job done. False: nothing was
    written. Raises Unavailable."""
    group = _groups.get(work)
    if group is None:
        group = _groups[work] = GroupCommit(_together, TOGETHER, _LANES)
    return await group.submit(_Wanted(work, lease, types, policy))


async def _together(wanted: list[_Wanted]) -> list[bool | Exception]:
    """`offer_at_once` of each of them, in the order of their tasks: two that write for the same ones do so in one order."""
    by_task = {one.lease.subject: one for one in wanted}
    work = wanted[0].work
    asking = _Asking()
    written: set[str] = set()
    async with work.quick("routing.offer") as quick:
        try:
            read = await quick.read(claims.LOOK, list(by_task))
            rows = {row[0]: row[1:] for row in sorted(read, key=lambda row: row[0])}
            now = min((row[0] for row in rows.values()), default=0)
            found = [
                await _decided(quick, by_task[task_id], row, now, asking) for task_id, row in rows.items()
            ]
            offers = [one for one in found if isinstance(one, Offer)]
            written |= await _claimed(quick, work.database, offers, now)
            nobody = [one for one in found if isinstance(one, Nobody)]
            if nobody:
                done = await quick.write(claims.NOBODY, *claims.nobody_parameters(nobody, now, str(_ROLE)))
                written |= {nobody[int(row[0]) - 1].lease.id for row in done}
        finally:
            asking.over()
        quick.jobs = [
            job for one in offers if one.lease.id in written for job in one.jobs if job.delay_ms == 0
        ]
    return [one.lease.id in written for one in wanted]


async def _claimed(quick: Quick, database: Database, offers: list[Offer], now: int) -> set[str]:
    """The jobs of the offers that were written. When the database refuses the statement, each is tried alone."""
    if not offers:
        return set()
    try:
        sql, parameters = claims.write(offers, now, _WORDS)
        rows = await quick.write(sql, *parameters)
    except Refused:
        if len(offers) == 1:
            return set()
        alone = [await _claimed(quick, database, [one], now) for one in offers]
        return {job for written in alone for job in written}
    follower = follower_of(database)
    if follower is not None and follower.directory is not None:
        for row in rows:
            follower.directory.took(row[1])
    return {offers[int(row[0]) - 1].lease.id for row in rows}


class _Asking:
    """Whom this process is about to give something, until it is written or not."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], None]] = []

    def add(self, end: Callable[[], None] | None) -> None:
        if end is not None:
            self._ends.append(end)

    def over(self) -> None:
        for end in self._ends:
            end()


async def _decided(
    quick: Quick, wanted: _Wanted, row: Sequence[Any], now: int, asking: _Asking
) -> Offer | Nobody | None:
    """None: it goes the long way."""
    _, listened, plan, allow_listed, turns, seen, *columns = row
    work, lease, types, policy = wanted
    task = TASKS.of(columns)
    kind = types.of(task.task_type)
    if for_one_alone(task):
        return None
    if task.status != TaskStatus.POSTED or not task.funded or now >= clock.to_ms(task.hard_stop_at):
        return None
    asked = asked_of(
        task, kind, policy, claims.decode_turns(turns) if turns else [], Asker(plan, allow_listed)
    )
    question, slot = asked.question, asked.free_slot
    clocked = deadlines(task, kind)
    seconds_left = seconds_of(clocked, now)
    found = await _shortlist(work.database, quick, question, seen, now, seconds_left, policy)
    if found is None:
        return None
    scores = best_of(question, found.lineup, seconds_left, policy.weights, decisions.shown(policy))
    decision = decisions.decided(question, found, scores, seconds_left, policy)
    jobs = timer_jobs_of(task.id, clocked, now)
    if not scores:
        jobs.append(again_job("task.posted", task, now, policy))
        note = decisions.row(decision, task.id, _ROLE, slot, None, now)
        return Nobody(lease, task.id, slot, note[0], note[-1], jobs)
    follower = follower_of(work.database)
    if follower is not None:
        asking.add(follower.asking(scores[0].worker_id))
    assignment, event, due = ids.new("asg"), ids.new("evt"), clocked.due_ms(now)
    expires = min(now + kind.offer_seconds * 1000, due)
    jobs += [lapse_at(assignment, expires - now), *more_jobs(task)]
    if listened or task.callback_url is not None:
        jobs.append(NewJob.make("task.event", event, body=None, delay=0, queue="default", key=None))
    note = decisions.row(decision, task.id, _ROLE, slot, assignment, now)
    return Offer(
        lease=lease,
        task_id=task.id,
        version=task.version,
        assignment=assignment,
        slot=slot,
        expires_ms=expires,
        due_ms=due,
        event=event,
        snapshot=snapshot_as(task, TaskStatus.ASSIGNED, now),
        decision=note[0],
        body=note[-1],
        question=question,
        tried=[(one.worker_id, one.total) for one in scores[: policy.claims]],
        automatic=sorted(policy.auto_assigned),
        jobs=jobs,
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
        if found.people or not follower.is_asking:
            return found
        still = named(follower, question, now, seconds_left, policy)
        return None if still.people else still
    sql, parameters = free_of(question, now, policy.candidates, "postgresql")
    read = [candidate_of(row, now) for row in await quick.read(sql, *parameters)]
    able = [worker for worker in read if may_take(question, worker)]
    if not able:
        return None
    wanted = known_of(question.environment, question.task_type, able, "postgresql")
    return explained(question, read, with_known(able, await quick.read(KNOWN["postgresql"], *wanted)))
