"""Lightning addresses of the sandbox's wallets (LUD-06, LUD-16), so that a demo pays `ann@hub` all the way. Nothing is
here unless the sandbox rail is on. TEST MONEY."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from connectors.rails.sandbox_wallets import SandboxWallets
from core.errors import NotFound
from hub.api.decoding import Query, whole
from hub.services import Services

_MOST_MSAT = 9_999_999_999  # ten digits; the wallet has its own, lower limit


@get("/")
async def pay_request(name: FromPath[str], services: NamedDependency[Services]) -> Response[bytes]:
    return _json(_wallets(services).lnurlp(name, services.settings.public_url))


@get("/callback")
async def pay_callback(
    name: FromPath[str], request: Request[Any, Any, Any], services: NamedDependency[Services]
) -> Response[bytes]:
    wallets = _wallets(services)
    query = Query(request)
    amount = query.take("amount", whole(0, _MOST_MSAT), "Must be a whole number of millisatoshi")
    if amount is None:
        return _json({"status": "ERROR", "reason": "amount must be a whole number of millisatoshi"})
    comment = query.take("comment", str, "") or ""
    return _json(await wallets.callback(name, amount, comment))


def _wallets(services: Services) -> SandboxWallets:
    if services.wallets is None:
        raise NotFound("no_wallets", "This hub answers for no Lightning address")
    return services.wallets


def _json(content: dict[str, object]) -> Response[bytes]:
    return Response(msgspec.json.encode(content), media_type="application/json")


ROUTER = Router(
    path="/.well-known/lnurlp/{name:str}",
    opt={"public": "wallets of strangers ask here for invoices of test money"},
    route_handlers=[pay_request, pay_callback],
)
