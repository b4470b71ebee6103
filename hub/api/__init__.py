"""The machine interface: `/v1`, inbound hooks, health, the API's description. `hub/app.py` takes `routers`."""

from __future__ import annotations

from litestar import Router

from hub.api import (
    batch,
    billing,
    health,
    inbound,
    lnurl,
    operator,
    rail_webhooks,
    receipt_keys,
    schema,
    tasks,
    usage,
    webhooks,
    worker,
)


def routers(public_url: str) -> list[Router]:
    return [
        tasks.ROUTER,
        batch.ROUTER,
        webhooks.ROUTER,
        *usage.ROUTERS,
        *billing.ROUTERS,
        health.ROUTER,
        inbound.ROUTER,
        rail_webhooks.ROUTER,
        lnurl.ROUTER,
        receipt_keys.ROUTER,
        worker.ROUTER,
        operator.ROUTER,
        schema.router(public_url),
    ]
