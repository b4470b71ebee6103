"""PagerDuty's REST API in the port's words: one read or write with its refusals as our errors, and paging. Used by
`reply.py`, `enrich.py`, `reconcile.py`, `doctor.py` and `setup.py`."""

from __future__ import annotations

from typing import Any, cast

from connectors.calls import Answer, NoAnswer, NotSent, failure_of, failure_of_status, seconds_to_wait
from connectors.connector import Tools
from connectors.pagerduty.client import Method, PagerDutyClient, Params
from connectors.pagerduty.settings import ID, PagerDutySettings
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable

SYSTEM = "PagerDuty"

# PagerDuty/developer-docs docs/REST-API/14-Errors.md
ALREADY_RESOLVED, ALREADY_ACKNOWLEDGED, REQUESTER_NOT_FOUND, MERGED = 1001, 1002, 1008, 1019
MISSING_ABILITY, NOT_FOUND, NOT_FOUND_TOO = 2014, 2100, 5001

PAGE = 100  # most entries of a page
MOST = 10_000  # classic pagination refuses offset + limit above this (docs/REST-API/06-Pagination.md)


class Refused(Exception):
    """PagerDuty's own words for a request it will not do, before they become an error of the port."""

    def __init__(self, answer: Answer):
        super().__init__(f"{answer.status}")
        self.answer = answer
        self.code = member(member(answer.body, "error"), "code")


class Api:
    """One account. Every call is one request; a refusal is `Refused`, everything else that is no 2xx an error of the
    port (Retryable, Uncertain for writes, Misconfigured)."""

    def __init__(self, client: PagerDutyClient):
        self.client = client

    async def call(
        self,
        method: Method,
        path: str,
        body: dict[str, Any] | None = None,
        params: Params | None = None,
        *,
        writes: bool,
    ) -> Answer:
        """Raises Refused for a 4xx that is about the request, Retryable, Uncertain or Misconfigured else."""
        try:
            answer = await self.client.call(method, path, body, params)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=writes) from problem
        if answer.ok:
            return answer
        if answer.status in range(400, 500) and answer.status not in (401, 403, 408, 429):
            raise Refused(answer)
        raise refusal(answer, writes=writes)

    async def read(self, path: str, params: Params | None = None) -> Answer:
        """GET. Raises Retryable, Rejected or Misconfigured."""
        try:
            return await self.call("GET", path, params=params, writes=False)
        except Refused as refused:
            raise refusal(refused.answer, writes=False) from refused

    async def listed(self, path: str, name: str, params: Params | None = None) -> list[dict[str, Any]]:
        """The objects under `name` of an answer that is not paged."""
        return objects((await self.read(path, params)).body, name)

    async def pages(
        self, path: str, name: str, params: Params | None = None, most: int = MOST
    ) -> tuple[list[dict[str, Any]], bool]:
        """(the objects under `name` of all pages, whether there were more than `most`)."""
        found: list[dict[str, Any]] = []
        offset = 0
        while True:
            answer = await self.read(path, {**(params or {}), "limit": PAGE, "offset": offset})
            page = objects(answer.body, name)
            found += page
            offset += PAGE
            if not page or member(answer.body, "more") is not True:
                return found, False
            if offset + PAGE > most:
                return found, True


def api(settings: PagerDutySettings, tools: Tools) -> Api:
    """The API of one connector file."""
    return Api(
        PagerDutyClient(
            settings.api_url,
            lambda: settings.auth.api_token.current(clock.now()),
            settings.auth.sender,
            tools.threads,
            pause=lambda seconds: tools.pauses.pause(settings.id, seconds),
        )
    )


def checked(ticket_id: str) -> str:
    """The id, fit for a path. Raises Rejected."""
    if not ID.match(ticket_id):
        raise Rejected("bad_ticket_id", f"{ticket_id[:40]!r} is not the id of a {SYSTEM} incident.")
    return ticket_id


def refusal(answer: Answer, *, writes: bool) -> HubError:
    """An answer that is not 2xx as one of the port's errors; the message holds PagerDuty's own words, which name the
    field it did not like."""
    error = member(answer.body, "error")
    code, message = member(error, "code"), str(member(error, "message") or "no message")[:200]
    details = member(error, "errors")
    if isinstance(details, list) and details:
        message += f" ({', '.join(str(item)[:200] for item in cast('list[object]', details)[:5])})"
    if answer.status in range(400, 500) and answer.status not in (401, 403, 408, 429):
        if code == REQUESTER_NOT_FOUND:
            return Misconfigured(
                "unknown_sender",
                f"{SYSTEM} knows no user with the address of auth.from (1008): {message}.",
                vendor_code=code,
            )
        if code == MERGED:
            return Rejected(
                "incident_merged",
                f"The incident was merged into another one (1019): {message}.",
                vendor_code=code,
            )
        if code == MISSING_ABILITY or answer.status == 402:
            return Rejected(
                "missing_ability",
                f"The account's plan does not allow this ({code}): {message}. Take the step out of outbound, or "
                "change the plan.",
                vendor_code=code,
            )
        if answer.status == 404 or code in (NOT_FOUND, NOT_FOUND_TOO):
            return Rejected(
                "ticket_gone", f"{SYSTEM} has no such incident ({code}): {message}.", vendor_code=code
            )
    # ratelimit-reset is seconds to go (docs/REST-API/04-Rate-Limits.md), and at times missing.
    wait = seconds_to_wait(answer.headers, "ratelimit-reset", "retry-after")
    return failure_of_status(answer, SYSTEM, f"code {code}, {message}", writes=writes, wait=wait)


def member(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def entry(value: object, name: str) -> dict[str, Any]:
    """The object under `name`, empty when there is none."""
    found = member(value, name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def objects(value: object, name: str) -> list[dict[str, Any]]:
    """The objects in the list under `name`. Raises Retryable when there is no such list: a broken answer."""
    found = member(value, name)
    if not isinstance(found, list):
        raise Retryable("strange_answer", f"{SYSTEM} answered without the list of {name}.")
    items = cast("list[object]", found)
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]
