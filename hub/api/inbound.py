"""`/hooks/in/{connector id}`: a vendor's delivery, verified over its raw bytes and stored before it is answered. What
it means is read later, in a job. The status codes are the connector's, because senders punish different ones."""

from __future__ import annotations

import logging
from typing import Any, cast

from litestar import HttpMethod, Request, Router, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from core.errors import HubError, NotFound, Unauthenticated
from core.intake.envelope import InboundDelivery
from hub.services import LoadedConnector, Services

log = logging.getLogger(__name__)

READ_LIMIT = 4 * 1024 * 1024  # of any connector; each has its own, smaller one


@post("/", status_code=200, request_max_body_size=READ_LIMIT)
async def receive(request: Request[Any, Any, Any]) -> ASGIResponse:
    """No injection and no Response object: on this path they cost as much as the signature."""
    services = cast("Services", request.app.state["services"])
    connector_id: str = request.scope["path_params"]["connector_id"]
    loaded = _loaded(services, connector_id)
    answers = loaded.connector.answers
    body = await request.body()
    if len(body) > answers.body_limit:
        return _empty(413)
    try:
        delivery = _verified(loaded, request, body)
        fresh = await services.intake.receive(connector_id, delivery)
    except HubError as error:
        return _refused(loaded, connector_id, error)
    return _empty(answers.verified if fresh else answers.duplicate)


@route("/", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def probe(connector_id: FromPath[str], services: NamedDependency[Services]) -> ASGIResponse:
    """Vendors, and people with a browser, look whether somebody is there."""
    _loaded(services, connector_id)
    return _empty(200)


def _loaded(services: Services, connector_id: str) -> LoadedConnector:
    found = services.connectors.get(connector_id)
    if found is None:
        raise NotFound("unknown_connector", "No connector is configured at this address")
    return found


def _verified(loaded: LoadedConnector, request: Request[Any, Any, Any], body: bytes) -> InboundDelivery:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    return loaded.connector.verify(loaded.settings, headers, body)


def _refused(loaded: LoadedConnector, connector_id: str, error: HubError) -> ASGIResponse:
    status = loaded.connector.answers.for_error(error)
    if isinstance(error, Unauthenticated):
        log.warning("connector %s: delivery refused (%d): %s", connector_id, status, error.message)
    else:
        log.error("connector %s: delivery not stored (%d)", connector_id, status, exc_info=error)
    return _empty(status)


def _empty(status: int) -> ASGIResponse:
    return ASGIResponse(status_code=status, media_type="text/plain")


ROUTER = Router(
    path="/hooks/in/{connector_id:str}",
    opt={"public": "a delivery is authenticated by its signature"},
    route_handlers=[receive, probe],
)
