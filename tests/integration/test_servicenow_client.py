"""The ServiceNow client over HTTP: tokens, rate limits, places, and what never leaves or comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from connectors.secret_refs import SecretRef, Secrets
from connectors.servicenow.client import ServiceNowClient, result_of
from connectors.servicenow.settings import ServiceNowAuth, ServiceNowSettings
from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain
from core.secret import Secret
from tests.fakes.servicenow import Fault, FaultyServiceNow, serve
from tests.integration.servicenow_kit import HubTools, settings_for

TABLE = "/api/now/table/incident"


@pytest.fixture
async def vendor() -> AsyncIterator[FaultyServiceNow]:
    async with serve() as fake:
        yield fake


@pytest.fixture
async def hub() -> AsyncIterator[HubTools]:
    tools = HubTools()
    yield tools
    await tools.close()


@pytest.fixture
def settings(vendor: FaultyServiceNow) -> ServiceNowSettings:
    return settings_for(vendor.url)


def tokens_asked(vendor: FaultyServiceNow) -> int:
    return sum(path.endswith("/oauth_token.do") for _, path, _ in vendor.api.requests)


async def test_one_token_serves_all_clients_of_a_process(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    clients = [ServiceNowClient(settings, hub.tools) for _ in range(6)]
    await asyncio.gather(*(client.call("GET", TABLE) for client in clients))
    assert tokens_asked(vendor) == 1
    assert vendor.api.most_at_once <= 2


async def test_a_token_is_renewed_before_its_end(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    vendor.api.lifetime = 59  # within the last minute from the start
    client = ServiceNowClient(settings, hub.tools)
    for _ in range(2):
        await client.call("GET", TABLE)
    assert tokens_asked(vendor) == 2


async def test_a_revoked_token_is_asked_for_again_once(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    client = ServiceNowClient(settings, hub.tools)
    await client.call("GET", TABLE)
    vendor.api.tokens.clear()
    await client.call("GET", TABLE)
    assert tokens_asked(vendor) == 2
    vendor.next("GET", Fault.UNAUTHORIZED, Fault.UNAUTHORIZED)
    with pytest.raises(Misconfigured) as caught:
        await client.call("GET", TABLE)
    assert caught.value.code == "credentials_refused"
    assert tokens_asked(vendor) == 3


async def test_a_rotated_secret_counts_at_once(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    await ServiceNowClient(settings, hub.tools).call("GET", TABLE)
    vendor.world.client_secret = "newer"
    new = Secrets([SecretRef(ref="env:N", secret=Secret("newer"))])
    changed = msgspec.structs.replace(
        settings, auth=msgspec.structs.replace(settings.auth, client_secret=new)
    )
    await ServiceNowClient(changed, hub.tools).call("GET", TABLE)
    assert tokens_asked(vendor) == 2


async def test_a_refused_client_names_what_to_check(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    vendor.world.client_secret = "other"
    with pytest.raises(Misconfigured) as caught:
        await ServiceNowClient(settings, hub.tools).call("GET", TABLE)
    assert caught.value.code == "token_refused"
    assert "glide.oauth.inbound.client.credential.grant_type.enabled" in caught.value.message
    assert "token" not in caught.value.message.replace(
        "no token", ""
    )  # the secret of the suite is the word `token`


async def test_an_empty_secret_asks_nobody(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    none = Secrets([SecretRef(ref="env:N", secret=Secret(""))])
    changed = msgspec.structs.replace(
        settings, auth=msgspec.structs.replace(settings.auth, client_secret=none)
    )
    with pytest.raises(Misconfigured):
        await ServiceNowClient(changed, hub.tools).call("GET", TABLE)
    assert vendor.api.requests == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.SERVER_ERROR_BEFORE, Retryable),
        (Fault.RESET_BEFORE, Retryable),
        (Fault.TIMEOUT_AFTER, Retryable),
        (Fault.NOT_JSON, Retryable),
        (Fault.RATE_LIMITED, Retryable),
        (Fault.FORBIDDEN, Misconfigured),
    ],
)
async def test_no_token_is_no_doubt(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings, fault: Fault, kind: type[HubError]
) -> None:
    """A write that never got its token has not left."""
    vendor.next("TOKEN", fault)
    with pytest.raises(kind):
        await ServiceNowClient(settings, hub.tools).call("PATCH", f"{TABLE}/{'a' * 32}", None, {})


async def test_429_with_headers_waits_as_long_as_they_say(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    vendor.next("GET", Fault.RATE_LIMITED)
    with pytest.raises(Retryable) as caught:
        await ServiceNowClient(settings, hub.tools).call("GET", TABLE)
    assert (caught.value.code, caught.value.after) == ("rate_limited", 17.0)
    assert 16 < hub.pauses.wait(settings.id) <= 17


async def test_429_of_a_full_queue_spreads_the_returns(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    vendor.next("GET", *[Fault.RATE_LIMITED_BARE] * 8)
    waits: set[float] = set()
    for _ in range(8):
        with pytest.raises(Retryable) as caught:
            await ServiceNowClient(settings, hub.tools).call("GET", TABLE)
        assert caught.value.after is not None
        assert 5 <= caught.value.after <= 15
        waits.add(caught.value.after)
    assert len(waits) == 8
    assert hub.pauses.wait(settings.id) > 4


async def test_the_reset_of_an_hourly_rule_is_believed(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    client = ServiceNowClient(settings, hub.tools)
    await client.call("GET", TABLE)
    vendor.api.quota = 0
    with pytest.raises(Retryable) as caught:
        await client.call("GET", TABLE)
    assert caught.value.after == 120.0
    assert "Rate limit of 100 requests per hour" in caught.value.message


async def test_202_is_no_outcome(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    client = ServiceNowClient(settings, hub.tools)
    vendor.next("GET", Fault.QUEUED)
    vendor.next("PATCH", Fault.QUEUED)
    with pytest.raises(Retryable):
        await client.call("GET", TABLE)
    with pytest.raises(Uncertain):
        await client.call("PATCH", f"{TABLE}/{'a' * 32}", None, {})


async def test_what_a_read_can_come_back_as(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings
) -> None:
    client = ServiceNowClient(settings, hub.tools)
    vendor.next("GET", Fault.NOT_JSON)
    with pytest.raises(Retryable):
        result_of(await client.call("GET", TABLE))
    vendor.next("GET", Fault.NOT_FOUND)
    with pytest.raises(Rejected) as caught:
        await client.call("GET", TABLE)
    assert caught.value.code == "ticket_gone"


async def test_basic_is_a_fallback_that_says_so(
    vendor: FaultyServiceNow, hub: HubTools, settings: ServiceNowSettings, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.api.basic = {"svc.hitl": "pass:word"}
    password = Secrets([SecretRef(ref="env:P", secret=Secret("pass:word"))])
    auth = ServiceNowAuth(method="basic", username="svc.hitl", password=password)
    client = ServiceNowClient(msgspec.structs.replace(settings, auth=auth), hub.tools)
    for _ in range(2):
        await client.call("GET", TABLE)
    assert [record.message.split(":")[0] for record in caplog.records] == ["servicenow.basic_auth"]
    assert "pass" not in caplog.text.replace("a password", "")
    vendor.api.basic = {}
    with pytest.raises(Misconfigured):
        await client.call("GET", TABLE)


async def test_no_cookie_comes_back(vendor: FaultyServiceNow, settings: ServiceNowSettings) -> None:
    """A session pins the user to one node and its queue overflows (KB3047080). With the hub's own client."""
    from connectors.vendor_http import new_client

    hub = HubTools()
    await hub.client.aclose()
    hub.client = new_client()
    client = ServiceNowClient(settings, hub.tools)
    for _ in range(3):
        await client.call("GET", TABLE)
    await hub.close()
    assert not any("cookie" in headers for headers in vendor.api.seen_headers)
