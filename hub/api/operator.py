"""`/operator/api`: what an operator's own tools can do about people: an organisation's allow and block lists, the pool of experts
and fraud clusters. A session token of a one-time link in `Authorization: Bearer`; a cookie is not taken. Who may only look
may only read. The same actions as the pages and `hub organisations people`, `hub people`."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Router, delete, get, patch, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from core import clock
from core.access import organisations
from core.access.roles import Scope
from core.access.sessions import SignedIn
from core.access.tables import Person
from core.routing import lists
from core.routing.lists import Word
from core.routing.tables import OrganisationWorker
from core.workers import actions as workers
from core.workers.tables import Worker
from hub.api.decoding import Fields, paged, read_object
from hub.api.signing_in import must, signed_in
from hub.api.worker_views import SignedInView, View
from hub.pages.guards import no_nul
from hub.services import Services

AnyRequest = Request[Any, Any, Any]
Connection = ASGIConnection[Any, Any, Any, Any]

REFUSAL = "Your account may not do this"
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_word = msgspec.json.Decoder(Word)


class ListedView(View, frozen=True, kw_only=True):
    worker_id: str
    name: str
    email: str
    word: str
    reason: str
    since: str


class ListedPage(View, frozen=True, kw_only=True):
    data: list[ListedView]
    has_more: bool
    next_cursor: str | None


class MarksView(View, frozen=True, kw_only=True):
    """`expert`: in the pool of experts; `cluster`: the one person whom several accounts seem to be."""

    worker_id: str
    tier: int
    expert: bool
    cluster: str | None


async def reads(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: somebody who may see the console."""
    await must(connection, Scope.CONSOLE, REFUSAL)


async def writes(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: somebody who may change people and organisations."""
    await must(connection, Scope.ACCESS, REFUSAL)


@post("/sign-in", name="operator_api.sign_in", status_code=200, opt={"public": "the way in"})
async def sign_in(request: AnyRequest, services: NamedDependency[Services]) -> SignedInView:
    """`{"token": …}` of a one-time link, for a session token. Raises Unauthenticated for a link that is over, Forbidden."""
    return await signed_in(request, services, Scope.CONSOLE, REFUSAL)


@get("/organisations/{organisation_id:str}/people", name="operator_api.lists", guards=[reads])
async def show_lists(
    request: AnyRequest, organisation_id: FromPath[str], services: NamedDependency[Services]
) -> ListedPage:
    """By worker id; `cursor` is the `nextCursor` of the page before. Raises NotFound."""
    limit, after = paged(request, 50)
    async with services.work.read() as session:
        owner = await organisations.get(session, organisation_id)
        found = await lists.page(session, owner.id, after=after or "", limit=limit + 1)
    return ListedPage(
        data=[_listed(row, person) for row, person in found[:limit]],
        has_more=len(found) > limit,
        next_cursor=found[limit - 1][0].worker_id if len(found) > limit else None,
    )


@put("/organisations/{organisation_id:str}/people/{worker_id:str}", name="operator_api.say", guards=[writes])
async def say(
    request: AnyRequest,
    organisation_id: FromPath[str],
    worker_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> ListedView:
    """`{"word": "allow" or "block", "reason": …}`. Raises NotFound, Malformed, Invalid for a reason that is too long."""
    body = Fields(await read_object(request))
    word = body.take(_word, "word", required=True)
    reason = body.take(_text, "reason")
    body.check()
    async with services.work.begin("organisation.people") as tx:
        owner = await organisations.get(tx.session, organisation_id)
        await lists.say(tx, owner, worker_id, word or Word.BLOCK, reason=reason or "", actor=person.actor)
        await tx.session.flush()
        row = await tx.session.get_one(OrganisationWorker, (owner.id, worker_id))
        return _listed(row, await tx.session.get_one(Person, worker_id))


@delete(
    "/organisations/{organisation_id:str}/people/{worker_id:str}",
    name="operator_api.forget",
    guards=[writes],
    status_code=204,
)
async def forget(
    organisation_id: FromPath[str],
    worker_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> None:
    """Off the list. Raises NotFound, Conflict when they are on none."""
    async with services.work.begin("organisation.people") as tx:
        owner = await organisations.get(tx.session, organisation_id)
        await lists.forget(tx, owner, worker_id, actor=person.actor)


@patch("/workers/{worker_id:str}", name="operator_api.marks", guards=[writes])
async def mark(
    request: AnyRequest,
    worker_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> MarksView:
    """`{"expert": true, "cluster": "name"}`, either or both; null takes the worker out of their cluster. Raises NotFound,
    Malformed, Invalid."""
    body = Fields(await read_object(request))
    expert, cluster = body.take(_flag, "expert"), body.take(_text, "cluster")
    for name in body.raw:
        if name not in ("expert", "cluster"):
            body.fail(name[:64], "There is no such mark; there are expert, cluster")
    body.check()
    async with services.work.begin("operator.worker") as tx:
        if expert is not None:
            await workers.set_expert(tx, worker_id, expert, actor=person.actor)
        if "cluster" in body.raw:
            await workers.set_cluster(tx, worker_id, cluster, actor=person.actor)
        worker: Worker = await workers.locked(tx, worker_id)
        return MarksView(
            worker_id=worker.id, tier=worker.tier, expert=worker.expert, cluster=worker.cluster_id
        )


def _listed(row: OrganisationWorker, person: Person) -> ListedView:
    return ListedView(
        worker_id=row.worker_id,
        name=person.name,
        email=person.email,
        word=row.kind,
        reason=row.reason,
        since=clock.iso(row.created_at),
    )


ROUTER = Router(
    path="/operator/api",
    guards=[no_nul],
    route_handlers=[sign_in, show_lists, say, forget, mark],
)
