"""`POST /v1/tasks/batch`: up to 1,000 tasks at once, each with its own outcome; one bad task leaves the others alone.
They are written in a few transactions, as many requests at once would be."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, post

from core.access.keys import Caller
from core.errors import HubError
from core.tasks.view import encode
from hub import problems
from hub.api.decoding import Fields, object_of, read_object
from hub.api.tasks import create_one
from hub.auth import api_key, asker
from hub.idempotency import Answer, once_outside
from hub.services import Services

MOST_TASKS = 1_000
BODY_LIMIT = 8 * 1024 * 1024

_tasks = msgspec.json.Decoder(Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MOST_TASKS)])


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of the task at `index` of the request: `status` is what `POST /v1/tasks` would have answered, with
    its task or its error."""

    index: int
    status: int
    task: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


@post("/", status_code=200, request_max_body_size=BODY_LIMIT)
async def create_tasks(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    fields = Fields(await read_object(request))
    items = fields.take(_tasks, "tasks", required=True)
    fields.check()

    async def effect() -> Answer:
        work = [_one(services, caller, index, raw) for index, raw in enumerate(items or ())]
        return Answer(status=200, body=encode({"results": await asyncio.gather(*work)}))

    return await once_outside(services, caller, request, effect)


async def _one(services: Services, caller: Caller, index: int, raw: msgspec.Raw) -> Outcome:
    try:
        created = await create_one(services, caller, object_of(bytes(raw)), None)
    except HubError as error:
        problem = problems.of_hub_error(error)
        return Outcome(index=index, status=problem.status, error=problems.error_object(problem))
    return Outcome(index=index, status=200 if created.replayed else 201, task=msgspec.Raw(created.body))


ROUTER = Router(path="/v1/tasks/batch", guards=[api_key], route_handlers=[create_tasks])
