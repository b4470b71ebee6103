"""The web application over a real database, in the test's own event loop, with one tenant and its keys."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from connectors.config import load
from connectors.http import OutboundHttp
from connectors.rails.lightning_address import LightningAddresses
from connectors.rails.sandbox import FILE_NAME, SandboxRail
from connectors.rails.sandbox_wallets import SandboxWallets
from connectors.target_guard import parse_allow
from core.access import keys, organisations
from core.access.sealing import Sealer, new_key
from core.billing.top_ups import Terms
from core.db.unit_of_work import UnitOfWork, refuse_open_transaction
from core.rates.model import fixed
from core.tasks.model import Environment
from core.tasks.types import TaskType, TaskTypes
from hub import config_files
from hub.app import furnish, routes
from hub.lanes import CallbackTester, CreationLane, IntakeLane
from hub.rate_feed import FixedRates
from hub.services import Services
from hub.settings import PayoutCaps
from tests.fakes.sink import Sink, serve_sink

CONFIG = Path(__file__).parents[3] / "config"
PAGERDUTY_SECRET = "whsec-for-tests-only"
BASE = "http://hub.test"


class WebSettings(msgspec.Struct, kw_only=True):
    public_url: str = BASE
    rate_limit_per_minute: int = 0
    client_ip_header: str = ""
    sign_up_open: bool = False
    asks_per_minute: int = 5
    payout_hold_hours: int = 24
    payouts: PayoutCaps = PayoutCaps()


class Tenant(msgspec.Struct, kw_only=True):
    """One organisation with a living key of each environment."""

    organisation_id: str
    live: str
    test: str
    live_key_id: str


# Applications that no test has now, by public URL: to build one takes longer than most tests run.
_idle: dict[str, list[Litestar]] = {}


async def yes() -> bool:
    return True


@pytest.fixture
async def sink() -> AsyncGenerator[Sink]:
    async with serve_sink() as sink:
        yield sink


@pytest.fixture
async def services(work: UnitOfWork, tmp_path: Path, sink: Sink) -> AsyncGenerator[Services]:
    sealer = Sealer([new_key()])
    environ = {"PAGERDUTY_API_TOKEN": "token", "PAGERDUTY_WEBHOOK_SECRET": PAGERDUTY_SECRET}
    pagerduty = load((CONFIG / "connectors/pagerduty.yaml").read_text(), "pagerduty.yaml", environ)
    allow = parse_allow([sink.url.split("/")[2]])
    async with OutboundHttp(allow=allow, before_call=refuse_open_transaction) as outbound:
        yield Services(
            settings=WebSettings(),
            database=work.database,
            work=work,
            types=TaskTypes([*config_files.task_types(CONFIG), TaskType(name="unpriced", title="No price")]),
            plans=config_files.plans(CONFIG),
            rates=FixedRates(fixed("100000", date(2026, 11, 23)), Decimal(0)),
            connectors={"demo-oncall": pagerduty},
            sealer=sealer,
            outbound=outbound,
            rails={"sandbox": SandboxRail(tmp_path / FILE_NAME)},
            top_ups=Terms(rail="sandbox"),
            addresses=LightningAddresses(outbound.get, network="bcrt"),  # pyright: ignore[reportArgumentType] -- not asked here
            creator=CreationLane(work),
            intake=IntakeLane(work),
            callbacks=CallbackTester(work, outbound, sealer),
            queue_answers=yes,
            wallets=SandboxWallets(tmp_path / FILE_NAME),
        )


async def make_tenant(services: Services, name: str) -> Tenant:
    async with services.work.begin("test.tenant") as tx:
        organisation = await organisations.create(
            tx, name=name, plan="pay_as_you_go", sealer=services.sealer, actor="test"
        )
        live = await keys.mint(tx, organisation.id, Environment.LIVE, name="live", actor="test")
        test = await keys.mint(tx, organisation.id, Environment.TEST, name="test", actor="test")
        return Tenant(
            organisation_id=organisation.id,
            live=live.secret.reveal(),
            test=test.secret.reveal(),
            live_key_id=live.row.id,
        )


@pytest.fixture
async def tenant(services: Services) -> Tenant:
    return await make_tenant(services, "Acme")


@pytest.fixture
async def app(services: Services) -> AsyncGenerator[Litestar]:
    async with serving(services) as app:
        yield app


@contextlib.asynccontextmanager
async def serving(services: Services) -> AsyncGenerator[Litestar]:
    """The application with its lifespan running, in a task of its own: pytest-asyncio sets a fixture up and takes it
    down in different tasks, which the task group of the framework's event emitter refuses."""
    public_url = services.settings.public_url
    idle = _idle.setdefault(public_url, [])
    app = idle.pop() if idle else routes(public_url)
    furnish(app, services)
    started, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with app.lifespan():
            started.set()
            await stop.wait()

    running = asyncio.create_task(run())
    await started.wait()
    yield app
    stop.set()
    await running
    idle.append(app)


def client_for(app: Litestar, key: str | None = None, **options: Any) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, **options)


@pytest.fixture
async def client(app: Litestar, tenant: Tenant) -> AsyncGenerator[httpx.AsyncClient]:
    """Calls with the tenant's test key, whose tasks are funded with play money."""
    async with client_for(app, tenant.test) as client:
        yield client


@pytest.fixture
async def stranger(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """Calls without a key."""
    async with client_for(app) as client:
        yield client


@pytest.fixture
async def rival(app: Litestar, services: Services) -> AsyncGenerator[httpx.AsyncClient]:
    """Calls with a test key of another organisation."""
    other = await make_tenant(services, "Rival")
    async with client_for(app, other.test) as client:
        yield client


def refund(key: str = "order-12345-refund-check", **changes: Any) -> dict[str, Any]:
    """The example request of the published contract (escalation-engine-v1.yaml, createTask)."""
    body: dict[str, Any] = {
        "idempotencyKey": key,
        "taskType": "refund_eligibility",
        "riskTier": "medium",
        "slaSeconds": 300,
        "payload": {"orderId": "order-12345", "orderTotal": 89.99, "reason": "Item arrived damaged"},
        "outputSchema": {
            "type": "object",
            "required": ["eligible", "reason_code"],
            "properties": {
                "eligible": {"type": "boolean"},
                "reason_code": {
                    "type": "string",
                    "enum": ["approved", "denied_policy", "denied_timeframe", "needs_review"],
                },
                "notes": {"type": "string"},
            },
        },
        "payout": {"currency": "USD", "maxAmount": 0.50},
        "callbackUrl": "https://myapp.com/webhooks/escalation",
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not ...}
