"""The httpx client for vendors whose calls we make ourselves, and one bounded, classified request with it. Made by the
hub's wiring, used by `connectors/<name>/client.py`."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.calls import Answer, NoAnswer, NotSent

if TYPE_CHECKING:
    import httpx  # imported where it is used: 15 MB that a hub without these connectors never needs

READ_SECONDS, CONNECT_SECONDS, POOL_SECONDS = 10.0, 3.0, 7.0  # `pool` is the wait for a free connection
MAX_ANSWER = 8 * 1024 * 1024  # bytes; a conversation of 500 parts is 1 to 2 MB


class VendorHttp:
    """The one client of a process, made when somebody first asks for it: a hub without such connectors never pays for
    it."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    def client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = new_client()
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def new_client() -> httpx.AsyncClient:
    """No redirects (a vendor's API host is fixed), no cookies (they pin a ServiceNow session to one node), nothing
    from the environment (a proxy or netrc there would see the tokens)."""
    import httpx

    return httpx.AsyncClient(
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=POOL_SECONDS),
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


async def send(client: httpx.AsyncClient, request: httpx.Request) -> Answer:
    """One request, sent once, its answer read up to MAX_ANSWER.

    Raises NotSent when nothing can have arrived, NoAnswer when something may have."""
    import httpx

    try:
        response = await client.send(request, stream=True)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise NotSent(type(error).__name__) from error
    except httpx.HTTPError as error:
        raise NoAnswer(type(error).__name__) from error
    try:
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise NoAnswer(f"the answer is longer than {MAX_ANSWER} bytes")
    except httpx.HTTPError as error:
        raise NoAnswer(type(error).__name__) from error
    finally:
        await response.aclose()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status_code, body=_json(body), headers=headers)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
