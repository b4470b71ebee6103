"""Builds everything once from the settings: database, queue, connectors, rails, and the values that handlers and jobs
work with. The only global assembly; called by `hub serve`, `hub work`, the command line and the tests."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import msgspec

from connectors.config import ConnectorConfig
from connectors.connector import Tools
from connectors.form import is_loopback
from connectors.http import OutboundHttp
from connectors.pauses import Pauses
from connectors.rails import RAILS, RailConfig
from connectors.rails.lightning_address import LightningAddresses
from connectors.rails.sandbox import FILE_NAME as SANDBOX_FILE
from connectors.rails.sandbox_wallets import SandboxWallets
from connectors.target_guard import parse_allow
from connectors.threads import Threads
from connectors.vendor_http import VendorHttp
from core.access.sealing import Sealer, new_key
from core.billing.plans import Plans
from core.billing.top_ups import Terms as TopUpTerms
from core.billing.top_ups import terms_of
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork, refuse_open_transaction
from core.errors import Misconfigured
from core.payouts.order import Orders, check_orders
from core.payouts.prepare import Means
from core.payouts.queries import known_hash
from core.payouts.rail import Rail, Target
from core.payouts.target import Dollars
from core.repairs.actions import Kind, mended, needed
from core.routing.model import InForce, Policy
from core.workers.tiers import Trust
from hub import config_files, rate_rules
from hub.connector_book import LOOK_SECONDS, ConnectorBook
from hub.embedded import valkey
from hub.jobs import reconcile
from hub.jobs.queue import Queue
from hub.lanes import CallbackTester, CreationLane, IntakeLane
from hub.rate_feed import rates_of
from hub.services import Services
from hub.settings import Settings
from hub.understanding import Connectors

_LNURL_BYTES = 262_144  # LUD-06 metadata may carry a picture
_LNURL_SECONDS = 10.0


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """The services of the web application, and what only the workers need beside them. `book` holds the connector files
    as they are now, `connectors` what is built from them, `tools` what they are lent. `means` is what payouts are made
    with."""

    services: Services
    settings: Settings
    queue: Queue
    queue_url: str
    policy: Policy
    book: ConnectorBook
    tools: Tools
    connectors: Connectors
    means: Means


def queue_url(settings: Settings) -> str:
    """The configured queue, or the socket of our own Valkey (which `hub up` keeps running)."""
    return settings.queue.url or f"unix://{valkey.socket_path(settings.folder / 'valkey')}"


@contextlib.asynccontextmanager
async def wire(
    settings: Settings, directory: Path, environ: Mapping[str, str] | None = None
) -> AsyncGenerator[Wiring]:
    """Everything open; closed again at the end. Raises Misconfigured before anything is opened."""
    values = os.environ if environ is None else environ
    types, plans = config_files.task_types(directory), config_files.plans(directory)
    book = ConnectorBook(directory, lambda: _connectors(directory, values))
    people = config_files.people(directory)
    policy = in_force(config_files.policy(directory), plans, people.trust)
    settings.folder.mkdir(parents=True, exist_ok=True)
    rails = rails_of(settings)
    rail_orders, top_ups = orders(settings, plans), top_ups_of(settings, rails)
    rules = rate_rules.read(settings.rates, real_money=any(r.capabilities.real_money for r in rails.values()))
    sealer = Sealer(settings.secret_keys or [own_key(settings.folder)])
    database = Database(settings.database_url, pool_size=settings.database.pool_size)
    queue, threads, vendor_http = Queue(queue_url(settings)), Threads(), VendorHttp()
    tools = Tools(threads=threads, http=vendor_http.client, pauses=Pauses())
    work = UnitOfWork(database, queue.nudge)
    outbound = _outbound(settings)
    try:
        async with outbound:
            services = Services(
                policy=policy,
                settings=settings,
                database=database,
                work=work,
                types=types,
                plans=plans,
                rates=rates_of(rules, work, outbound.get),
                connectors=book,
                sealer=sealer,
                outbound=outbound,
                rails=rails,
                addresses=_addresses(outbound, rails, settings, work),
                creator=CreationLane(work),
                intake=IntakeLane(work),
                callbacks=CallbackTester(work, outbound, sealer),
                queue_answers=queue.ping,
                people=people,
                watch_connectors=lambda: watch_files(work, book),
                wallets=SandboxWallets(settings.folder / SANDBOX_FILE) if "sandbox" in rails else None,
                top_ups=top_ups,
            )
            yield Wiring(
                services=services,
                settings=settings,
                queue=queue,
                queue_url=queue_url(settings),
                policy=policy,
                book=book,
                tools=tools,
                connectors=Connectors(book, types, plans, tools, sealer),
                means=_means(services, rail_orders),
            )
    finally:
        await queue.close()
        threads.close()
        await vendor_http.close()
        await database.close()


def in_force(policy: Policy, plans: Plans, trust: Trust) -> InForce:
    """With what the files of the plans and of the tiers say about routing."""
    values = {name: getattr(policy, name) for name in Policy.__struct_fields__}
    return InForce(**values, expert_plans=plans.of_experts, auto_tiers=trust.auto_assigned)


def _means(services: Services, rail_orders: Orders) -> Means:
    dollars = Dollars(rate_of=services.rate, unseal=services.sealer.unseal)
    return Means(rails=services.rails, addresses=services.addresses, orders=rail_orders, dollars=dollars)


def _outbound(settings: Settings) -> OutboundHttp:
    allowed = [*settings.targets.allow, *map(_host_and_port, settings.rails.address_domains.values())]
    return OutboundHttp(allow=parse_allow(allowed), before_call=refuse_open_transaction)


def _addresses(
    outbound: OutboundHttp, rails: Mapping[str, Rail], settings: Settings, work: UnitOfWork
) -> LightningAddresses:
    async def known(payment_hash: str) -> bool:
        async with work.read() as session:
            return await known_hash(session, payment_hash)

    invoices = (rail for rail in rails.values() if rail.capabilities.pays is Target.INVOICE)
    options = (settings.rails.options.get(name, {}) for name in rails)
    return LightningAddresses(
        lambda url: outbound.get(url, max_bytes=_LNURL_BYTES, timeout=_LNURL_SECONDS),
        network=next(invoices, next(iter(rails.values()))).capabilities.network,
        domains=settings.rails.address_domains,
        own_nodes={str(one["node_id"]).lower() for one in options if one.get("node_id")},
        known_hash=known,
    )


async def watch_files(work: UnitOfWork, book: ConnectorBook, every: float = LOOK_SECONDS) -> None:
    """Reads changed connector files until cancelled; what cannot be loaded becomes a repair item."""

    async def changed() -> None:
        await reconcile.schedule(work, book)
        async with work.begin("connectors.reloaded") as tx:
            await mended(tx, "connectors", Kind.CONFIGURATION, actor="hub")

    async def broken(error: Misconfigured) -> None:
        async with work.begin("connectors.broken") as tx:
            await needed(tx, "connectors", Kind.CONFIGURATION, error.message)

    await book.watch(changed, broken, every)


def own_key(folder: Path) -> str:
    """The key that seals secrets when the operator gave none: made once, readable by us alone."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "secret.key"
    if not path.exists() or not path.stat().st_size:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # web and workers start at once; one makes it
            if not file.read():
                file.write(new_key())
    return path.read_text().strip()


def _connectors(directory: Path, environ: Mapping[str, str]) -> dict[str, ConnectorConfig]:
    """The configured connectors. `hub demo` says by HUB_SIMULATOR_URL where its simulated vendors answer;
    loopback only, as for the `test_base_url` that it replaces."""
    configs = config_files.connectors(directory, environ)
    simulator = environ.get("HUB_SIMULATOR_URL")
    if not simulator:
        return configs
    if not is_loopback(simulator):
        raise Misconfigured(
            "simulator_url",
            f"HUB_SIMULATOR_URL is {simulator!r}; it must be http://127.0.0.1:PORT (or another loopback address), "
            "for it takes the place of vendors and is sent their tokens. `hub demo` sets it itself: unset it",
        )
    return {
        name: msgspec.structs.replace(
            config,
            settings=msgspec.structs.replace(
                config.settings, test_base_url=f"{simulator}/{config.settings.connector}"
            ),
        )
        if config.settings.test_base_url
        else config
        for name, config in configs.items()
    }


def check_money(settings: Settings, plans: Plans) -> None:
    """Everything of `hub.yaml` that is about money, as `wire` reads it, without touching the data folder or the network.
    Raises Misconfigured."""
    with tempfile.TemporaryDirectory(prefix="hub-check-") as nowhere:
        rails = rails_of(msgspec.structs.replace(settings, data_dir=nowhere))
    orders(settings, plans)
    top_ups_of(settings, rails)
    real = any(rail.capabilities.real_money for rail in rails.values())
    rate_rules.read(settings.rates, real_money=real)


def rails_of(settings: Settings) -> dict[str, Rail]:
    unknown = [name for name in settings.rails.use if name not in RAILS]
    if unknown or not settings.rails.use:
        raise Misconfigured(
            "unknown_rail", f"hub.yaml: rails.use: no rail {unknown[:1]}; there are {', '.join(RAILS)}"
        )
    rails = {
        name: RAILS[name](
            RailConfig(name=name, data_dir=settings.folder, options=settings.rails.options.get(name, {}))
        )
        for name in settings.rails.use
    }
    if len({rail.capabilities.real_money for rail in rails.values()}) > 1:
        raise Misconfigured(
            "mixed_rails", "hub.yaml: rails.use: the sandbox and a real rail must not share a hub"
        )
    unknown = sorted(set(settings.payouts.low_balance_sats) - set(rails))
    if unknown:
        raise Misconfigured(
            "unknown_rail", f"hub.yaml: payouts.low_balance_sats.{unknown[0]}: no such rail in rails.use"
        )
    return rails


def top_ups_of(settings: Settings, rails: Mapping[str, Rail]) -> TopUpTerms:
    billing = settings.billing
    return terms_of(
        rails,
        named=billing.top_up_rail,
        least_sats=billing.top_up_least_sats,
        most_sats=billing.top_up_most_sats,
        minutes=billing.top_up_minutes,
    )


def orders(settings: Settings, plans: Plans) -> Orders:
    """The operator's choice of rails. Raises Misconfigured, which names the path and the fix."""
    found = settings.rails.order
    made = Orders(default=found.default, plans=found.plans, workers=found.workers)
    check_orders(made, settings.rails.use, plans.names)
    return made


def _host_and_port(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0]
