"""JSON-RPC with Electrum's daemon: one call, its result in the form asked for, or NodeTrouble. Used by `electrum.py`."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from connectors.rails.node_http import MAX_LINE, NodeHttp, NodeTrouble, said
from core.secret import Secret

ASK_SECONDS = 8.0
MAX_HISTORY = 64 * 1024 * 1024  # bytes; the history comes whole, about 400 bytes a payment
_REFUSED = (401, 403)

FormT = TypeVar("FormT")


class ElectrumSaid(NodeTrouble):
    """The daemon answered with an error. Its words say nothing about HTLCs: "paid already" is one of them."""


class _Answer(msgspec.Struct, frozen=True):
    id: int
    result: msgspec.Raw = msgspec.Raw()
    error: dict[str, Any] | None = None


def basic(user: str, password: Secret) -> Secret:
    """The credential as the header `Authorization` carries it."""
    return Secret("Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode())


class ElectrumRpc:
    """One wallet of one daemon, over one session. `wallet` is its file's path there, empty for the daemon's default."""

    def __init__(self, http: NodeHttp, session: aiohttp.ClientSession, wallet: str):
        self._http = http
        self._session = session
        self._wallet = {"wallet": wallet} if wallet else {}
        self._ids = itertools.count(1)

    async def daemon(self, method: str, form: type[FormT], **params: object) -> FormT:
        """A question to the daemon. Raises NodeTrouble."""
        return await self._call(method, params, form, ASK_SECONDS, MAX_LINE)

    async def wallet(self, method: str, form: type[FormT], **params: object) -> FormT:
        """A question to the wallet. Raises ElectrumSaid ("wallet not loaded"), NodeTrouble."""
        return await self._call(method, params | self._wallet, form, ASK_SECONDS, MAX_HISTORY)

    async def pay(self, invoice: str, form: type[FormT], *, seconds: float) -> FormT:
        """`lnpay`. The daemon tries for two minutes, whether we listen or not. Raises as above."""
        return await self._call("lnpay", {"invoice": invoice, **self._wallet}, form, seconds, MAX_LINE)

    async def _call(
        self, method: str, params: Mapping[str, object], form: type[FormT], seconds: float, limit: int
    ) -> FormT:
        number = next(self._ids)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = await self._http.call(self._session, "POST", "/", body, timeout=seconds, limit=limit)
        if answer.status in _REFUSED:
            raise NodeTrouble(
                f"it refuses the user or the password ({answer.status}); see connectors/rails/README.md"
            )
        if answer.status != 200:
            raise NodeTrouble(f"it answered {answer.status}: {said(answer.body.decode(errors='replace'))}")
        try:
            read = msgspec.json.decode(answer.body, type=_Answer)
            if read.id != number:
                raise NodeTrouble("it answered another question")
            if read.error is not None:
                raise ElectrumSaid(said(str(read.error.get("message", "an error without words"))))
            return msgspec.json.decode(read.result, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NodeTrouble(f"its answer to {method} cannot be read") from error
