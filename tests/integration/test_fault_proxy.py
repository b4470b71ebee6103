"""The fault proxy does what it says, seen from a plain socket client against an echo server."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fakes.fault_proxy import FaultProxy
from tests.wait import wait_until


@pytest.fixture
async def echo_port():
    writers: set[asyncio.StreamWriter] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.close()


async def dial(proxy: FaultProxy):
    return await asyncio.open_connection(proxy.host, proxy.port)


async def test_passes_bytes_and_half_close_both_ways(echo_port):
    async with FaultProxy("127.0.0.1", echo_port) as proxy:
        reader, writer = await dial(proxy)
        payload = bytes(range(256)) * 4096
        writer.write(payload)
        writer.write_eof()
        assert await reader.read() == payload
        assert (proxy.bytes_up, proxy.bytes_down) == (len(payload), len(payload))
        writer.close()


async def test_latency_delays_each_direction(echo_port):
    async with FaultProxy("127.0.0.1", echo_port, latency=0.1) as proxy:
        reader, writer = await dial(proxy)
        began = time.monotonic()
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        assert time.monotonic() - began >= 0.2
        writer.close()


async def test_cut_down_after_n_bytes_is_exact_and_orderly(echo_port):
    async with FaultProxy("127.0.0.1", echo_port, cut_down_after=7) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"0123456789")
        assert await reader.read(100) == b"0123456"
        assert await reader.read(100) == b""
        assert proxy.bytes_up == 10
        writer.close()


async def test_cut_up_with_reset(echo_port):
    async with FaultProxy("127.0.0.1", echo_port, cut_up_after=4, reset=True) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"0123456789")
        await wait_until(lambda: isinstance(reader.exception(), ConnectionResetError))
        assert proxy.bytes_up == 4
        writer.close()


async def test_slow_drip_then_healed(echo_port):
    async with FaultProxy("127.0.0.1", echo_port, bytes_per_second=20) as proxy:
        reader, writer = await dial(proxy)
        began = time.monotonic()
        writer.write(b"0123456789" * 100)
        assert await reader.readexactly(5)
        assert time.monotonic() - began >= 0.2
        proxy.clear()
        assert len(await reader.readexactly(995)) == 995
        assert time.monotonic() - began < 10
        writer.close()


async def test_blackhole_holds_and_releases(echo_port):
    async with FaultProxy("127.0.0.1", echo_port, blackhole=True) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"held")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        proxy.set(blackhole=False)
        assert await reader.readexactly(4) == b"held"
        writer.close()


async def test_refuse_and_accept_again_on_the_same_port(echo_port):
    async with FaultProxy("127.0.0.1", echo_port) as proxy:
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await dial(proxy)
        await proxy.accept()
        reader, writer = await dial(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()


async def test_reset_on_accept_and_reset_of_open_connections(echo_port):
    async with FaultProxy("127.0.0.1", echo_port) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"x")
        await reader.readexactly(1)
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        proxy.set(reset_on_accept=True)
        late, late_writer = await dial(proxy)
        with pytest.raises(ConnectionResetError):
            await late.read(1)
        await wait_until(lambda: proxy.accepted == 2)
        writer.close()
        late_writer.close()


async def test_upstream_away_resets_the_client():
    async with FaultProxy("127.0.0.1", 1) as proxy:
        reader, writer = await dial(proxy)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
