"""The public keys of the hub's receipts, at a well-known address, so that whoever has a receipt can verify it."""

from __future__ import annotations

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency

from core.receipts.keys import public_keys
from hub.services import Services


@get("/")
async def receipt_keys(services: NamedDependency[Services]) -> Response[bytes]:
    async with services.work.read() as session:
        found = await public_keys(session)
    # Short: after a rotation the new key signs at once.
    headers = {"Cache-Control": "public, max-age=60"}
    return Response(msgspec.json.encode(found), media_type="application/json", headers=headers)


ROUTER = Router(
    path="/.well-known/hub-receipt-keys.json",
    opt={"public": "public keys, for whoever verifies a receipt"},
    route_handlers=[receipt_keys],
)
