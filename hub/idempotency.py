"""The header Idempotency-Key: an answer is written down in the transaction of its effect and given again, byte for
byte, to every later request with that key. Used by every changing route under `/v1` but the creation of a task, whose
own transaction keeps its key (`core/tasks/creation.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from core.access.keys import Caller
from core.db.hot import IDEMPOTENCY, insert_many
from core.db.unit_of_work import Transaction
from core.errors import Conflict, Forbidden, HubError, Invalid, NotFound, Unavailable
from core.tasks.tables import IdempotencyRecord
from hub import problems
from hub.api.decoding import idempotency_key
from hub.middleware import request_id
from hub.services import Services

_FINAL = (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
)  # an answer of the route itself; form faults and 5xx are not kept


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back to the caller; `body` is JSON, empty for 204."""

    status: int
    body: bytes = b""


class _Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One key of one caller on one route, and the digest of the body that first came with it."""

    identity: tuple[str, str, str, str, str]
    digest: str


class _TakenMeanwhile(Exception):
    """Somebody else with the same key was faster; our transaction is undone."""


async def once(
    services: Services,
    caller: Caller,
    request: Request[Any, Any, Any],
    name: str,
    effect: Callable[[Transaction], Awaitable[Answer]],
) -> Response[bytes]:
    """Run `effect` in the transaction `name`, once for each key. A second request waits for the first one's commit.
    Raises Invalid (422) for a known key with another body, and what `effect` raises."""
    slot = await _slot(caller, request)
    try:
        async with services.work.begin(name) as tx:
            before = await _stored(services, tx.session, slot)
            if before is None:
                answer = await effect(tx)
                if slot is not None and not await _keep(services, tx, slot, answer):
                    raise _TakenMeanwhile
                return _response(answer)
            return _response(before, replayed=True)
    except _TakenMeanwhile:
        return await _again(services, slot)
    except _FINAL as error:
        return await _freeze(services, request, slot, error)


async def once_outside(
    services: Services,
    caller: Caller,
    request: Request[Any, Any, Any],
    effect: Callable[[], Awaitable[Answer]],
) -> Response[bytes]:
    """As `once` for an effect with transactions, or calls to the outside, of its own: the answer is kept after it, so
    a crash in between lets a repeat run it again."""
    slot = await _slot(caller, request)
    async with services.work.read() as session:
        before = await _stored(services, session, slot)
    if before is not None:
        return _response(before, replayed=True)
    try:
        answer = await effect()
    except _FINAL as error:
        return await _freeze(services, request, slot, error)
    return await _settle(services, slot, answer)


async def _slot(caller: Caller, request: Request[Any, Any, Any]) -> _Slot | None:
    key = idempotency_key(request)
    if key is None:
        return None
    identity = (
        caller.organisation_id,
        str(caller.environment),
        request.method,
        request.scope["path"],
        key,
    )
    return _Slot(identity=identity, digest=hashlib.sha256(await request.body()).hexdigest())


async def _stored(services: Services, session: AsyncSession, slot: _Slot | None) -> Answer | None:
    record = None if slot is None else await session.get(IdempotencyRecord, slot.identity)
    if record is None or slot is None:
        return None
    if record.digest != slot.digest:
        what = "Used before with another request; use a new key for a new request"
        # not one of _FINAL by the time it counts: the record that exists wins over this answer
        raise Invalid(
            "idempotency_key_reused",
            "This idempotency key was used for another request",
            field_errors={"Idempotency-Key": what},
        )
    # Sealed, because the answer to a new endpoint holds its secret.
    return Answer(status=record.status_code, body=services.sealer.unseal(record.body.decode()).encode())


async def _keep(services: Services, tx: Transaction, slot: _Slot, answer: Answer) -> bool:
    """False when the key was taken meanwhile. The insert waits for a rival's commit."""
    sealed = services.sealer.seal(answer.body.decode()).encode()
    row = (*slot.identity, slot.digest, answer.status, sealed, await tx.now_ms())
    return bool(await insert_many(tx, IDEMPOTENCY, [row]))


async def _freeze(
    services: Services, request: Request[Any, Any, Any], slot: _Slot | None, error: HubError
) -> Response[bytes]:
    """Keep a refusal as the answer to its key. Without a key, or when the key belongs to another body, it is raised."""
    if slot is None or error.code == "idempotency_key_reused":
        raise error
    problem = problems.of_hub_error(error)
    body = msgspec.json.encode(problems.error_response(problem, request_id(request.scope)))
    return await _settle(services, slot, Answer(status=problem.status, body=body))


async def _settle(services: Services, slot: _Slot | None, answer: Answer) -> Response[bytes]:
    if slot is None:
        return _response(answer)
    async with services.work.begin("idempotency.keep") as tx:
        kept = await _keep(services, tx, slot, answer)
    return _response(answer) if kept else await _again(services, slot)


async def _again(services: Services, slot: _Slot | None) -> Response[bytes]:
    async with services.work.read() as session:
        answer = await _stored(services, session, slot)
    if answer is None:
        raise Unavailable("idempotency_race", "The first request with this key was undone; send it again")
    return _response(answer, replayed=True)


def _response(answer: Answer, *, replayed: bool = False) -> Response[bytes]:
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=headers)
