"""The four simulated helpdesks behind one face, for tests that run the whole hub against each of them: a ticket is raised
there, its webhooks go out, and afterwards one counts what the hub wrote."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import ClassVar, Protocol
from xml.sax.saxutils import escape

import aiohttp
from aiohttp import web

from connectors.registry import CONNECTORS
from hub.demo.fake_pagerduty import PagerDuty
from hub.demo.fake_pagerduty import Subscription as PagerDutySubscription
from hub.demo.fake_pagerduty import app as pagerduty_app
from hub.demo.fake_pagerduty import deliver as deliver_pagerduty
from tests.fakes import intercom, salesforce, servicenow
from tests.fakes.intercom_webhooks import Subscription as IntercomSubscription
from tests.fakes.pagerduty import FaultyPagerDuty
from tests.stack.processes import ROOT

SECRET = "test-webhook-secret"
EXAMPLES = ROOT / "config" / "connectors"


class Helpdesk(Protocol):
    """One vendor's simulated account. `connector_id` is that of its example file, `url` stands for its API."""

    connector_id: ClassVar[str]
    environment: ClassVar[dict[str, str]]
    url: str

    def connect(self, hook: str) -> None:
        """Webhooks of everything that happens, what the hub itself causes included, go to `hook` from now on."""
        ...

    def raise_ticket(self, title: str) -> str:
        """Somebody needs a person; the ticket's id there."""
        ...

    async def deliver(self) -> int:
        """Try every webhook that is due; how many still wait."""
        ...

    def written(self, ticket: str) -> list[str]:
        """The text of every note on the ticket, whoever wrote it."""
        ...


class PagerDutyDesk:
    connector_id: ClassVar[str] = "demo-oncall"
    environment: ClassVar[dict[str, str]] = {
        "PAGERDUTY_API_TOKEN": "token",
        "PAGERDUTY_WEBHOOK_SECRET": SECRET,
    }

    def __init__(self, fake: FaultyPagerDuty):
        self.url = fake.url
        self._world = fake.world
        self._world.add_user("Hub bot", "hub-bot@demo.example", "PHUBBOT")

    def connect(self, hook: str) -> None:
        self._subscription = PagerDutySubscription(hook, [SECRET], retry_every=0.3)
        self._world.subscribe(self._subscription)

    def raise_ticket(self, title: str) -> str:
        return str(self._world.trigger(title, priority="P1")["id"])

    async def deliver(self) -> int:
        async with aiohttp.ClientSession() as http:
            await deliver_pagerduty(self._subscription, http)
        return self._subscription.waiting

    def written(self, ticket: str) -> list[str]:
        return [str(note["content"]) for note in self._world.notes[ticket]]


class IntercomDesk:
    connector_id: ClassVar[str] = "demo-intercom"
    environment: ClassVar[dict[str, str]] = {
        "INTERCOM_ACCESS_TOKEN": "token",
        "INTERCOM_CLIENT_SECRET": SECRET,
    }

    def __init__(self, fake: intercom.FaultyIntercom):
        self.url = fake.url
        self._world = fake.world
        self._bot = self._world.add_admin("991267459", "Hub bot")
        self._agent = self._world.add_admin("1957471", "Ann Agent")
        self._world.add_team("814865", "Humans")
        self._world.tags["7522907"] = "hitl-answered"
        self._world.attributes.append("human_task")

    def connect(self, hook: str) -> None:
        self._subscription = IntercomSubscription(self._world, hook, SECRET, retry_after=0.3)

    def raise_ticket(self, title: str) -> str:
        customer = self._world.add_contact("Carla Customer")
        number = str(self._world.begin(f"<p>{title}</p>", customer)["id"])
        self._world.assign(number, self._agent, "team", "814865")
        return number

    async def deliver(self) -> int:
        async with aiohttp.ClientSession() as http:
            return await self._subscription.deliver(http)

    def written(self, ticket: str) -> list[str]:
        parts = self._world.conversation(ticket)["conversation_parts"]["conversation_parts"]
        return [str(part["body"]) for part in parts if part["part_type"] == "note"]


class ServiceNowDesk:
    connector_id: ClassVar[str] = "demo-servicenow"
    environment: ClassVar[dict[str, str]] = {
        "SERVICENOW_CLIENT_SECRET": "token",
        "SERVICENOW_WEBHOOK_SECRET": SECRET,
    }

    def __init__(self, fake: servicenow.FaultyServiceNow):
        self.url = fake.url
        self._world = fake.world
        self._world.name, self._world.client_id = "dev00000", "5f1e0d0f6a3b4c7e8d9a0b1c2d3e4f50"
        self._hook = ""

    def connect(self, hook: str) -> None:
        self._hook = hook

    def raise_ticket(self, title: str) -> str:
        values = {"short_description": title, "priority": "1", "assignment_group": self._world.group}
        return str(self._world.insert(values)["sys_id"])

    async def deliver(self) -> int:
        await servicenow.drain(self._world, self._hook, SECRET)
        return len(self._world.outbox)

    def written(self, ticket: str) -> list[str]:
        return self._world.notes(ticket)


class SalesforceDesk:
    """Sends the Outbound Message of a Flow that fires on every change of a Case, our own included; whatever is not
    acknowledged waits, and one request carries all that waits."""

    connector_id: ClassVar[str] = "demo-salesforce"
    environment: ClassVar[dict[str, str]] = {
        "SALESFORCE_CLIENT_ID": "secret",
        "SALESFORCE_CLIENT_SECRET": "secret",
        "SALESFORCE_PATH_TOKEN": SECRET,
        "SALESFORCE_WEBHOOK_SECRET": SECRET,
    }

    def __init__(self, org: salesforce.SalesforceOrg):
        self.url = org.url
        self._org = org
        self._told: dict[str, tuple[str, str]] = {}
        self._waiting: dict[str, str] = {}
        self._sent = 0
        self._hook = ""

    def connect(self, hook: str) -> None:
        self._hook = f"{hook}/{SECRET}"

    def raise_ticket(self, title: str) -> str:
        values = {"Subject": title, "Priority": "High", "Status": "New", "IsEscalated": True}
        return self._org.insert("Case", values, by="0055g00000Agent1AAA")

    async def deliver(self) -> int:
        for name, case in self._org.rows["Case"].items():
            change = (case["SystemModstamp"], case["Status"])
            if self._told.get(name) != change:
                self._told[name] = change
                self._sent += 1
                self._waiting[f"04l5g{self._sent:010d}AAA"] = name
        if self._waiting:
            notifications = [self._notification(*one) for one in list(self._waiting.items())[:100]]
            if await self._acknowledged("".join(notifications)):
                self._waiting = dict(list(self._waiting.items())[100:])
        return len(self._waiting)

    def written(self, ticket: str) -> list[str]:
        return self._org.comments(ticket)

    def _notification(self, message_id: str, case_id: str) -> str:
        """The record at send time, as Salesforce does."""
        case = self._org.rows["Case"][case_id]
        fields = "".join(
            f"<sf:{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</sf:{name}>"
            for name, value in case.items()
            if value is not None
        )
        return (
            f'<Notification><Id>{message_id}</Id><sObject xsi:type="sf:Case" '
            f'xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{fields}</sObject></Notification>'
        )

    async def _acknowledged(self, notifications: str) -> bool:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
            'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
            '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
            f"<OrganizationId>{salesforce.ORG}</OrganizationId><ActionId>04k5g000000blAAAAY</ActionId>"
            f'<SessionId xsi:nil="true"/>{notifications}</notifications></soapenv:Body></soapenv:Envelope>'
        )
        headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.post(self._hook, data=body.encode(), headers=headers) as answer,
            ):
                return answer.status == 200 and b"<Ack>true</Ack>" in await answer.read()
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def helpdesks() -> AsyncIterator[dict[str, Helpdesk]]:
    """Every vendor of the registry, served on loopback, by name."""
    async with AsyncExitStack() as stack:
        found: dict[str, Helpdesk] = {
            "pagerduty": PagerDutyDesk(await stack.enter_async_context(_pagerduty())),
            "intercom": IntercomDesk(await stack.enter_async_context(intercom.serve())),
            "salesforce": SalesforceDesk(await stack.enter_async_context(salesforce.serve())),
            "servicenow": ServiceNowDesk(await stack.enter_async_context(servicenow.serve())),
        }
        assert sorted(found) == sorted(CONNECTORS), "a new connector needs its simulated helpdesk here"
        yield found


@asynccontextmanager
async def _pagerduty() -> AsyncIterator[FaultyPagerDuty]:
    fake = FaultyPagerDuty(PagerDuty("token"))
    runner = web.AppRunner(pagerduty_app(fake.world, [fake.middleware]), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        fake.released.set()
        await runner.cleanup()


def configured(folder: Path, desks: dict[str, Helpdesk], *, reconcile_every: str = "2s") -> Path:
    """A copy of our own configuration in which every example file reaches the simulated vendor, and asks it what
    changed so often that a test need not wait."""
    target = folder / "config"
    shutil.copytree(ROOT / "config", target)
    for path in (target / "connectors").glob("*.yaml"):
        text = path.read_text()
        desk = desks[path.stem]
        lines = [
            f"test_base_url: {desk.url}" if line.startswith("test_base_url:") else line
            for line in text.splitlines()
        ]
        kept = [line for line in lines if not line.startswith("reconcile:")]
        path.write_text("\n".join([*kept, f"reconcile: {{every: {reconcile_every}, overlap: 5m}}", ""]))
    return target


async def deliver_all(desks: dict[str, Helpdesk]) -> None:
    """The vendors' own loops, until cancelled."""
    while True:
        for desk in desks.values():
            await desk.deliver()
        await asyncio.sleep(0.1)
