"""A worker's address that cannot be paid, through the real payout machine, the real HTTP client with its target guard, and a
server that errs or cheats: the payout keeps its state, worker and operator read why, and the money stays where it was."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from connectors.http import OutboundHttp
from connectors.rails.lightning_address import LightningAddresses
from connectors.rails.sandbox import FILE_NAME, NETWORK
from connectors.rails.sandbox_wallets import SandboxWallets
from connectors.target_guard import parse_allow
from core import clock
from core.db.unit_of_work import UnitOfWork, refuse_open_transaction
from core.payouts import desk
from core.payouts.prepare import Means
from core.payouts.queries import payouts_of
from core.payouts.words import STUCK
from tests.factories import SAT, balance, held
from tests.payout_lab import Lab

AMOUNT = 500 * SAT
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Cheat:
    """A wallet's server on this machine; `second` answers the callback."""

    def __init__(self, wallets: SandboxWallets):
        self.wallets = wallets
        self.first: Answer = self.honest
        self.second: Answer = self.invoice
        self.url = ""

    async def honest(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "tag": "payRequest",
                "callback": f"{self.url}/callback",
                "minSendable": 1_000,
                "maxSendable": 10_000_000,
                "metadata": '[["text/plain","for Ana"],["text/identifier","ana@pay.test"]]',
            }
        )

    async def invoice(self, request: web.Request) -> web.Response:
        return await self.make(AMOUNT)

    async def make(self, amount_msat: int, *, network: str = NETWORK, age_s: int = 0) -> web.Response:
        text = await self.wallets.invoice("ana", amount_msat, network=network, made_at_s=clock.unix() - age_s)
        return web.json_response({"pr": text, "routes": []})


@pytest.fixture
async def cheat(tmp_path: Path) -> AsyncGenerator[Cheat]:
    made = Cheat(SandboxWallets(tmp_path / FILE_NAME))
    app = web.Application()

    async def first(request: web.Request) -> web.StreamResponse:
        return await made.first(request)

    async def second(request: web.Request) -> web.StreamResponse:
        return await made.second(request)

    app.router.add_get("/.well-known/lnurlp/ana", first)
    app.router.add_get("/callback", second)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    made.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield made
    await runner.cleanup()


class PayeeLab(Lab):
    """The machine with real addresses, in place of the lab's own wallets."""

    addresses: LightningAddresses

    @property
    def means(self) -> Means:
        return Means(rails=self.rails, addresses=self.addresses, orders=self.orders)


SILENT = "The wallet's server does not answer just now; the hub tries again by itself"
NO_INVOICE = "The server of this address gives no invoice; look at the address, or name another one"
NO_WALLET = "The site behind this address does not speak LNURL"


async def stays(lab: PayeeLab, url: str, why: str, detail: str = "", *, allowed: bool = True) -> None:
    """Runs the job against the wallet at `url`; what the worker reads (`why`), the operator besides (`detail`), and where the
    money is."""
    allow = parse_allow([url.split("/")[2]] if allowed else [])
    async with OutboundHttp(allow=allow, before_call=refuse_open_transaction) as outbound:
        lab.addresses = LightningAddresses(
            lambda asked: outbound.get(asked, max_bytes=262_144, timeout=5),
            network=NETWORK,
            domains={"pay.test": url},
        )
        payout = await lab.earned(address="ana@pay.test")
        await lab.run_job()
    case = await lab.case(payout)
    assert (case.state, case.attempt) == ("reserved", None)
    async with lab.work.read() as session:
        [line] = (await payouts_of(session, payout.worker_id)).items
        trail = await desk.trail(session, payout.id)
    assert (line.words, line.note) == (STUCK, why)
    assert trail.note is not None
    assert why[1:] in trail.note
    assert detail in trail.note
    assert "127.0.0.1" not in why
    assert await balance(lab.work, f"{payout.worker_id}:payable") == AMOUNT
    assert (await held(lab.work), lab.really_paid()) == (0, [])
    assert await lab.waiting("payout.reserved") == 1  # it is tried again, or by a new address
    await lab.assert_books()


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> PayeeLab:
    return PayeeLab(work, tmp_path)


async def test_a_dead_address(lab: PayeeLab) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        await stays(lab, f"http://127.0.0.1:{nobody.getsockname()[1]}", SILENT, "no connection")


async def test_a_host_that_resolves_to_a_private_address(lab: PayeeLab) -> None:
    await stays(lab, "https://localhost", NO_INVOICE, "loopback", allowed=False)


async def test_a_host_that_redirects(lab: PayeeLab, cheat: Cheat) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})

    cheat.first = elsewhere
    await stays(lab, cheat.url, NO_INVOICE, "the server answered 302")


@pytest.mark.parametrize(
    ("amount_msat", "network", "age_s", "why"),
    [
        (AMOUNT - SAT, NETWORK, 0, "The wallet gave an invoice for another amount"),
        (AMOUNT + 1, NETWORK, 0, "The wallet gave an invoice for another amount"),
        (AMOUNT, "bc", 0, "The wallet is on network bc, this hub pays on bcrt"),
        (AMOUNT, NETWORK, 7_200, "The wallet's invoice ends in less than 60 seconds"),
        (AMOUNT, NETWORK, -3_600, "The wallet gave an invoice dated in the future"),
    ],
)
async def test_an_invoice_for_something_else(
    lab: PayeeLab, cheat: Cheat, amount_msat: int, network: str, age_s: int, why: str
) -> None:
    async def other(request: web.Request) -> web.Response:
        return await cheat.make(amount_msat, network=network, age_s=age_s)

    cheat.second = other
    await stays(lab, cheat.url, why)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<!doctype html><title>Hello</title>", NO_WALLET),
        (b'{"tag":"payRequest","callback":"http', NO_WALLET),
        (b"", NO_WALLET),
        (b"\xff\xfe\x00", NO_WALLET),
        (b" " * 300_000, NO_INVOICE),
    ],
)
async def test_a_server_that_answers_nonsense(lab: PayeeLab, cheat: Cheat, body: bytes, why: str) -> None:
    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    cheat.first = nonsense
    await stays(lab, cheat.url, why)
