"""The outbound client before servers whose certificate is bad, and reading a page with GET."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.http import OutboundHttp
from core.errors import Rejected, Retryable
from tests.fakes.scripted_server import LOOPBACK, OK, Sink, drip_body, drip_headers, failure_of, never, says


@pytest.fixture
def tls(tmp_path):
    """A self-signed certificate, which no trust store knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "tls.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_bad_certificate_never_left(tls):
    async with Sink(says(OK), tls) as sink, OutboundHttp(allow=LOOPBACK) as http:
        error = await failure_of(http.post(f"https://127.0.0.1:{sink.port}/", b"{}", {}, timeout=5))
    assert isinstance(error, Retryable)
    assert "certificate" in error.message
    assert sink.requests == []


async def test_tls_to_a_plain_server_never_left():
    async with Sink(says(OK)) as sink, OutboundHttp(allow=LOOPBACK) as http:
        error = await failure_of(http.post(f"https://127.0.0.1:{sink.port}/", b"{}", {}, timeout=1))
    assert isinstance(error, Retryable)
    assert sink.requests == []


async def test_get_returns_the_body_up_to_the_cap():
    async with Sink(says(OK)) as sink, OutboundHttp(allow=LOOPBACK) as http:
        assert await http.get(sink.url, max_bytes=2, timeout=5) == b"ok"
        error = await failure_of(http.get(sink.url, max_bytes=1, timeout=5))
    assert isinstance(error, Rejected)
    assert error.code == "answer_too_big"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", Rejected, "http_status"),
        (b"HTTP/1.1 204 No\r\n\r\n", Rejected, "http_status"),
        (b"HTTP/1.1 503 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", Retryable, "http_status"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
            Rejected,
            "answer_encoded",
        ),
        (b"garbage\r\n\r\n", Retryable, "no_answer"),
    ],
)
async def test_get_failures(answer, kind, code):
    async with Sink(says(answer)) as sink, OutboundHttp(allow=LOOPBACK) as http:
        error = await failure_of(http.get(sink.url, max_bytes=100, timeout=5))
    assert type(error) is kind
    assert error.code == code
    if b"Retry-After" in answer:
        assert error.after == 9.0


@pytest.mark.parametrize("script", [never, drip_headers, drip_body])
async def test_get_ends_at_the_total_time(script):
    async with Sink(script) as sink, OutboundHttp(allow=LOOPBACK) as http:
        began = time.monotonic()
        error = await failure_of(http.get(sink.url, max_bytes=5000, timeout=0.5))
    assert isinstance(error, Retryable)
    assert time.monotonic() - began < 2


async def test_used_outside_its_block():
    with pytest.raises(RuntimeError, match="async with"):
        await OutboundHttp().post("https://example.com/", b"", {}, timeout=1)
