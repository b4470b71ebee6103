"""zeep, with the WSDL of an Outbound Message, in the place of Salesforce: what it sends we read, and it validates the
Ack against the schema."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
import zeep
from aiohttp import web
from zeep.exceptions import Fault
from zeep.xsd import Nil

from connectors.config import load
from connectors.connector import InboundRequest, Receipt
from connectors.salesforce import CONNECTOR
from connectors.signatures import SignatureMismatch
from core.intake.envelope import InboundDelivery
from tests.contract.connectors.suite import SECRETS

WSDL = Path(__file__).parents[1] / "unit" / "connectors" / "salesforce_samples" / "outbound_case.wsdl"
CONTRACT = Path(__file__).parents[1] / "contract" / "connectors" / "salesforce" / "config.yaml"


@pytest.mark.parametrize("count", [1, 100])
async def test_zeep_is_acknowledged(count: int) -> None:
    settings = load(CONTRACT.read_text(), "config.yaml", SECRETS).settings
    stored: list[InboundDelivery] = []

    async def hook(request: web.Request) -> web.Response:
        asked = InboundRequest(
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            path_token=request.match_info["token"],
        )
        try:
            found = CONNECTOR.verify(settings, asked)
        except SignatureMismatch:
            said = CONNECTOR.say(asked, 403, [])
            return web.Response(status=403, body=said.body, content_type=said.media_type)
        stored.extend(found)
        said = CONNECTOR.say(asked, 200, [Receipt(delivery_id=one.delivery_id, fresh=True) for one in found])
        return web.Response(body=said.body, content_type=said.media_type)

    app = web.Application()
    app.router.add_post("/{token}", hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def send(token: str) -> object:
        client: Any = cast("Any", zeep).Client(str(WSDL))
        client.transport.session.trust_env = False
        service = client.create_service(
            "{http://soap.sforce.com/2005/09/outbound}NotificationBinding", f"{url}/{token}"
        )
        return service.notifications(
            OrganizationId="00D5g000001AbCdEAK",
            ActionId="04k5g000000blAAAAY",
            SessionId=Nil,
            EnterpriseUrl="https://acme.my.salesforce.com/services/Soap/c/65.0/00D5g000001AbCd",
            PartnerUrl="https://acme.my.salesforce.com/services/Soap/u/65.0/00D5g000001AbCd",
            Notification=[
                {
                    "Id": f"04l5g0000000{number:03d}AAA",
                    "sObject": {"Id": "5005g00000AbCdEAAV", "Subject": "<&é>", "IsEscalated": True},
                }
                for number in range(count)
            ],
        )

    try:
        assert await asyncio.to_thread(send, "token") is True
        with pytest.raises(Fault, match="refused"):
            await asyncio.to_thread(send, "wrong")
    finally:
        await runner.cleanup()
    assert len({one.delivery_id for one in stored}) == count
    assert b'"Subject":"<&\xc3\xa9>"' in stored[0].body
