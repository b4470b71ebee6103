"""The JWT bearer flow against a token endpoint that checks the assertion with PyJWT and our public key."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from connectors.config import load
from connectors.connector import Tools
from connectors.pauses import Pauses
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.tokens import Tokens
from connectors.threads import Threads
from core.errors import Misconfigured
from tests.contract.connectors.suite import SECRETS
from tests.fakes.salesforce import BOT, ORG, Fault, SalesforceOrg, serve

CONTRACT = (Path(__file__).parents[1] / "contract" / "connectors" / "salesforce" / "config.yaml").read_text()
AUTH = "{my_domain: acme, client_id: env:CONTRACT_TOKEN, client_secret: env:CONTRACT_TOKEN}"
JWT = (
    "{method: jwt, my_domain: %s, client_id: env:CONSUMER, username: hitl@acme.example, private_key: env:KEY}"
)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


KEY, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))


@pytest.fixture
async def org() -> AsyncIterator[SalesforceOrg]:
    async with serve() as found:
        found.app.certificate = public(KEY)
        found.app.client_id = "consumer"
        yield found


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    client, threads = httpx.AsyncClient(trust_env=False), Threads(2, "test-salesforce-jwt")
    yield Tools(threads=threads, http=lambda: client, pauses=Pauses())
    await client.aclose()
    threads.close()


def settings(
    org: SalesforceOrg, key: str, *, domain: str = "acme", consumer: str = "consumer"
) -> SalesforceSettings:
    assert AUTH in CONTRACT
    environ = {**SECRETS, "CONSUMER": consumer, "KEY": key}
    found = load(CONTRACT.replace(AUTH, JWT % domain), "config.yaml", environ).settings
    assert isinstance(found, SalesforceSettings)
    return msgspec.structs.replace(found, test_base_url=org.url)


async def test_the_assertion_is_what_salesforce_asks_for(org: SalesforceOrg, tools: Tools) -> None:
    before = int(time.time())
    tokens = Tokens(settings(org, pem(KEY)), tools)
    token = await tokens.get()

    [claims] = org.app.seen
    assert {name: claims[name] for name in ("iss", "sub", "aud")} == {
        "iss": "consumer",
        "sub": "hitl@acme.example",
        "aud": "https://login.salesforce.com",
    }
    assert before + 180 <= claims["exp"] <= int(time.time()) + 180
    assert (token.organization_id, token.user_id) == (ORG, BOT)
    assert await tokens.get() is token
    assert org.minted == 1


async def test_a_refused_token_is_minted_again_once(org: SalesforceOrg, tools: Tools) -> None:
    client = SalesforceClient(settings(org, pem(KEY)), tools)
    assert (await client.call("GET", "limits")).ok
    org.next(Fault.UNAUTHORIZED)
    assert (await client.call("GET", "limits")).ok
    assert (org.minted, len(org.app.seen)) == (2, 2)


@pytest.mark.parametrize(
    ("key", "options", "said"),
    [
        (OTHER, {}, "invalid assertion"),
        (KEY, {"consumer": "another"}, "client identifier invalid"),
        (KEY, {"domain": "acme--uat.sandbox"}, "audience is invalid"),
    ],
)
async def test_who_is_refused(
    org: SalesforceOrg, tools: Tools, key: rsa.RSAPrivateKey, options: dict[str, str], said: str
) -> None:
    with pytest.raises(Misconfigured, match=said) as caught:
        await Tokens(settings(org, pem(key), **options), tools).get()
    assert "PRIVATE KEY" not in caught.value.message
    assert org.minted == 0


async def test_a_user_whom_nobody_authorised(org: SalesforceOrg, tools: Tools) -> None:
    org.app.users.clear()
    with pytest.raises(Misconfigured, match="user hasn't approved this consumer"):
        await Tokens(settings(org, pem(KEY)), tools).get()


@pytest.mark.parametrize(("skew", "said"), [(3600, "expired"), (-3600, "too far ahead")])
async def test_a_wrong_clock_is_refused(org: SalesforceOrg, tools: Tools, skew: int, said: str) -> None:
    org.app.skew = skew
    with pytest.raises(Misconfigured, match=said):
        await Tokens(settings(org, pem(KEY)), tools).get()


@pytest.mark.parametrize("key", ["no key", pem(ec.generate_private_key(ec.SECP256R1()))])
async def test_a_key_that_salesforce_does_not_take(org: SalesforceOrg, tools: Tools, key: str) -> None:
    with pytest.raises(Misconfigured, match=r"auth\.private_key"):
        await Tokens(settings(org, key), tools).get()
    assert org.minted == 0
