"""The way into the APIs of people: a one-time link becomes a session token, and the token opens what its role may do.
Called by the routers `worker.py` and `operator.py`, which say for what (`Scope`) and how a refusal is worded."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from core.access import sessions
from core.access.roles import Scope, may
from core.errors import Forbidden, Unauthenticated
from hub.api.decoding import Fields, read_object
from hub.api.worker_views import SignedInView
from hub.auth import bearer_of
from hub.services import Services

_text = msgspec.json.Decoder(str)


async def must(connection: ASGIConnection[Any, Any, Any, Any], scope: Scope, refusal: str) -> None:
    """A living session in `Authorization: Bearer` that may do `scope`. Raises Unauthenticated, Forbidden."""
    person = await bearer_of(connection)
    if person is None:
        raise Unauthenticated("sign_in", "A session token is required: Authorization: Bearer ...")
    if not may(person.role, scope):
        raise Forbidden("not_yours", refusal)
    connection.scope["state"]["person"] = person


async def signed_in(request: Any, services: Services, scope: Scope, refusal: str) -> SignedInView:
    """`{"token": …}` of a one-time link, for a session token. Raises Unauthenticated for a link that is over, Forbidden,
    after which the link is as good as before."""
    body = Fields(await read_object(request))
    token = body.take(_text, "token", required=True)
    body.check()
    async with services.work.begin("access.sign_in") as tx:
        opened = await sessions.sign_in(tx, token or "")
        if not may(opened.person.role, scope):
            raise Forbidden("not_yours", refusal)
    return SignedInView(token=opened.token.reveal(), expires_in=opened.seconds)
