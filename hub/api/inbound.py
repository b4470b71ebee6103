"""`/hooks/in/{connector id}`: a vendor's delivery, verified over its raw bytes and stored before it is answered. What
it means is read later, in a job. The status codes are the connector's, because senders punish different ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

from litestar import HttpMethod, Request, Router, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from connectors.connector import Connector, InboundRequest, Receipt
from connectors.registry import connector
from connectors.signatures import SignatureMismatch
from core.errors import HubError, NotFound, Unauthenticated
from core.intake import records
from core.intake.envelope import InboundDelivery
from hub.inbound_cold import Quarantine, seen_before
from hub.services import LoadedConnector, Services

log = logging.getLogger(__name__)

READ_LIMIT = (
    16 * 1024 * 1024
)  # the largest of any connector; each has its own, enforced while the body comes in


class _TooLarge(Exception):
    """The body is longer than this connector takes."""


@post(["/", "/{path_token:str}"], status_code=200, request_max_body_size=READ_LIMIT)
async def receive(request: Request[Any, Any, Any]) -> ASGIResponse:
    """No injection and no Response object: on this path they cost as much as the signature."""
    services = cast("Services", request.app.state["services"])
    connector_id: str = request.scope["path_params"]["connector_id"]
    loaded = services.connectors.get(connector_id)
    if loaded is None:
        return await _nobody(services, connector_id)
    kind = loaded.connector
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    try:
        body = await _body(request, headers, kind.answers.body_limit)
    except _TooLarge:
        return ASGIResponse(status_code=413, media_type="text/plain")
    inbound = InboundRequest(
        headers=headers,
        body=body,
        path_token=request.scope["path_params"].get("path_token", ""),
        client_ip=_client_ip(request, headers, services.settings.client_ip_header),
    )
    try:
        deliveries = kind.verify(loaded.settings, inbound)
        fresh = await services.intake.receive(connector_id, deliveries)
    except HubError as error:
        return await _refused(request, loaded, inbound, error)
    if all(fresh):
        receipts = [Receipt(delivery_id=one.delivery_id, fresh=True) for one in deliveries]
        return _answer(kind, inbound, kind.answers.verified, receipts)
    return await _seen(services, loaded, inbound, deliveries, fresh)


@route(["/", "/{path_token:str}"], http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def probe(connector_id: FromPath[str], services: NamedDependency[Services]) -> ASGIResponse:
    """Vendors (Intercom asks with HEAD), and people with a browser, look whether somebody is there."""
    if connector_id not in services.connectors:
        return await _nobody(services, connector_id)
    return ASGIResponse(status_code=200, media_type="text/plain")


async def _body(request: Request[Any, Any, Any], headers: dict[str, str], limit: int) -> bytes:
    """The raw body. Raises _TooLarge before more than `limit` bytes are held."""
    length = headers.get("content-length", "")
    if length.isdigit():
        if int(length) > limit:
            raise _TooLarge
        return await request.body()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _TooLarge
    return bytes(body)


async def _nobody(services: Services, connector_id: str) -> ASGIResponse:
    """An address without a file. Retired by the operator: the vendor's word for "gone". Once configured and not
    retired: perhaps a file was forgotten in a deployment, so the vendor shall try again. Never heard of: 404."""
    async with services.work.read() as session:
        record = await records.named(session, connector_id)
    if record is None:
        raise NotFound("unknown_connector", "No connector is configured at this address")
    answers = connector(record.vendor).answers
    if record.retired_at is not None:
        return ASGIResponse(status_code=answers.deleted, media_type="text/plain")
    log.error(
        "connector %s has no file any more: its deliveries are refused (%d) until the file is back, or "
        "`hub connectors retire %s` tells the vendor that it is gone",
        connector_id,
        answers.not_stored,
        connector_id,
    )
    return ASGIResponse(status_code=answers.not_stored, media_type="text/plain")


async def _seen(
    services: Services,
    loaded: LoadedConnector,
    inbound: InboundRequest,
    deliveries: Sequence[InboundDelivery],
    fresh: Sequence[bool],
) -> ASGIResponse:
    """Some of the request's deliveries were there before: say what became of them, or that they differ."""
    answers = loaded.connector.answers
    receipts, differs = await seen_before(services.work, loaded.settings.id, deliveries, fresh)
    # An Outbound Message sent again carries the record as it is by then: the same id with another body is no conflict.
    if differs and answers.conflict is not None and "json" in inbound.headers.get("content-type", ""):
        log.warning("connector %s: a known event id came with another body", loaded.settings.id)
        return _answer(loaded.connector, inbound, answers.conflict, receipts)
    status = answers.verified if any(fresh) else answers.duplicate
    return _answer(loaded.connector, inbound, status, receipts)


async def _refused(
    request: Request[Any, Any, Any], loaded: LoadedConnector, inbound: InboundRequest, error: HubError
) -> ASGIResponse:
    status = loaded.connector.answers.for_error(error)
    if isinstance(error, Unauthenticated):
        log.warning("connector %s: delivery refused (%d): %s", loaded.settings.id, status, error.message)
        if isinstance(error, SignatureMismatch):
            keeper = cast("Quarantine", request.app.state["quarantine"])
            await keeper.keep(loaded, inbound, error.message)
    else:
        log.error("connector %s: delivery not stored (%d)", loaded.settings.id, status, exc_info=error)
    return _answer(loaded.connector, inbound, status, [])


def _answer(
    kind: Connector, inbound: InboundRequest, status: int, receipts: Sequence[Receipt]
) -> ASGIResponse:
    said = kind.say(inbound, status, receipts)
    return ASGIResponse(status_code=status, media_type=said.media_type, body=said.body)


def _client_ip(request: Request[Any, Any, Any], headers: dict[str, str], trusted: str) -> str:
    """The peer. Behind a proxy the last value of its header, which the proxy itself wrote; what stands before it may
    be the sender's invention."""
    if trusted:
        return headers.get(trusted, "").rpartition(",")[2].strip()
    return request.client.host if request.client else ""


ROUTER = Router(
    path="/hooks/in/{connector_id:str}",
    opt={"public": "a delivery is authenticated by its signature"},
    route_handlers=[receive, probe],
)
