"""`/v1/tasks`: create, list, get (with a long poll), cancel."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from core import clock
from core.access.keys import Caller
from core.db.unit_of_work import Transaction
from core.errors import Conflict, NotFound
from core.ids import is_uuid
from core.receipts import queries as receipts
from core.receipts.model import File
from core.routing.endings import cancel
from core.tasks import queries
from core.tasks.creation import Created, prepare
from core.tasks.queries import Filter
from core.tasks.states import CANCELLABLE, ENDED, TaskStatus
from core.tasks.tables import Task
from core.tasks.view import TaskView, encode, view
from hub.api.decoding import Query, RawObject, idempotency_key, moment, read_object, whole
from hub.api.task_request import asked, new_task
from hub.api.waiting import TaskWatch
from hub.auth import api_key, asker
from hub.idempotency import Answer, once
from hub.services import Services

WAIT_LIMIT = 60  # seconds; common proxies cut a silent connection at 60


class TaskList(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    data: list[TaskView]
    has_more: bool
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


class Cancelled(msgspec.Struct, kw_only=True, rename="camel"):
    id: str
    status: str
    cancelled_at: str


async def create_one(services: Services, caller: Caller, raw: RawObject, header_key: str | None) -> Created:
    """The way of a request to a task, for this route and the batch. Raises Malformed, Invalid, Unavailable,
    and Retryable while there is no exchange rate to price it with."""
    request = asked(raw, header_key)
    kind = services.types.get(request.task_type)
    new = new_task(request, kind, caller, header_key)
    plan = services.plans.get(caller.plan)
    rates = services.rates
    prepared = prepare(
        new, kind, plan, rates.to_reserve().usd_per_btc, rates.spread_percent, services.types.checks
    )
    return await services.creator.create(prepared)


def task_response(task: Task, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(encode(view(task)), status_code=status, media_type="application/json", headers=headers)


@post("/", status_code=201)
async def create_task(request: Request[Any, Any, Any]) -> ASGIResponse:
    """No Response object: on this path it costs as much as reading the request."""
    services, caller = asker(request)
    created = await create_one(services, caller, await read_object(request), idempotency_key(request))
    headers = {"Location": f"/v1/tasks/{created.id}"}
    if created.replayed:
        headers["Idempotent-Replayed"] = "true"
    return ASGIResponse(
        body=created.body,
        status_code=200 if created.replayed else 201,
        media_type="application/json",
        headers=headers,
    )


@get("/")
async def list_tasks(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    wanted = _filter(Query(request))
    async with services.work.read() as session:
        page = await queries.page(session, caller.organisation_id, caller.environment, wanted)
    answer = TaskList(data=[view(task) for task in page.tasks], has_more=page.has_more)
    if page.has_more:
        answer.next_cursor = page.tasks[-1].id
    return Response(encode(answer), media_type="application/json")


@get("/{task_id:str}")
async def get_task(task_id: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    watch = cast("TaskWatch", request.app.state["watch"])
    query = Query(request)
    seconds = query.take("wait", whole(0, WAIT_LIMIT), f"Must be a whole number from 0 to {WAIT_LIMIT}")
    query.check()
    task = await _read(services, caller, task_id)
    if seconds and task.status not in ENDED:
        await watch.changed(task.id, task.version, seconds, lambda: _gone(request))
        task = await _read(services, caller, task_id)
    return task_response(task)


@get("/{task_id:str}/receipt")
async def get_receipt(task_id: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    """The task's signed receipts: that of the verified answer, and one for each payment once it is settled."""
    services, caller = asker(request)
    Query(request).check()
    async with services.work.read() as session:
        task = await queries.get(session, caller.organisation_id, caller.environment, task_id)
        found = await receipts.of_task(session, task.id)
    if not found:
        raise NotFound("receipt_not_issued", "A receipt is issued a moment after the task is verified")
    return Response(encode(File(receipts=found)), media_type="application/json")


@post("/{task_id:str}/cancel", status_code=200)
async def cancel_task(task_id: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)

    async def effect(tx: Transaction) -> Answer:
        task = await queries.get(tx.session, caller.organisation_id, caller.environment, task_id, lock=True)
        _refuse_late(task)
        task = await cancel(tx, task, caller.actor)
        told = Cancelled(id=task.id, status=task.status, cancelled_at=clock.iso(task.updated_at))
        return Answer(status=200, body=encode(told))

    return await once(services, caller, request, "tasks.cancel", effect)


def _refuse_late(task: Task) -> None:
    if task.status in CANCELLABLE:
        return
    if task.status in ENDED:
        raise Conflict("task_ended", "Task is already in a terminal state and cannot be cancelled")
    raise Conflict("task_submitted", "Task has been submitted and cannot be cancelled")


async def _read(services: Services, caller: Caller, task_id: str) -> Task:
    async with services.work.read() as session:
        return await queries.get(session, caller.organisation_id, caller.environment, task_id)


async def _gone(request: Request[Any, Any, Any]) -> None:
    """Returns when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _filter(query: Query) -> Filter:
    when = "Must be an ISO 8601 date and time with its offset, such as 2026-11-23T21:30:00Z"
    status = query.take("status", TaskStatus, f"Must be one of: {', '.join(TaskStatus)}")
    task_type = query.take("task_type", _name, "Must be 1 to 128 printable characters")
    limit = query.take("limit", whole(1, 100), "Must be a whole number from 1 to 100")
    after = query.take("after", _cursor, "Must be the id of a task")
    created_after = query.take("created_after", moment, when)
    created_before = query.take("created_before", moment, when)
    query.check()
    return Filter(
        status=status,
        task_type=task_type,
        limit=20 if limit is None else limit,
        after=after,
        created_after=created_after,
        created_before=created_before,
    )


def _name(text: str) -> str:
    if not 0 < len(text) <= 128 or not text.isprintable():
        raise ValueError
    return text


def _cursor(text: str) -> str:
    if not is_uuid(text):
        raise ValueError
    return text


ROUTER = Router(
    path="/v1/tasks",
    guards=[api_key],
    route_handlers=[create_task, list_tasks, get_task, get_receipt, cancel_task],
)
