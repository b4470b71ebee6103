"""One bounded HTTP request that is sent once, to the server of a wallet or to Strike. Called by `wallet_http.py` and
`strike_http.py`; what an answer means is said by the rails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.calls import NoAnswer, NotSent

CONNECT_SECONDS = 3.0


class Whole(NamedTuple):
    """An answer that arrived to its last byte."""

    status: int
    headers: Mapping[str, str]
    raw: bytes


async def sent_once(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    seconds: float,
    limit: int,
    json: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Whole:
    """The answer to one request, of `limit` bytes at most, within `seconds` in all.

    A connection of its own for every call: one that is kept open may be closed by the server while our request is on
    its way, and then nobody knows whether it arrived. No redirects, no retries, nothing from the environment.

    Raises NotSent when nothing can have arrived, NoAnswer when something may have."""
    import httpx  # 15 MB that a hub without such a rail never needs

    client = httpx.AsyncClient(
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
        verify=url.startswith("https:"),  # without TLS the list of authorities need not be read
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
    try:
        async with asyncio.timeout(seconds), client:
            request = client.build_request(
                method, url, headers=dict(headers), data=form, json=json, params=query
            )
            response = await client.send(request, stream=True)
            try:
                raw = b""
                async for chunk in response.aiter_bytes():
                    raw += chunk
                    if len(raw) > limit:
                        raise NoAnswer(f"the answer is longer than {limit} bytes")
            finally:
                await response.aclose()
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise NotSent(type(error).__name__) from error
    except httpx.HTTPError as error:
        raise NoAnswer(type(error).__name__) from error
    except TimeoutError as error:
        raise NoAnswer(f"no whole answer within {seconds:g} s") from error
    return Whole(response.status_code, dict(response.headers), raw)
