"""`/worker/api`, how answers were judged: why one was refused, an appeal against it, and the checks that were missed with the
button to dispute them. The same actions as the pages; `worker.py` puts the handlers behind its guard."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from core import clock
from core.access.sessions import SignedIn
from core.errors import Conflict
from core.routing import queries as routing
from core.routing.states import AssignmentState
from core.verification import appeals, gold_items
from hub.api.decoding import Fields, read_object
from hub.api.worker_views import View
from hub.services import Services

AnyRequest = Request[Any, Any, Any]
_text = msgspec.json.Decoder(str)


class ReasonView(View, frozen=True, kw_only=True):
    """`code` is stable; `pointer` names the place in the answer, where there is one."""

    code: str
    message: str
    pointer: str | None


class RefusalView(View, frozen=True, kw_only=True):
    """`appeal`: possible, open, upheld, no (it stays refused), or empty when its time is over."""

    id: str
    reasons: list[ReasonView]
    appeal: str


class ReviewView(View, frozen=True, kw_only=True):
    """What was asked for; `dueAt` is its clock."""

    id: str
    state: str
    due_at: str


class CheckView(View, frozen=True, kw_only=True):
    """A question with a known answer that was answered otherwise. `state`: judged, disputed, undone (it counts for nothing)."""

    id: str
    task_id: str
    task_type: str
    payload: dict[str, Any]
    given: Any
    known: Any
    state: str
    at: str | None


class CheckList(View, frozen=True, kw_only=True):
    data: list[CheckView]


@get("/assignments/{assignment_id:str}/refusal", name="worker_api.refusal")
async def show_refusal(
    assignment_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> RefusalView:
    """Why an answer was not accepted, by code, and how an appeal stands. Raises NotFound, Conflict when it was not refused."""
    async with services.work.begin("reviews.reasons") as tx:
        found = await routing.one(tx.session, assignment_id, person.person_id)
        turn, given = found.assignment, found.submission
        if given is None or turn.state != AssignmentState.REFUSED:
            raise Conflict("not_refused", "Only an answer that was not accepted has reasons")
        reasons = await appeals.reasons_of(tx, given.id)
        standing = await appeals.standing(tx.session, turn.id, services.types.checks.review)
    told = [ReasonView(code=one.code, message=one.message, pointer=one.pointer) for one in reasons]
    return RefusalView(
        id=turn.id,
        reasons=told or [ReasonView(code="refused", message=turn.reason or "", pointer=None)],
        appeal=standing,
    )


@post("/assignments/{assignment_id:str}/appeal", name="worker_api.appeal", status_code=200)
async def appeal(
    request: AnyRequest,
    assignment_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> ReviewView:
    """`{"said": "…"}` or `{}`: another reviewer looks. Raises NotFound, Conflict when it was not refused or it is too late."""
    said = await _said(request)
    async with services.work.begin("reviews.appeal") as tx:
        row = await appeals.appeal(tx, assignment_id, person.person_id, said, services.types, services.plans)
    return ReviewView(id=row.id, state=row.state, due_at=clock.iso(row.due_at))


@get("/checks", name="worker_api.checks")
async def list_checks(person: NamedDependency[SignedIn], services: NamedDependency[Services]) -> CheckList:
    """The latest that were missed, once they may be told."""
    async with services.work.read() as session:
        found = await gold_items.missed(session, person.person_id, services.types.checks.gold)
    return CheckList(
        data=[
            CheckView(
                id=one.exposure.id,
                task_id=one.task.id,
                task_type=one.task.task_type,
                payload=one.task.payload,
                given=one.given,
                known=one.known,
                state=one.exposure.state,
                at=None if one.exposure.judged_at is None else clock.iso(one.exposure.judged_at),
            )
            for one in found
        ]
    )


@post("/checks/{exposure_id:str}/dispute", name="worker_api.dispute", status_code=200)
async def dispute(
    request: AnyRequest,
    exposure_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> ReviewView:
    """`{"said": "…"}` or `{}`: the known answer is wrong. Raises NotFound, Conflict when there is nothing to dispute."""
    said = await _said(request)
    async with services.work.begin("gold.dispute") as tx:
        row = await gold_items.dispute(
            tx, exposure_id, person.person_id, said, services.types, services.plans
        )
    return ReviewView(id=row.id, state=row.state, due_at=clock.iso(row.due_at))


async def _said(request: AnyRequest) -> str:
    body = Fields(await read_object(request))
    said = body.take(_text, "said")
    body.check()
    return said or ""


HANDLERS = [show_refusal, appeal, list_checks, dispute]
