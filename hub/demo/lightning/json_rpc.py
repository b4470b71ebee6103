"""A JSON-RPC call over HTTP with a user and a password, as bcoin and Electrum take it. Used by `chain.py` and
`electrum_node.py` to drive the network; what pays in a hub is `connectors/rails/electrum.py`."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from hub.demo.lightning.processes import NotReady

CALL_SECONDS = 60.0


class RpcError(NotReady):
    """The program answered with an error."""


class JsonRpc(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    user: str
    password: str

    async def call(self, method: str, *args: Any, timeout: float = CALL_SECONDS, **named: Any) -> Any:
        """Its result. Raises RpcError for its error, NotReady when it cannot be reached or says nothing."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": named or list(args)}
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=timeout),
                    headers={
                        "Authorization": aiohttp.encode_basic_auth(self.user, self.password),
                        "Content-Type": "application/json",
                    },
                ) as session,
                session.post(self.url, data=msgspec.json.encode(body)) as response,
            ):
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotReady(f"{method}: {type(error).__name__}") from error
        try:
            answer = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise RpcError(f"{method}: {response.status} {raw[:200]!r}") from error
        if answer.get("error"):
            raise RpcError(f"{method}: {answer['error']}")
        return answer["result"]
