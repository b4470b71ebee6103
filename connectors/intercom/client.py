"""Intercom's REST API as the connector uses it: every failure as one of the port's errors, and the rate limit's headers
obeyed. Driven by `reply.py`, `enrich.py`, `reconcile.py` and `doctor.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from connectors.calls import Answer, NoAnswer, NotSent, failure_of, failure_of_status, seconds_to_wait
from connectors.connector import Tools
from connectors.intercom.calling import Caller, Work
from connectors.intercom.settings import IntercomSettings
from connectors.intercom.shapes import member, objects
from connectors.pauses import Pauses
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable
from core.replies.ticketing import Call, Moot

SYSTEM = "Intercom"
PREVIEW = "Preview"  # the only API version that has /procedures
WINDOW = 10.0  # seconds in which Intercom counts calls
PAGE = 150  # the most that a search gives at once


class IntercomClient:
    """Each method makes one request and gives its JSON. Raises the errors of core/replies/ticketing."""

    def __init__(self, caller: Caller, connector_id: str, pauses: Pauses):
        self._caller = caller
        self._connector_id = connector_id
        self._pauses = pauses

    async def ask(self, work: Work, *, writes: bool = False) -> Any:
        """The body of a 2xx answer to the library's request."""
        try:
            answer = await self._caller.through(work)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=writes) from problem
        return self._judged(answer, writes=writes)

    async def answer_procedure(self, number: str, body: dict[str, Any]) -> None:
        """Fin takes the first answer: 409 means that somebody else gave it, 404 that the step has expired. The address
        is made of the region and a checked id; the notification's `callback_url` would get our token sent anywhere.

        Raises Moot for these two."""
        try:
            answer = await self._caller.plain("POST", procedure_path(number), body, version=PREVIEW)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=True) from problem
        if answer.status in (404, 409):
            self._obey(answer)
            raise Moot("answered_or_expired", f"{SYSTEM}: {said(answer)}.", status=answer.status)
        self._judged(answer, writes=True)

    def preview(self, work: Work) -> Call:
        return self._caller.preview(work)

    def preview_procedure(self, number: str, body: dict[str, Any]) -> Call:
        return self._caller.preview_plain("POST", procedure_path(number), body, version=PREVIEW)

    async def thing(self, number: str, *, ticket: bool, plain_text: bool = False) -> Any:
        """A conversation with its (at most 500 newest) parts, or a ticket with its parts."""
        if ticket:
            return await self.ask(lambda api, _: api.tickets.get(number))
        display = "plaintext" if plain_text else None
        return await self.ask(lambda api, _: api.conversations.find(number, display_as=display))

    async def search(self, kind: str, since: int, after: str | None) -> Any:
        """One page of the conversations or tickets that changed after `since` (unix seconds). The pages are ours to
        turn: the library's pager asks for the same page again for ever (5.0.1)."""
        query = {"operator": "AND", "value": [{"field": "updated_at", "operator": ">", "value": since}]}
        page: dict[str, Any] = {"per_page": PAGE, **({"starting_after": after} if after else {})}
        return await self.ask(lambda api, _: getattr(api, kind).search(query=query, pagination=page))

    async def turn(self) -> None:
        """Wait for the next window when this one is used up: a look at a thousand conversations takes several. Raises
        Retryable when Intercom wants to be left alone for longer."""
        wait = self._pauses.wait(self._connector_id)
        if wait > 2 * WINDOW:
            raise Retryable("paused", f"{SYSTEM} asked for a pause.", after=wait)
        await asyncio.sleep(wait)

    async def headers(self, work: Work) -> Answer:
        """The whole answer of a read, for the doctor, who also looks at its headers."""
        try:
            answer = await self._caller.through(work)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=False) from problem
        self._judged(answer, writes=False)
        return answer

    def _judged(self, answer: Answer, *, writes: bool) -> Any:
        self._obey(answer)
        if not answer.ok:
            raise refusal(answer, writes=writes)
        return answer.body

    def _obey(self, answer: Answer) -> None:
        if answer.status == 429 or answer.headers.get("x-ratelimit-remaining", "").strip() == "0":
            self._pauses.pause(self._connector_id, wait_of(answer.headers) or 1.0)


def client(settings: IntercomSettings, tools: Tools) -> IntercomClient:
    """A client for one connector file."""
    caller = Caller(
        tools.http,
        settings.api_url,
        lambda: settings.auth.access_token.current(clock.now()).reveal(),
        settings.api_version,
    )
    return IntercomClient(caller, settings.id, tools.pauses)


def procedure_path(number: str) -> str:
    return f"procedures/{number}/collect_agent_input"


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Seconds until the window is over. X-RateLimit-Reset is a unix time, unlike most vendors'
    (developers.intercom.com, "Rate limiting"); windows are 10 s, so what lies a day ahead is no reset time."""
    reset = headers.get("x-ratelimit-reset", "").strip()
    if reset.isascii() and reset.isdigit() and len(reset) <= 11:
        ahead = int(reset) - clock.unix()
        if 0 <= ahead <= 86_400:
            return float(ahead)
    return seconds_to_wait(headers, "retry-after")


def refusal(answer: Answer, *, writes: bool) -> HubError:
    """An answer that is not 2xx as one of the port's errors."""
    if answer.status == 404:
        return Rejected("ticket_gone", f"{SYSTEM} has no such thing (404): {said(answer)}.", status=404)
    if answer.status == 402:
        return Misconfigured("plan_restricted", f"{SYSTEM}'s plan does not allow this: {said(answer)}.")
    if answer.status == 409:
        # Two writes to one conversation at a time; nothing of ours was stored.
        return Retryable("conflict", f"{SYSTEM} was busy with this one (409): {said(answer)}.", status=409)
    wait = wait_of(answer.headers)
    return failure_of_status(answer, SYSTEM, said(answer), writes=writes, wait=wait)


def said(answer: Answer) -> str:
    """Code, field and message of each error, and the request id that Intercom's support asks for."""
    errors = [
        " ".join(str(one[name])[:200] for name in ("code", "field", "message") if one.get(name))
        for one in objects(member(answer.body, "errors"))[:5]
    ]
    request_id = member(answer.body, "request_id")
    known = "; ".join(errors) or "no reason given"
    return f"{known} (request {str(request_id)[:64]})" if request_id else known
