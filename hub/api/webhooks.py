"""`/v1/webhooks`: endpoints of the organisation, and a test event sent now."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath

from core import clock
from core.callbacks import endpoints
from core.callbacks.tables import CallbackEndpoint
from core.db.unit_of_work import Transaction
from core.errors import Malformed
from core.secret import Secret
from core.tasks.model import PUBLISHED, EventType
from hub.api.decoding import REQUIRED, Fields, read_object
from hub.api.urls import check_url
from hub.auth import api_key, asker
from hub.idempotency import Answer, once, once_outside

_text = msgspec.json.Decoder(str)
_description = msgspec.json.Decoder(Annotated[str, msgspec.Meta(max_length=500)])
_names: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(
    Annotated[list[str], msgspec.Meta(max_length=50)]
)


class EndpointView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Both spellings of the time, because the published documents have both."""

    id: str
    url: str
    events: list[str]
    description: str
    created_at: str
    createdAt: str
    disabled: bool = False
    secret: str | msgspec.UnsetType = msgspec.UNSET


class TestSent(msgspec.Struct, kw_only=True, rename="camel"):
    event_id: str
    delivered_at: str
    status_code: int


def _view(row: CallbackEndpoint, secret: Secret | None = None) -> EndpointView:
    at = clock.iso(row.created_at)
    return EndpointView(
        id=row.id,
        url=row.url,
        events=row.events or [str(event) for event in EventType if event in PUBLISHED],
        description=row.description,
        created_at=at,
        createdAt=at,
        disabled=row.disabled_at is not None,
        secret=msgspec.UNSET if secret is None else secret.reveal(),
    )


@post("/", status_code=201)
async def register_endpoint(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    fields = Fields(await read_object(request))
    url, events = _url(fields, "url", required=True), _events(fields)
    description = fields.take(_description, "description") or ""
    fields.check()

    async def effect(tx: Transaction) -> Answer:
        made = await endpoints.register(
            tx,
            caller.organisation_id,
            caller.environment,
            url=url,
            events=events,
            description=description,
            seal=services.sealer.seal,
            actor=caller.actor,
        )
        return Answer(status=201, body=msgspec.json.encode(_view(made.row, made.secret)))

    return await once(services, caller, request, "callbacks.endpoint", effect)


@get("/")
async def list_endpoints(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    async with services.work.read() as session:
        rows = await endpoints.of_organisation(session, caller.organisation_id, caller.environment)
    return _json({"data": [_view(row) for row in rows]})


@get("/{endpoint_id:str}")
async def get_endpoint(endpoint_id: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    async with services.work.read() as session:
        row = await endpoints.get(session, caller.organisation_id, caller.environment, endpoint_id)
    return _json(_view(row))


@delete("/{endpoint_id:str}", status_code=200)  # the answer says 204; the framework wants None for that
async def remove_endpoint(endpoint_id: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)

    async def effect(tx: Transaction) -> Answer:
        await endpoints.remove(
            tx, caller.organisation_id, caller.environment, endpoint_id, actor=caller.actor
        )
        return Answer(status=204)

    return await once(services, caller, request, "callbacks.endpoint", effect)


@post("/test", status_code=200)
async def send_test_event(request: Request[Any, Any, Any]) -> Response[bytes]:
    services, caller = asker(request)
    fields = Fields(await read_object(request))
    event = _one_event(fields)
    url = _url(fields, "callbackUrl", "callback_url") or None
    fields.check()

    async def effect() -> Answer:
        sent = await services.callbacks.send_test(caller.organisation_id, caller.environment, event, url)
        told = TestSent(
            event_id=sent.event_id, delivered_at=clock.iso(sent.delivered_at), status_code=sent.status_code
        )
        return Answer(status=200, body=msgspec.json.encode(told))

    return await once_outside(services, caller, request, effect)


def _json(content: object) -> Response[bytes]:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _url(fields: Fields, *names: str, required: bool = False) -> str:
    url = fields.take(_text, *names, required=required)
    if url is not None and (wrong := check_url(url)):
        fields.fail(names[0], wrong)
    return url or ""


def _one_event(fields: Fields) -> str:
    name = fields.take(_text, "eventType", "event_type", required=True)
    if name is None:
        fields.check()
        raise Malformed("invalid_body", "Invalid request body", field_errors={"eventType": REQUIRED})
    found = _known(name)
    if found is None:
        fields.fail("eventType", _WHICH)
    return str(found or "")


def _events(fields: Fields) -> list[EventType]:
    names = fields.take(_names, "events") or []
    if "*" in names:
        return []
    found = [_known(name) for name in names]
    if None in found:
        fields.fail("events", _WHICH)
    return [event for event in found if event is not None]


def _known(name: str) -> EventType | None:
    try:
        return endpoints.event_type(name)
    except ValueError:
        return None


_WHICH = f"Must be one of: {', '.join(EventType)}"

ROUTER = Router(
    path="/v1/webhooks",
    guards=[api_key],
    route_handlers=[register_endpoint, list_endpoints, get_endpoint, remove_endpoint, send_test_event],
)
