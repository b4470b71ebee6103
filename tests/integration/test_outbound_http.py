"""The outbound client against receivers that are slow, huge, broken or hostile; each failure must say truly whether
the request may have left."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

import pytest

from connectors.http import BODY_HEAD_BYTES, OutboundHttp
from connectors.target_guard import parse_allow
from core.errors import Rejected, Retryable, Uncertain
from tests.fakes.fault_proxy import FaultProxy
from tests.fakes.scripted_server import LOOPBACK, OK, Sink, drip_body, drip_headers, failure_of, never, says
from tests.wait import wait_until


async def test_a_delivery_arrives_whole_and_the_connection_is_used_again():
    async with Sink(says(OK)) as sink, OutboundHttp(allow=LOOPBACK) as http:
        for n in range(3):
            answer = await http.post(sink.url, b'{"n":%d}' % n, {"webhook-id": "evt_1"}, timeout=5)
            assert (answer.status, answer.body_head) == (200, b"ok")
    assert [body for _, body in sink.requests] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    head = sink.requests[0][0].lower()
    assert head.startswith(b"post /hook http/1.1\r\n")
    assert b"\r\nwebhook-id: evt_1\r\n" in head
    assert b"\r\nuser-agent: humanrail-hub\r\n" in head
    assert b"\r\naccept-encoding: identity\r\n" in head
    assert sink.connections == 1


async def test_receiver_that_never_answers_is_uncertain():
    async with Sink(never) as sink, OutboundHttp(allow=LOOPBACK) as http:
        error = await failure_of(http.post(sink.url, b"{}", {}, timeout=0.2))
    assert isinstance(error, Uncertain)
    assert error.code == "no_answer"
    assert len(sink.requests) == 1


async def test_headers_at_one_byte_a_second_end_at_the_total_time():
    async with Sink(drip_headers) as sink, OutboundHttp(allow=LOOPBACK) as http:
        began = time.monotonic()
        error = await failure_of(http.post(sink.url, b"{}", {}, timeout=0.5))
    assert isinstance(error, Uncertain)
    assert time.monotonic() - began < 2


async def test_body_at_one_byte_a_second_keeps_the_status():
    async with Sink(drip_body) as sink, OutboundHttp(allow=LOOPBACK) as http:
        began = time.monotonic()
        answer = await http.post(sink.url, b"{}", {}, timeout=30)
        took = time.monotonic() - began
        assert answer.status == 200
        assert 1 <= len(answer.body_head) <= 4
        assert took < 4
        await wait_until(lambda: sink.closed == 1)  # the connection is not kept for the rest


async def test_ten_gigabyte_body_is_not_read():
    written = 0

    async def flood(_, writer):
        nonlocal written
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 10737418240\r\n\r\n")
        block = b"x" * 65_536
        while True:
            writer.write(block)
            await writer.drain()
            written += len(block)

    async with Sink(flood) as sink, OutboundHttp(allow=LOOPBACK) as http:
        answer = await http.post(sink.url, b"{}", {}, timeout=30)
        assert (answer.status, answer.body_head) == (500, b"x" * BODY_HEAD_BYTES)
        error = await failure_of(http.get(sink.url, max_bytes=1000, timeout=30))
        assert isinstance(error, Retryable)  # judged by its 500 before the body
        await wait_until(lambda: sink.closed == 2)
    assert written < 32 * 1024 * 1024  # kernel buffers, not 10 GB


async def test_redirect_to_loopback_is_an_answer_and_is_not_followed():
    async with Sink(says(OK)) as inner:
        moved = f"HTTP/1.1 301 Moved\r\nLocation: {inner.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with Sink(says(moved)) as sink, OutboundHttp(allow=LOOPBACK) as http:
            answer = await http.post(sink.url, b"{}", {}, timeout=5)
            error = await failure_of(http.get(sink.url, max_bytes=100, timeout=5))
        assert (answer.status, answer.headers["location"]) == (301, inner.url)
        assert isinstance(error, Rejected)
        assert inner.connections == 0


@pytest.mark.parametrize("line", ["410 Gone", "429 Too Many Requests"])
async def test_status_and_headers_come_through(line):
    answer = f"HTTP/1.1 {line}\r\nRetry-After: 7\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n".encode()
    async with Sink(says(answer)) as sink, OutboundHttp(allow=LOOPBACK) as http:
        got = await http.post(sink.url, b"{}", {}, timeout=5)
    assert got.status == int(line[:3])
    assert got.headers == {"retry-after": "7", "x-a": "1", "content-length": "0"}
    assert got.body_head == b""


async def reset(_, writer):
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(_, writer):
    writer.close()


@pytest.mark.parametrize(
    "script", [reset, hang_up, says(b"SSH-2.0-x\r\n\r\n"), says(b"HTTP/1.1 200 OK\r\nX: ")]
)
async def test_broken_answer_after_the_request_is_uncertain(script):
    async def broken(reader, writer):
        await script(reader, writer)
        writer.close()

    async with Sink(broken) as sink, OutboundHttp(allow=LOOPBACK) as http:
        error = await failure_of(http.post(sink.url, b"{}", {}, timeout=5))
    assert isinstance(error, Uncertain)
    assert len(sink.requests) == 1


async def test_oversized_headers_do_not_fill_memory():
    flood = (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(500)) + b"\r\n"
    )
    async with Sink(says(flood)) as sink, OutboundHttp(allow=LOOPBACK) as http:
        error = await failure_of(http.post(sink.url, b"{}", {}, timeout=5))
    assert isinstance(error, Uncertain)


async def test_request_cut_in_its_middle_is_uncertain():
    async with (
        Sink(says(OK)) as sink,
        FaultProxy("127.0.0.1", sink.port, cut_up_after=100, reset=True) as proxy,
        OutboundHttp(allow=LOOPBACK) as http,
    ):
        url = f"http://127.0.0.1:{proxy.port}/"
        error = await failure_of(http.post(url, b"x" * 100_000, {}, timeout=5))
    assert isinstance(error, Uncertain)
    assert proxy.bytes_up == 100


async def test_answer_cut_after_the_request_is_uncertain_and_a_half_body_is_not():
    async with Sink(says(OK)) as sink, FaultProxy("127.0.0.1", sink.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/"
        async with OutboundHttp(allow=LOOPBACK) as http:
            proxy.set(cut_down_after=10)
            assert isinstance(await failure_of(http.post(url, b"{}", {}, timeout=5)), Uncertain)
            proxy.set(cut_down_after=len(OK) - 1)
            answer = await http.post(url, b"{}", {}, timeout=5)
            assert (answer.status, answer.body_head) == (200, b"o")


async def test_refused_connection_never_left():
    async with FaultProxy("127.0.0.1", 1) as proxy, OutboundHttp(allow=LOOPBACK) as http:
        await proxy.refuse()
        error = await failure_of(http.post(f"http://127.0.0.1:{proxy.port}/", b"{}", {}, timeout=5))
    assert isinstance(error, Retryable)
    assert error.code == "unreachable"


async def test_unknown_name_never_left():
    async with OutboundHttp() as http:
        error = await failure_of(http.post("https://nobody.invalid/", b"{}", {}, timeout=20))
    assert isinstance(error, Retryable)


async def test_time_out_while_waiting_for_a_free_connection_never_left():
    async with Sink(never) as sink, OutboundHttp(allow=LOOPBACK, connections_per_host=1) as http:
        first = asyncio.create_task(failure_of(http.post(sink.url, b"first", {}, timeout=1)))
        await wait_until(lambda: sink.requests)
        second = await failure_of(http.post(sink.url, b"second", {}, timeout=0.2))
        assert isinstance(second, Retryable)
        assert isinstance(await first, Uncertain)
    assert [body for _, body in sink.requests] == [b"first"]


async def test_a_dead_endpoint_leaves_the_others_alone():
    async with (
        Sink(never) as dead,
        Sink(says(OK)) as alive,
        OutboundHttp(allow=LOOPBACK, connections=10, connections_per_host=4) as http,
    ):
        calls = [failure_of(http.post(dead.url, b"{}", {}, timeout=1)) for _ in range(20)]
        stuck = [asyncio.create_task(call) for call in calls]
        await wait_until(lambda: dead.connections == 4)
        answers = await asyncio.gather(*(http.post(alive.url, b"{}", {}, timeout=0.8) for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert dead.connections == 4
        await asyncio.gather(*stuck)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "0.0.0.0", "[::]"]
)
async def test_private_targets_get_no_connection(host):
    async with Sink(says(OK)) as sink, OutboundHttp(ports=frozenset({sink.port})) as http:
        error = await failure_of(http.post(f"https://{host}:{sink.port}/", b"{}", {}, timeout=5))
        await asyncio.sleep(0)
        assert isinstance(error, Rejected)
        assert error.code == "target_refused"
        assert "targets.allow" in error.message
        assert sink.connections == 0


async def test_plain_http_by_name_is_judged_by_its_address():
    async with Sink(says(OK)) as sink:
        url = f"http://localhost:{sink.port}/"
        async with OutboundHttp(allow=parse_allow(["10.0.0.0/8"])) as http:
            assert (await failure_of(http.post(url, b"{}", {}, timeout=5))).code == "target_refused"
        assert sink.connections == 0
        async with OutboundHttp(allow=parse_allow(["127.0.0.0/8"])) as http:
            assert (await http.post(url, b"{}", {}, timeout=5)).status == 200
        async with OutboundHttp(allow=parse_allow([f"localhost:{sink.port}"])) as http:
            assert (await http.post(url, b"{}", {}, timeout=5)).status == 200


async def test_proxy_environment_is_ignored(monkeypatch):
    async with Sink(says(OK)) as proxy, Sink(says(OK)) as sink:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with OutboundHttp(allow=LOOPBACK) as http:
            await http.post(sink.url, b"{}", {}, timeout=5)
        assert (proxy.connections, len(sink.requests)) == (0, 1)


async def test_cookies_are_not_kept():
    async with (
        Sink(says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as sink,
        OutboundHttp(allow=LOOPBACK) as http,
    ):
        await http.post(sink.url, b"{}", {}, timeout=5)
        await http.post(sink.url, b"{}", {}, timeout=5)
    assert b"cookie" not in sink.requests[1][0].lower()


async def test_before_call_forbids():
    def refuse() -> None:
        raise RuntimeError("a transaction is open")

    async with Sink(says(OK)) as sink, OutboundHttp(allow=LOOPBACK, before_call=refuse) as http:
        with pytest.raises(RuntimeError, match="a transaction is open"):
            await http.post(sink.url, b"{}", {}, timeout=5)
        with pytest.raises(RuntimeError, match="a transaction is open"):
            await http.get(sink.url, max_bytes=10, timeout=5)
        assert sink.connections == 0


async def test_cancelled_by_its_owner_stays_cancelled():
    async with Sink(never) as sink, OutboundHttp(allow=LOOPBACK) as http:
        call = asyncio.create_task(http.post(sink.url, b"{}", {}, timeout=30))
        await wait_until(lambda: sink.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
