"""One call to Intercom with the official library, sent once over our own bounded HTTP client. The only file that
imports python-intercom; driven by `client.py`.

The library builds the request (path, body) and hands it to what it takes for an httpx client. Ours keeps the whole
answer, so that what the library's models would drop (error codes, rate-limit headers, unknown members) is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from connectors.calls import Answer
from connectors.vendor_http import READ_SECONDS, send
from core.replies.ticketing import Call

if TYPE_CHECKING:
    import httpx
    from intercom import AsyncIntercom

    Work = Callable[[AsyncIntercom, Any], Awaitable[object]]
else:
    Work = Callable[..., Awaitable[object]]

SECRET_HEADERS = frozenset({"authorization"})


class _Taken(Exception):
    """Instead of an answer: the request as it would have left."""

    def __init__(self, call: Call):
        super().__init__()
        self.call = call


class _Wire:
    """What the library uses of an httpx client. `answer` is what came back, whatever the library makes of it."""

    timeout = SimpleNamespace(read=READ_SECONDS)

    def __init__(self, http: httpx.AsyncClient, *, dry: bool = False):
        self._http = http
        self._dry = dry
        self.answer: Answer | None = None

    async def request(self, *, method: str, url: str, **arguments: Any) -> httpx.Response:
        # It passes its own time-out as one number for everything; the client's tells connecting from reading.
        arguments.pop("timeout", None)
        request = self._http.build_request(method, url, **arguments)
        if self._dry:
            raise _Taken(call_of(request))
        self.answer = await send(self._http, request)
        import httpx  # here already: the client is one of its

        return httpx.Response(
            self.answer.status,
            headers={"content-type": "application/json"},
            json=self.answer.body,
            request=request,
        )


@cache
def library() -> Any:
    """The names that are used of the library. Importing them costs 0.7 s and 17 MB, so it happens on the first call,
    in a thread (`load`); a hub without an Intercom connector never pays."""
    from intercom import AsyncIntercom
    from intercom.conversations.types import conversations_manage_request_body as manage
    from intercom.core.api_error import ApiError
    from intercom.types import (
        AdminReplyConversationRequest,
        AdminReplyTicketRequest,
    )

    client: Any = AsyncIntercom(token="", base_url="http://127.0.0.1", httpx_client=cast("Any", _Wire))
    _ = (client.conversations, client.tickets, client.tags, client.admins, client.teams, client.contacts)
    return SimpleNamespace(
        AsyncIntercom=AsyncIntercom,
        ApiError=ApiError,
        ConversationReply=AdminReplyConversationRequest,
        TicketReply=AdminReplyTicketRequest,
        Close=manage.ConversationsManageRequestBody_Close,
        Open=manage.ConversationsManageRequestBody_Open,
        Snoozed=manage.ConversationsManageRequestBody_Snoozed,
        Assignment=manage.ConversationsManageRequestBody_Assignment,
    )


async def load() -> Any:
    """`library()`, imported in a thread the first time."""
    return await asyncio.to_thread(library)


class Caller:
    """Calls of one connector. `token` is asked before every call, so that a rotated one counts at once."""

    def __init__(
        self, http: Callable[[], httpx.AsyncClient], url: str, token: Callable[[], str], version: str
    ):
        self._http = http
        self._url = url
        self._token = token
        # The library sends none, and then the workspace's own default version decides what a body means.
        self._headers = {"Intercom-Version": version}

    async def through(self, work: Work) -> Answer:
        """The answer to the one request that `work(api, names)` makes. Raises NotSent, NoAnswer."""
        names = await load()
        wire = _Wire(self._http())
        try:
            await work(self._api(names, wire), names)
        except (names.ApiError, ValueError, TypeError, KeyError, AttributeError):
            # Not 2xx, or a body that its models cannot hold. The answer is kept; who called judges it by its status.
            if wire.answer is None:
                raise
        assert wire.answer is not None  # a method of the library is one request
        return wire.answer

    def preview(self, work: Work) -> Call:
        """The request as `through` would send it, without the token."""
        names = library()
        waiting = work(self._api(names, _Wire(self._http(), dry=True)), names)
        try:
            cast("Any", waiting).send(None)  # nothing in there waits: the wire answers before it would
        except _Taken as taken:
            return taken.call
        raise RuntimeError("the library made no request")

    async def plain(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, version: str | None = None
    ) -> Answer:
        """A request that the library has no method for. Raises NotSent, NoAnswer."""
        return await send(self._http(), self._request(method, path, body, version))

    def preview_plain(self, method: str, path: str, body: dict[str, Any], *, version: str) -> Call:
        return call_of(self._request(method, path, body, version))

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, version: str | None
    ) -> httpx.Request:
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json", **self._headers}
        if version is not None:
            headers["Intercom-Version"] = version
        return self._http().build_request(method, f"{self._url}/{path}", json=body, headers=headers)

    def _api(self, names: Any, wire: _Wire) -> Any:
        # `max_retries` stays unset: its retries would repeat a POST after a 500 that had been committed.
        return names.AsyncIntercom(
            token=self._token, base_url=self._url, headers=self._headers, httpx_client=cast("Any", wire)
        )


def call_of(request: httpx.Request) -> Call:
    headers = {name: value for name, value in request.headers.items() if name not in SECRET_HEADERS}
    return Call(method=request.method, url=str(request.url), headers=headers, body=request.content)
