"""The one HTTP client for calls to addresses that strangers choose: webhook deliveries, Lightning addresses.
Every connection passes `target_guard`; no redirects, cookies, proxies or unbounded answers. A failure says whether
the request may have left, because that decides between trying again and looking first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from types import SimpleNamespace
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from connectors.target_guard import (
    NOTHING,
    ORDINARY_PORTS,
    Allow,
    TargetRefused,
    Way,
    admit,
    refusal,
    socket_factory,
)
from core.errors import HubError, Rejected, Retryable, Uncertain

BODY_HEAD_BYTES = 2048
BODY_GRACE = 2.0  # seconds for the head of a body once the status is in: the status is the answer
CONNECT_TIMEOUT = 10.0  # seconds for TCP and TLS
USER_AGENT = "humanrail-hub"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever the status. Header names are lower case; of a repeated header the first counts."""

    status: int
    headers: dict[str, str]
    body_head: bytes  # at most BODY_HEAD_BYTES; keep it from other tenants


class _Progress:
    """How far one request got. `connected` is set before its first byte can leave, so that a failure seen with
    it unset certainly did not reach the other side's application."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False


class OutboundHttp:
    """Async context manager around the connection pools; one for the process, closed at shutdown.

    `allow`: the operator's exceptions. `ports`: what unlisted targets may listen on. `before_call`: run first in
    every call, raises to forbid it (the hub passes its check for an open database transaction).
    """

    def __init__(
        self,
        *,
        allow: Allow = NOTHING,
        ports: frozenset[int] = ORDINARY_PORTS,
        before_call: Callable[[], None] = lambda: None,
        connections: int = 100,
        connections_per_host: int = 8,
    ):
        self._allow = allow
        self._ports = ports
        self._before_call = before_call
        self._connections = connections
        self._connections_per_host = connections_per_host  # a dead endpoint must not hold everybody's places
        self._sessions: dict[Way, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        self._sessions = {way: self._session(way) for way in Way}
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """POST once; `timeout` in seconds spans everything. Any status is an `Answer`, redirects included.

        Raises `Rejected` (bad URL, target refused: never left), `Retryable` (no connection: never left),
        `Uncertain` (the connection stood and no status came back: it may have been processed).
        """
        progress = _Progress()
        try:
            async with asyncio.timeout(timeout) as deadline:
                async with self._request("POST", url, progress, data=body, headers=headers) as answer:
                    # From here on the outcome is known; a body that drips or breaks changes nothing.
                    deadline.reschedule(None)
                    head = await _head(answer)
                    return Answer(status=answer.status, headers=_first_headers(answer), body_head=head)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise _failure(error, url, progress) from error

    async def get(
        self, url: str, *, max_bytes: int, timeout: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of a 200. A GET changes nothing on the other side, so no failure of it is `Uncertain`.

        Raises `Retryable` (no connection, cut, timed out after `timeout` seconds, 408, 429, 5xx; `after` from a
        numeric Retry-After) and `Rejected` (bad URL, target refused, any other status, more than `max_bytes`,
        a compressed body although none was asked for).
        """
        progress, body = _Progress(), bytearray()
        try:
            async with asyncio.timeout(timeout):
                async with self._request("GET", url, progress, data=None, headers=headers or {}) as answer:
                    _demand_plain_200(answer)
                    await _read(answer, max_bytes + 1, body)
        except (aiohttp.ClientError, OSError) as error:
            failure = _failure(error, url, progress)
            if isinstance(failure, Uncertain):
                raise Retryable(failure.code, f"no answer: {_describe(error)}") from error
            raise failure from error
        if len(body) > max_bytes:
            raise Rejected("answer_too_big", f"the answer is larger than {max_bytes} bytes")
        return bytes(body)

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: str, progress: _Progress, *, data: bytes | None, headers: Mapping[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        self._before_call()
        target, way = admit(url, self._allow, ports=self._ports)
        if not self._sessions:
            raise RuntimeError("OutboundHttp is used outside its `async with`")
        answer = await self._sessions[way].request(
            method, target, data=data, headers=headers, allow_redirects=False, trace_request_ctx=progress
        )
        try:
            yield answer
        finally:
            # Closes the connection when the body was not read to its end; a 10 GB rest is never drained.
            answer.close()

    def _session(self, way: Way) -> aiohttp.ClientSession:
        gate = None if way is Way.NAMED else socket_factory(self._allow, way)
        connector = aiohttp.TCPConnector(
            socket_factory=gate,
            limit=self._connections,
            limit_per_host=self._connections_per_host,
            keepalive_timeout=15,  # below the usual 60 s of servers and proxies: fewer posts on dying connections
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # HTTP_PROXY would carry the call around the gate
            auto_decompress=False,  # 2 KB of gzip may be 2 MB of text
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            # Total time is `asyncio.timeout` in post and get, which also spans the body.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            read_bufsize=8192,
            max_line_size=4096,
            max_field_size=4096,
            max_headers=64,
            trace_configs=[_tracing()],
        )


def _tracing() -> aiohttp.TraceConfig:
    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(connected)
    return config


async def _read(answer: aiohttp.ClientResponse, limit: int, into: bytearray) -> None:
    """Append up to `limit` bytes, fewer only at the end of the body."""
    while len(into) < limit:
        part = await answer.content.read(limit - len(into))
        if not part:
            return
        into += part


async def _head(answer: aiohttp.ClientResponse) -> bytes:
    """What of the first BODY_HEAD_BYTES arrives whole within BODY_GRACE."""
    head = bytearray()
    # The delivery is judged by its status, which is known; a body that drips or breaks off is shown as far as it came.
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(BODY_GRACE):
            await _read(answer, BODY_HEAD_BYTES, head)
    return bytes(head)


def _first_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in answer.headers.items():
        found.setdefault(name.lower(), value)
    return found


def _demand_plain_200(answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if status in (408, 429) or status >= 500:
        after = answer.headers.get("Retry-After", "")
        seconds = float(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
        raise Retryable("http_status", f"the server answered {status}", after=seconds, status=status)
    if status != 200:
        raise Rejected("http_status", f"the server answered {status}", status=status)
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Rejected("answer_encoded", "the server compressed its answer although identity was asked for")


def _failure(error: aiohttp.ClientError | OSError, url: str, progress: _Progress) -> HubError:
    if isinstance(error, aiohttp.InvalidURL):
        return Rejected("bad_url", "this is not a URL")
    cause = getattr(error, "os_error", None)  # ClientConnectorCertificateError is one that has none
    if isinstance(cause, OSError) and cause.errno == TargetRefused.ERRNO:
        address = cause.address if isinstance(cause, TargetRefused) else None
        return refusal(URL(url), str(cause.strerror), address)
    what = _describe(error)
    if (
        isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        or not progress.connected
    ):
        return Retryable("unreachable", f"no connection: {what}")
    return Uncertain("no_answer", f"the request may have arrived, no answer came back: {what}")


def _describe(error: BaseException) -> str:
    """A sentence for the delivery log, without addresses of ours."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its TLS certificate is not valid for this host"
    if isinstance(error, aiohttp.ClientSSLError):
        return "the TLS handshake failed"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.splitlines()[0][:200]
    return type(error).__name__
