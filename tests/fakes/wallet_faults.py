"""Faults of the simulated Lightning wallets (`phoenixd.py`, `lnbits.py`): one per coming request, payments and other
requests apart, served on a loopback port inside the test's own event loop."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum

from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.rails.bolt11_encode import NewInvoice, encode
from core import clock

PAYEE_KEY = bytes.fromhex(
    "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"
)  # BOLT #11's own


class Fault(Enum):
    """What goes wrong with one request. "After" means that the wallet has done it."""

    NONE = "none"
    SERVER_ERROR_BEFORE = "500 before"
    SERVER_ERROR_AFTER = "500 after"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    TIMEOUT_AFTER = "time-out after"
    HALF_A_BODY = "half a body"
    HTML = "an HTML page"
    NOTHING = "an empty body"
    GARBAGE_JSON = "JSON of another form"
    TOO_LONG = "a body without end"
    REDIRECT = "a redirect"
    PROXY_404 = "a proxy's 404"
    WRONG_HASH = "another payment's answer"
    WRONG_PREIMAGE = "a preimage that does not match"


# After these the payment is made, and only its answer is bad.
AFTER = (
    Fault.SERVER_ERROR_AFTER,
    Fault.RESET_AFTER,
    Fault.TIMEOUT_AFTER,
    Fault.HALF_A_BODY,
    Fault.HTML,
    Fault.NOTHING,
    Fault.GARBAGE_JSON,
    Fault.TOO_LONG,
    Fault.WRONG_HASH,
    Fault.WRONG_PREIMAGE,
)
BEFORE = (Fault.SERVER_ERROR_BEFORE, Fault.RESET_BEFORE, Fault.REDIRECT, Fault.PROXY_404)


class Payee:
    """Whoever is paid: makes invoices and knows their preimages. `received` is his word, in msat by payment hash; each
    hash is settled once, as a payee's node does it."""

    def __init__(self) -> None:
        self.preimages: dict[str, str] = {}
        self.received: dict[str, int] = {}
        self.settlements: list[str] = []

    def invoice(self, amount_msat: int, *, network: str = "bcrt", made_at_s: int | None = None) -> str:
        preimage = secrets.token_bytes(32)
        payment_hash = hashlib.sha256(preimage).hexdigest()
        self.preimages[payment_hash] = preimage.hex()
        return encode(
            NewInvoice(
                network=network,
                payment_hash=payment_hash,
                payment_secret=secrets.token_hex(32),
                timestamp=clock.unix() if made_at_s is None else made_at_s,
                amount_msat=amount_msat,
                description="a verified answer",
            ),
            PAYEE_KEY,
        )

    def take(self, payment_hash: str, amount_msat: int) -> str:
        """The money arrives; gives the preimage."""
        self.settlements.append(payment_hash)
        self.received[payment_hash] = self.received.get(payment_hash, 0) + amount_msat
        return self.preimages[payment_hash]


class Faults:
    """What happens to the coming requests: `payments` for those that pay, `others` for all else."""

    def __init__(self, payee: Payee, is_payment: Callable[[web.Request], bool]) -> None:
        self.payments: deque[Fault] = deque()
        self.others: deque[Fault] = deque()
        self.released = asyncio.Event()
        self.requests: list[str] = []
        self._payee = payee
        self._is_payment = is_payment

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        script = self.payments if self._is_payment(request) else self.others
        fault = script.popleft() if script else Fault.NONE
        before = _before(request, fault)
        if before is not None:
            return before
        response = await handler(request)
        assert isinstance(response, web.Response)
        return await self._after(request, fault, response)

    async def _after(self, request: web.Request, fault: Fault, response: web.Response) -> web.StreamResponse:
        assert isinstance(response.body, bytes)
        match fault:
            case Fault.SERVER_ERROR_AFTER:
                return web.Response(status=500, text="an unknown error occurred")
            case Fault.RESET_AFTER:
                _reset(request)
            case Fault.TIMEOUT_AFTER:
                await self.released.wait()
            case Fault.HALF_A_BODY:
                return await _half(request, response.body)
            case Fault.HTML:
                return web.Response(text="<html>upstream</html>", content_type="text/html")
            case Fault.NOTHING:
                return web.Response()
            case Fault.GARBAGE_JSON:
                return web.json_response([{"paymentHash": 7, "status": {"success": True}, "paid": "yes"}])
            case Fault.TOO_LONG:
                return web.Response(body=response.body + b" " * 100_000)
            case Fault.WRONG_HASH:
                return _changed(response, self._payee.preimages, "hash")
            case Fault.WRONG_PREIMAGE:
                return _changed(response, self._payee.preimages, "preimage")
            case _:
                pass
        return response


@asynccontextmanager
async def serve(app: web.Application, faults: Faults) -> AsyncIterator[str]:
    """Run it on 127.0.0.1 and a free port; gives the URL. Hanging answers are let go at the end."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        faults.released.set()
        await runner.cleanup()


def _before(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    match fault:
        case Fault.SERVER_ERROR_BEFORE:
            return web.Response(status=500, text="an unknown error occurred")
        case Fault.RESET_BEFORE:
            _reset(request)
            return web.Response()
        case Fault.REDIRECT:
            return web.Response(status=307, headers={"Location": str(request.url.with_path("/elsewhere"))})
        case Fault.PROXY_404:
            return web.Response(
                status=404, text="<html><h1>404 Not Found</h1></html>", content_type="text/html"
            )
        case _:
            return None


def _changed(response: web.Response, preimages: dict[str, str], what: str) -> web.Response:
    """The same answer with every payment hash, or every preimage, replaced by another one."""
    assert isinstance(response.body, bytes)
    text = response.body.decode()
    other = secrets.token_hex(32)
    for payment_hash, preimage in preimages.items():
        text = text.replace(payment_hash if what == "hash" else preimage, other)
    return web.Response(status=response.status, text=text, content_type=response.content_type)


async def _half(request: web.Request, body: bytes) -> web.StreamResponse:
    """The headers promise the whole body; half of it comes, then the end of the connection."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _reset(request)
    return response


def _reset(request: web.Request) -> None:
    transport = request.transport
    assert transport is not None
    transport.abort()
