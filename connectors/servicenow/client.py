"""ServiceNow's REST API through plain httpx: credentials, rate limits and the errors of the port. Driven by `reply.py`,
`enrich.py`, `reconcile.py` and `doctor.py`."""

from __future__ import annotations

import base64
import json
import logging
import random
from collections.abc import Mapping
from typing import Any, Literal, cast
from urllib.parse import urlencode

from connectors.calls import Answer, NoAnswer, NotSent, failure_of, failure_of_status, seconds_to_wait
from connectors.connector import Tools
from connectors.servicenow.records import members
from connectors.servicenow.settings import SYS_ID, ServiceNowSettings
from connectors.servicenow.token import SYSTEM, bearer, forget, shared_of
from connectors.vendor_http import send
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.replies.ticketing import Call
from core.secret import Secret

log = logging.getLogger(__name__)
Method = Literal["GET", "PATCH", "PUT"]
VALUES = {"sysparm_exclude_reference_link": "true", "sysparm_display_value": "false"}
WHOLE_HOUR = 3600


class ServiceNowClient:
    """Calls of one connector. Never retried here, but for one 401: the token may have been revoked before its time,
    and a refused call did nothing."""

    def __init__(self, settings: ServiceNowSettings, tools: Tools):
        self.settings = settings
        self._http = tools.http
        self._pauses = tools.pauses
        self._shared = shared_of(tools.pauses, settings)

    async def call(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The 2xx answer. `path` is made of constants, the file's table and checked ids.

        Raises Retryable, Uncertain (for a PATCH or PUT that may have been done), Rejected or Misconfigured."""
        writes = method != "GET"
        answer = await self._sent(method, path, query, body)
        if answer.status in (200, 201):
            return answer
        if answer.status == 429:
            raise self._slower(answer)
        if answer.status == 202:
            raise self._queued(answer, writes)
        raise refusal(answer, writes=writes)

    async def any_answer(self, method: Method, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Whatever was answered, for the doctor and for answers that say more than yes or no. Raises as `call` does,
        but only when there is none."""
        return await self._sent(method, path, query, None)

    async def put(self, path: str, body: Mapping[str, Any]) -> Answer:
        """A PUT whose 4xx the caller reads itself; 429, 202, 401, 403 and 5xx raise as in `call`."""
        answer = await self._sent("PUT", path, None, body)
        if answer.status == 429:
            raise self._slower(answer)
        if answer.status == 202:
            raise self._queued(answer, True)
        if answer.status in (401, 403, 408) or answer.status >= 500:
            raise refusal(answer, writes=True)
        return answer

    def preview(
        self, method: Method, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any]
    ) -> Call:
        """The request as `call` would send it, without credentials."""
        url = self.settings.api_url + path + (f"?{urlencode(query)}" if query else "")
        return Call(method=method, url=url, headers=dict(_JSON), body=_encoded(body))

    def pause(self, seconds: float) -> None:
        """No calls of this connector for so long."""
        self._pauses.pause(self.settings.id, seconds)

    async def _sent(
        self, method: Method, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> Answer:
        authorization, token = await self._authorization()
        answer = await self._once(method, path, query, body, authorization)
        if answer.status == 401 and token is not None:
            forget(self._shared, token)
            authorization, token = await self._authorization()
            answer = await self._once(method, path, query, body, authorization)
        self._heed(answer)
        return answer

    async def _once(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        authorization: str,
    ) -> Answer:
        client = self._http()
        request = client.build_request(
            method,
            self.settings.api_url + path,
            params=dict(query) if query else None,
            content=None if body is None else _encoded(body),
            headers={**(_JSON if body is not None else _ACCEPT), "authorization": authorization},
        )
        try:
            async with self._shared.places:
                return await send(client, request)
        except (NotSent, NoAnswer) as problem:
            raise failure_of(problem, SYSTEM, writes=method != "GET") from problem

    async def _authorization(self) -> tuple[str, Secret | None]:
        auth = self.settings.auth
        if auth.method == "client_credentials":
            token = await bearer(self._shared, self.settings, self._http)
            return f"Bearer {token.reveal()}", token
        password = auth.password.current(clock.now()) if auth.password is not None else Secret("")
        if not password:
            raise Misconfigured("no_password", "auth.password is empty: set what it refers to.")
        if not self._shared.warned:
            self._shared.warned = True
            log.warning(
                "servicenow.basic_auth: %s signs in with a password, which ServiceNow restricts since 2026-06; "
                "use `method: client_credentials`",
                self.settings.id,
            )
        return "Basic " + base64.b64encode(f"{auth.username}:{password.reveal()}".encode()).decode(), None

    def _heed(self, answer: Answer) -> None:
        """The hour's last call is used up: say so before a 429 has to."""
        if answer.headers.get("x-ratelimit-remaining", "").strip() == "0":
            self.pause(_until_reset(answer.headers) or 60.0)

    def _slower(self, answer: Answer) -> Retryable:
        """A 429. With headers it is a rule of so many calls an hour (inbound-REST-API-rate-limiting.md); without them
        the queue of the node's API threads is full (KB0694711), and everybody who was refused must not come back
        at once."""
        wait = seconds_to_wait(answer.headers, "retry-after") or _until_reset(answer.headers)
        if wait is None:
            wait = 5.0 + random.uniform(0.0, 10.0)  # noqa: S311 -- spreads the load, guards nothing
        self.pause(wait)
        return Retryable(
            "rate_limited",
            f"{SYSTEM} asks for fewer calls: {said(answer)}.",
            after=wait,
            status=answer.status,
        )

    def _queued(self, answer: Answer, writes: bool) -> HubError:
        """202: the session's queue is full and the call may still be run (KB3047080)."""
        self.pause(10.0)
        if writes:
            return Uncertain("queued", f"{SYSTEM} queued the write (202) without an outcome.", status=202)
        return Retryable("queued", f"{SYSTEM} queued the call (202).", after=10.0, status=202)


def refusal(answer: Answer, *, writes: bool) -> HubError:
    """An answer that is not 2xx as one of the port's errors. A 403 is about one record or field (an ACL, a mandatory
    field) more often than about our credentials, so it is a refusal of this write; ServiceNow's 401 is the other."""
    if answer.status == 404:
        return Rejected(
            "ticket_gone",
            f"{SYSTEM} has no such record, or the integration user may not read it ({said(answer)}).",
            status=404,
        )
    if answer.status == 403:
        return Rejected(
            "write_refused" if writes else "read_refused",
            f"{SYSTEM} refused ({said(answer)}). Check the ACLs of the integration user, and the fields that a data "
            "policy makes mandatory (close_code, close_notes).",
            status=403,
        )
    wait = seconds_to_wait(answer.headers, "retry-after")
    return failure_of_status(answer, SYSTEM, said(answer), writes=writes, wait=wait)


def said(answer: Answer) -> str:
    """ServiceNow's own words: `{"error": {"message", "detail"}, "status": "failure"}`, or an OAuth error's text."""
    error: object = members(answer.body).get("error")
    parts = [members(cast("object", error)).get("message"), members(cast("object", error)).get("detail")]
    if isinstance(error, str):
        parts = [error]
    words = ": ".join(str(part)[:200] for part in parts if part)
    return words or f"status {answer.status} without a reason"


def result_of(answer: Answer) -> dict[str, Any]:
    """The `result` object. Raises Retryable when there is none: a proxy's page, or an unknown version."""
    result = members(answer.body).get("result")
    if not isinstance(result, dict):
        raise Retryable("no_result", f"{SYSTEM} answered {answer.status} without a result.")
    return cast("dict[str, Any]", result)


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """The `result` list. Raises Retryable when there is none."""
    result = members(answer.body).get("result")
    if not isinstance(result, list):
        raise Retryable("no_result", f"{SYSTEM} answered {answer.status} without a list.")
    rows = cast("list[object]", result)
    return [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict)]


def sys_id(ticket_id: str) -> str:
    """The id, fit for a path. Raises Rejected."""
    if not SYS_ID.match(ticket_id):
        raise Rejected("bad_ticket_id", f"{ticket_id[:40]!r} is not the sys_id of a {SYSTEM} record.")
    return ticket_id


_ACCEPT = {"accept": "application/json"}
_JSON = {"accept": "application/json", "content-type": "application/json"}


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()  # ASCII alone, so that no charset can come between


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """X-RateLimit-Reset is the unix time of the next hour, in seconds."""
    text = headers.get("x-ratelimit-reset", "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return None
    left = int(text) - clock.unix()
    return float(left) if 0 < left <= WHOLE_HOUR else None
