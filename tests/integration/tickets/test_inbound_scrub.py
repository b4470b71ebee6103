"""What no secret verifies goes into quarantine without the credentials that a vendor puts into its messages, and can
still be released by the secret that was missing."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import msgspec
import pytest
from sqlalchemy import select

from connectors.config import load
from connectors.connector import InboundRequest
from core.intake import quarantine
from core.intake.tables import InboundEvent
from hub.services import Services
from tests.contract.connectors.suite import SECRETS
from tests.integration.api.conftest import client_for, services, serving, sink

__all__ = ["services", "sink"]

TESTS = Path(__file__).parents[2]
CONTRACT = (TESTS / "contract" / "connectors" / "salesforce" / "config.yaml").read_text()
NAME = "acme-cases"
SESSION = b"00D5g000001AbCd!AQ.live-session"
MESSAGE = (
    b'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
    b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>'
    b'<o:notifications xmlns:o="http://soap.sforce.com/2005/09/outbound"><o:OrganizationId>00D5g000001AbCdEAK'
    b"</o:OrganizationId><o:ActionId>04k5g000000blAAAAY</o:ActionId><o:SessionId>"
    + SESSION
    + b"</o:SessionId><o:Notification><o:Id>04l5g0000000001AAA</o:Id>"
    b'<o:sObject xsi:type="sf:Case" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>5005g00000AbCdEAAV</sf:Id>'
    b"</o:sObject></o:Notification></o:notifications></e:Body></e:Envelope>"
)
XML = {"Content-Type": "text/xml; charset=UTF-8"}


@pytest.fixture
async def hub(services: Services) -> Services:
    return dataclasses.replace(services, connectors={NAME: load(CONTRACT, "config.yaml", SECRETS)})


@pytest.fixture
async def http(hub: Services) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(hub) as app, client_for(app) as client:
        yield client


async def test_a_session_id_is_never_stored(http: httpx.AsyncClient, hub: Services) -> None:
    refused = await http.post(f"/hooks/in/{NAME}/wrong", content=MESSAGE, headers=XML)
    taken = await http.post(f"/hooks/in/{NAME}/token", content=MESSAGE, headers=XML)

    assert (refused.status_code, taken.status_code) == (403, 200)
    async with hub.work.read() as session:
        [held] = await quarantine.held(session)
        [event] = await session.scalars(select(InboundEvent))
    assert held.body == MESSAGE.replace(SESSION, b"")
    stored = msgspec.json.encode([held.headers, event.headers]) + held.body + event.body
    assert SESSION not in stored

    config = load(CONTRACT, "config.yaml", {**SECRETS, "CONTRACT_TOKEN": "wrong"})
    request = InboundRequest(headers=held.headers, body=held.body, path_token=held.path_token)
    [released] = config.connector.verify(config.settings, request)
    assert (released.delivery_id, released.body) == (event.delivery_id, event.body)


async def test_signed_json_is_kept_to_the_byte(http: httpx.AsyncClient, hub: Services) -> None:
    body = b'{"fields": {"Description": "<SessionId>x</SessionId>"}}'
    signed = {"webhook-id": "e1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}

    assert (await http.post(f"/hooks/in/{NAME}", content=body, headers=signed)).status_code == 403

    async with hub.work.read() as session:
        [held] = await quarantine.held(session)
    assert held.body == body
