"""Whether the process lives, and whether it can serve. Asked by load balancers, containers and the published clients'
health checks; public, because they carry no key."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from sqlalchemy import text

from core import clock
from core.db.revision import at_head
from hub.services import Services

log = logging.getLogger(__name__)

_SCHEMA_SECONDS = 30.0  # asking the database for its tables costs more than a probe should


class SchemaCheck:
    """Remembers for a while that the database carries this code's schema; asks again at once while it does not."""

    def __init__(self) -> None:
        self._good_until = 0.0

    async def good(self, services: Services) -> bool:
        if clock.monotonic() < self._good_until:
            return True
        if not await at_head(services.database):
            return False
        self._good_until = clock.monotonic() + _SCHEMA_SECONDS
        return True


@get(["/livez", "/healthz", "/v1/healthz", "/v1/health"])
async def livez() -> Response[bytes]:
    return _answer(200, {"status": "ok"})


@get("/readyz")
async def readyz(
    services: NamedDependency[Services], schema_check: NamedDependency[SchemaCheck]
) -> Response[bytes]:
    """503 without the database or with another schema. A missing queue is a warning: the sweep does its work."""
    checks: dict[str, Any] = {"database": "ok", "migrations": "ok", "queue": "ok"}
    warnings: list[str] = []
    try:
        async with services.work.read() as session:
            await session.execute(text("SELECT 1"))
        if not await schema_check.good(services):
            checks["migrations"] = "not at head; run `hub migrate`"
    except Exception as error:  # noqa: BLE001 - whatever it is, we cannot serve, and the probe must say so
        log.warning("not ready: %r", error)
        checks.update(database="unavailable", migrations="unknown")
    if not await services.queue_answers():
        checks["queue"] = "unavailable"
        warnings.append("the queue does not answer; jobs wait for the sweep of the workers")
    ready = checks["database"] == "ok" and checks["migrations"] == "ok"
    content = {"status": "ready" if ready else "not ready", "checks": checks, "warnings": warnings}
    return _answer(200 if ready else 503, content)


def _answer(status: int, content: dict[str, Any]) -> Response[bytes]:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


ROUTER = Router(path="/", opt={"public": "probes carry no key"}, route_handlers=[livez, readyz])
