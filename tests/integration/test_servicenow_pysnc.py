"""The simulated ServiceNow judged by PySNC, ServiceNow's own client: over TLS with a throw-away CA, because PySNC refuses
plain HTTP. In a thread, because it blocks."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pysnc  # pyright: ignore[reportMissingTypeStubs] -- it ships none
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import clock
from tests.fakes.servicenow import FaultyServiceNow, serve
from tests.fakes.servicenow_world import GROUP

_pysnc: Any = pysnc


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server context for 127.0.0.1; requests (under PySNC) reads its authority from the environment."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "authority.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context


def a_day_with_pysnc(url: str) -> dict[str, Any]:
    """Signs in, reads, queries, pages, writes; gives what it saw."""
    flow = _pysnc.ServiceNowClientCredentialsFlow("contract", "token")
    client = _pysnc.ServiceNowClient(url, flow)
    seen: dict[str, Any] = {}
    record = client.GlideRecord("incident")
    record.initialize()
    record.short_description = "Made by PySNC"
    record.assignment_group = GROUP
    seen["made"] = str(record.insert())
    one = client.GlideRecord("incident")
    assert one.get(seen["made"])
    seen["title"], seen["group"] = one.get_value("short_description"), one.get_value("assignment_group")
    seen["priority"] = one.get_display_value("priority")
    one.work_notes = "Verified. [hub:rep_1]"
    one.state = "6"
    seen["updated"] = str(one.update())
    many = client.GlideRecord("incident", batch_size=2)
    many.add_query("active", "true")
    many.order_by("number")
    many.query()
    seen["numbers"] = [str(row.number) for row in many]
    seen["count"] = many.get_row_count()
    seen["absent"] = client.GlideRecord("incident").get("0" * 32)
    journal = client.GlideRecord("sys_journal_field")
    journal.add_query("element_id", seen["made"])
    journal.query()
    seen["journal_rows"] = journal.get_row_count()
    client.session.close()
    return seen


async def test_pysnc_finds_an_instance(tls: ssl.SSLContext) -> None:
    async with serve(tls=tls) as vendor:
        for _ in range(4):
            vendor.world.insert({})
        seen = await asyncio.to_thread(a_day_with_pysnc, vendor.url)
        record = vendor.world.record(seen["made"])
        assert (seen["title"], seen["group"], seen["priority"]) == ("Made by PySNC", GROUP, "4 - Low")
        assert seen["updated"] == seen["made"]
        assert (record["state"], record["sys_mod_count"]) == ("6", "1")
        assert vendor.world.notes(seen["made"]) == ["Verified. [hub:rep_1]"]
        assert seen["count"] == 5
        assert seen["numbers"] == sorted(seen["numbers"])
        assert seen["absent"] is False
        assert seen["journal_rows"] == 0  # the trap: a note is there


async def test_pysnc_is_refused_with_a_wrong_secret(tls: ssl.SSLContext) -> None:
    async with serve(tls=tls) as vendor:
        await refused(vendor)


async def refused(vendor: FaultyServiceNow) -> None:
    def sign_in(secret: str) -> None:
        flow = _pysnc.ServiceNowClientCredentialsFlow("contract", secret)
        client = _pysnc.ServiceNowClient(vendor.url, flow)
        client.GlideRecord("incident").query()
        client.session.close()

    with pytest.raises(_pysnc.exceptions.AuthenticationException, match="access_denied"):
        await asyncio.to_thread(sign_in, "wrong")
    await asyncio.to_thread(sign_in, "token")
