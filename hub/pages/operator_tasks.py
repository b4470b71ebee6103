"""The operator's tasks: the list with its filters in the address, the whole trail of one, cancelling and redriving."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.audit.record import record
from core.callbacks import actions as callbacks
from core.callbacks.states import CallbackState
from core.callbacks.tables import CallbackDelivery
from core.errors import Conflict, NotFound
from core.ids import is_uuid
from core.outbox import rows as outbox
from core.routing.endings import cancel
from core.tasks.model import Environment
from core.tasks.states import CANCELLABLE, TaskStatus
from core.tasks.tables import Task
from hub import auth
from hub.observe import trail as trails
from hub.observe import why, why_one
from hub.observe.trail_entries import timeline
from hub.pages import operator_reads as reads
from hub.pages.desk import test_money
from hub.pages.guards import no_nul
from hub.pages.operator_reads import COUNT_LIMIT, TaskFilter
from hub.pages.templating import page, see_other
from hub.services import Services

MOODS = {"verified": "good", "failed": "bad", "expired": "bad", "cancelled": "plain"}


@get("/", name="operator.tasks", include_in_schema=False)
async def list_tasks(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    q: FromQuery[str] = "",
    status: FromQuery[str] = "",
    type: FromQuery[str] = "",  # noqa: A002 - the word in the address
    environment: FromQuery[str] = "",
    before: FromQuery[str] = "",
) -> Response[str] | Redirect:
    """Tasks of all organisations, newest first; `q` is an id or a payment hash and leads straight to its task."""
    wanted = TaskFilter(status=status, task_type=type, environment=environment, before=before)
    async with services.work.read() as session:
        if q.strip():
            found = await reads.find_task(session, q)
            if found is not None:
                return see_other(f"/operator/tasks/{found}")
        listed = await reads.tasks(session, wanted)
    filters = {"status": status, "type": type, "environment": environment}
    return page(
        "operator_tasks.html",
        person,
        heading="Tasks",
        area="operator",
        here="tasks",
        test_money=test_money(services, environment),
        q=q.strip(),
        filters=filters,
        statuses=list(TaskStatus),
        environments=list(Environment),
        types=sorted({kind.name for kind in services.types} | ({type} if type else set())),
        page=listed,
        count_limit=COUNT_LIMIT,
        moods=MOODS,
        first=f"/operator?{urlencode(filters)}" if before else "",
        following=f"/operator?{urlencode(filters | {'before': listed.next})}" if listed.next else "",
    )


async def _trail(services: Services, task_id: str) -> trails.Trail:
    if not is_uuid(task_id):
        raise NotFound("task_not_found", "Task not found")
    async with services.work.read() as session:
        return await trails.collect(session, task_id)


@get("/tasks/{task_id:str}", name="operator.task", include_in_schema=False)
async def show_task(
    task_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    worker: FromQuery[str] = "",
) -> Response[str]:
    """The whole trail of one task; `worker`: and why this one may take it, or may not."""
    trail = await _trail(services, task_id)
    async with services.work.read() as session:
        whys = await why.of_task(session, task_id)
        untold = "" if whys else await why_one.untold(session, trail.task, services.policy)
        about = await _about(session, trail.task, worker, services)
    return page(
        "operator_task.html",
        person,
        heading="Task",
        area="operator",
        here="tasks",
        test_money=test_money(services, trail.task.environment),
        trail=trail,
        task=trail.task,
        moods=MOODS,
        entries=timeline(trail),
        whys=whys[::-1],
        untold=untold,
        worker=worker.strip(),
        about=about,
        parts=why.EXPLAINED,
        pretty=_pretty,
        may_operate=may(person.role, Scope.OPERATE),
        cancellable=trail.task.status in CANCELLABLE,
        dead_callbacks=[row for row in trail.deliveries if row.state == CallbackState.DEAD],
    )


async def _about(session: AsyncSession, task: Task, worker: str, services: Services) -> list[str]:
    if not worker.strip():
        return []
    try:
        return await why_one.lines(session, task, worker, services.types, services.policy)
    except NotFound as error:
        return [error.message]


@get("/tasks/{task_id:str}/raw", name="operator.task.raw", include_in_schema=False)
async def show_raw(task_id: FromPath[str], services: NamedDependency[Services]) -> Response[str]:
    """Every row of the trail as JSON."""
    text = _pretty(trails.as_json(await _trail(services, task_id)))
    return Response(text, media_type="application/json")


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


@post(
    "/tasks/{task_id:str}/cancel",
    name="operator.task.cancel",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def cancel_task(
    task_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Withdraw a task that nobody has answered yet."""
    async with services.work.begin("operator.cancel") as tx:
        task = await tx.session.get(Task, task_id)
        if task is None:
            raise NotFound("task_not_found", "Task not found")
        await cancel(tx, task, person.actor)
        await record(tx, actor=person.actor, action="task.cancelled", subject=task.id)
    return see_other(f"/operator/tasks/{task_id}")


@post(
    "/tasks/{task_id:str}/jobs/{job_id:str}/redrive",
    name="operator.job.redrive",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def redrive_job(
    task_id: FromPath[str],
    job_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Bring a dead job back, due now. Raises Conflict when it is not dead (any more)."""
    async with services.work.begin("operator.redrive") as tx:
        if not await outbox.redrive(tx, job_id):
            raise Conflict("not_dead", "This job is not dead")
        await record(tx, actor=person.actor, action="job.redriven", subject=task_id, job=job_id)
    return see_other(f"/operator/tasks/{task_id}#jobs")


@post(
    "/tasks/{task_id:str}/callbacks/{delivery_id:str}/redrive",
    name="operator.callback.redrive",
    guards=[auth.require(Scope.OPERATE)],
    include_in_schema=False,
)
async def redrive_callback(
    task_id: FromPath[str],
    delivery_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Redirect:
    """Send a dead callback again, its schedule from the beginning."""
    async with services.work.begin("operator.redrive") as tx:
        if await tx.session.get(CallbackDelivery, delivery_id) is None:
            raise NotFound("delivery_not_found", "Callback delivery not found")
        await callbacks.redrive(tx, delivery_id, actor=person.actor)
    return see_other(f"/operator/tasks/{task_id}#callbacks")


ROUTER = Router(
    path="/operator",
    guards=[no_nul, auth.operator],
    route_handlers=[list_tasks, show_task, show_raw, cancel_task, redrive_job, redrive_callback],
)
