"""`/webhooks/rails/strike`: Strike says that something happened to a payment or payout. A verified event is a hint: it
brings the next look-up forward, and the look-up alone decides. Without a secret there is no such address."""

from __future__ import annotations

from typing import Any, cast

from litestar import Request, Router, post
from litestar.response.base import ASGIResponse
from sqlalchemy import select

from connectors.rails.strike import StrikeRail
from connectors.rails.strike_bank import StrikeBankRail
from connectors.rails.strike_webhooks import HEADER, Hint, active, hint_of, verify
from core import clock
from core.db.unit_of_work import Transaction
from core.errors import NotFound
from core.payouts.record import IN_DOUBT
from core.payouts.tables import PayoutAttempt
from hub.services import Services

BODY_LIMIT = 64 * 1024  # an event is below 1 KB
MOST_CHECKS = 50


@post("/strike", status_code=200, request_max_body_size=BODY_LIMIT)
async def strike_event(request: Request[Any, Any, Any]) -> ASGIResponse:
    """200 for every verified event, also for one that is about nothing of ours: Strike would send it again."""
    services = cast("Services", request.app.state["services"])
    rails = [rail for rail in services.rails.values() if isinstance(rail, StrikeRail | StrikeBankRail)]
    secrets = active([rail.webhook_secrets for rail in rails], clock.now())
    if not secrets:
        raise NotFound("not_found", "Nobody listens here")
    body = await request.body()
    verify(request.headers.get(HEADER), body, secrets)
    hint = hint_of(body)
    if hint is not None:
        async with services.work.begin("rails.hint") as tx:
            await bring_forward(tx, hint)
    return ASGIResponse(status_code=200, media_type="text/plain")


async def bring_forward(tx: Transaction, hint: Hint) -> int:
    """Emits a look-up now of what the hint is about; gives how many. A payout's id is our reference. A payment's is not
    (that is its quote's), so that it may be any attempt in doubt on that rail: the oldest fifty are looked up. The same
    event again does nothing, and no second chain of look-ups begins: the next of a chain has a key (`record.doubt`)."""
    query = select(PayoutAttempt.id, PayoutAttempt.payout_id).where(
        PayoutAttempt.rail == (StrikeBankRail.name if hint.kind == "payout" else StrikeRail.name),
        PayoutAttempt.state.in_(sorted(IN_DOUBT)),
    )
    if hint.kind == "payout":
        query = query.where(PayoutAttempt.reference == hint.entity_id)
    found = (await tx.session.execute(query.order_by(PayoutAttempt.id).limit(MOST_CHECKS))).all()
    for attempt_id, payout_id in found:
        tx.emit(
            "payout.check",
            payout_id,
            body={"checks": 0},
            queue="money",
            key=f"strike:{hint.event_id}:{attempt_id}",
        )
    return len(found)


ROUTER = Router(
    path="/webhooks/rails",
    opt={"public": "an event is authenticated by its signature, and only a hint"},
    route_handlers=[strike_event],
)
