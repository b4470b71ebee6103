"""ServiceNow's file: which instances it may name, and what its steps may write."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from connectors.config import load
from connectors.servicenow.settings import ServiceNowSettings, host_of
from core.errors import Misconfigured
from tests.integration.servicenow_kit import CONTRACT, SECRETS


def loaded(**changes: Any) -> ServiceNowSettings:
    document = {**yaml.safe_load(CONTRACT.read_text()), **changes}
    settings = load(yaml.safe_dump(document), "servicenow.yaml", SECRETS).settings
    assert isinstance(settings, ServiceNowSettings)
    return settings


def refused(**changes: Any) -> str:
    with pytest.raises(Misconfigured) as caught:
        loaded(**changes)
    return caught.value.message


@pytest.mark.parametrize(
    "instance",
    ["https://acme.service-now.com", "https://acme.service-now.com/", "https://x.servicenowservices.com"],
)
def test_instances(instance: str) -> None:
    settings = loaded(instance=instance)
    assert settings.api_url == instance.rstrip("/")
    assert settings.source_instance == host_of(instance).split(".")[0]


@pytest.mark.parametrize(
    "instance",
    [
        "http://acme.service-now.com",
        "https://acme.service-now.com.evil.example",
        "https://evil.example/acme.service-now.com",
        "https://acme.service-now.com@evil.example",
        "https://acme.service-now.com:8443",
        "https://acme.service-now.com/api",
        "https://acme.service-now.com?x",
        "https://acme.service-now.com#x",
        "https://a.b.service-now.com",
        "https://ACME.service-now.com",
        "https://acme.service-now.com\n",
        "https://127.0.0.1",
        "https://[::1]",
        "acme.service-now.com",
        "acme",
        "",
    ],
)
def test_anything_else_is_refused(instance: str) -> None:
    assert "`instance` must be" in refused(instance=instance)


def test_a_custom_host_is_named_twice() -> None:
    url = "https://support.acme.example"
    assert "custom_hosts" in refused(instance=url)
    settings = loaded(instance=url, custom_hosts=["support.acme.example"], instance_name="acme")
    assert (settings.api_url, settings.source_instance) == (url, "acme")
    refused(instance=url, custom_hosts=["support.acme.example:443"])
    refused(instance="https://127.0.0.1", custom_hosts=["127.0.0.1"])


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({"method": "client_credentials"}, "needs `client_id` and `client_secret`"),
        ({"method": "basic", "username": "x"}, "needs `username` and `password`"),
        ({"client_id": "env:SN_ID", "client_secret": "env:CONTRACT_TOKEN"}, "client_id"),
        ({"client_id": "x", "client_secret": "literal"}, "must not be written into the file"),
        ({"method": "password"}, "client_credentials"),
    ],
)
def test_auth(auth: dict[str, str], words: str) -> None:
    assert words in refused(auth=auth)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"fields": {"sys_created_by": "x"}}, "fields"),
        ({"fields": {"caller_id.email": "x"}}, "fields"),
        ({"resolve": {"state": "6"}}, "close_code"),
        ({"assign": {}}, "`assign` needs"),
        ({"note": "a", "comment": "b"}, "exactly one"),
        ({"note": "{{ nothing }}"}, "nothing"),
    ],
)
def test_steps(step: dict[str, Any], words: str) -> None:
    assert words in refused(outbound={"verified": [step]})


def test_writeback() -> None:
    assert loaded().writeback.via == "scripted_rest"
    assert loaded(writeback={"via": "table_api", "settle": "2m"}).writeback.settle_seconds == 120
    assert "goes with `idempotency: marker`" in refused(
        writeback={"via": "table_api", "idempotency": "delivery_table"}
    )
    assert "goes with `idempotency: delivery_table`" in refused(writeback={"idempotency": "marker"})
