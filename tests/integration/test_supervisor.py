"""The supervisor with real processes: restarts, giving up, signals, deadlines, output, and no orphans after its own
kill -9."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from core.errors import Unavailable
from hub.embedded.supervise import Child, Policy, Supervisor
from tests.wait import wait_until

ROOT = Path(__file__).parents[2]
QUICK = Policy(backoff=0.01, backoff_cap=0.02, deaths=3, within=60, grace=5)


def python(name: str, code: str, **env: str) -> Child:
    return Child(name=name, argv=(sys.executable, "-u", "-S", "-c", textwrap.dedent(code)), env=env)


def shell(name: str, script: str) -> Child:
    return Child(name=name, argv=("/bin/sh", "-c", script))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


SLEEPER = "echo ready; exec sleep 1000"


async def test_output_is_prefixed_and_all_ends_on_stop():
    out = io.BytesIO()
    supervisor = Supervisor([shell("web", SLEEPER)], policy=QUICK, out=out)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: b"ready" in out.getvalue())
    pid = supervisor.pids["web"]
    supervisor.stop()
    assert await running == 0
    assert gone(pid)
    assert supervisor.pids == {}
    assert out.getvalue() == b"web | ready\n"


async def test_environment_and_column_of_names():
    out = io.BytesIO()
    who = python(
        "worker", "import os, time; print(os.environ['WHO'], 'HOME' in os.environ); time.sleep(999)", WHO="me"
    )
    supervisor = Supervisor([shell("web", SLEEPER), who], policy=QUICK, out=out)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: out.getvalue().count(b"\n") == 2)
    supervisor.stop()
    assert await running == 0
    assert sorted(out.getvalue().splitlines()) == [b"web    | ready", b"worker | me True"]


async def test_a_killed_child_comes_back(caplog):
    caplog.set_level(logging.INFO)
    supervisor = Supervisor([shell("web", SLEEPER), shell("worker", SLEEPER)], policy=QUICK, out=io.BytesIO())
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: len(supervisor.pids) == 2)
    before = dict(supervisor.pids)
    os.kill(before["web"], signal.SIGKILL)
    await wait_until(lambda: supervisor.pids.get("web") not in (None, before["web"]))
    assert supervisor.pids["worker"] == before["worker"]
    supervisor.stop()
    assert await running == 0
    assert "web ended (signal SIGKILL); starting it again in 0.01 s" in caplog.messages


async def test_gives_up_on_a_child_that_keeps_dying_and_ends_the_others(caplog):
    supervisor = Supervisor(
        [shell("web", SLEEPER), shell("worker", "exit 3")], policy=QUICK, out=io.BytesIO()
    )
    assert await asyncio.wait_for(supervisor.run(), 20) == 1
    assert supervisor.pids == {}
    assert caplog.messages == [
        "worker ended (exit 3); starting it again in 0.01 s",
        "worker ended (exit 3); starting it again in 0.02 s",
        "worker ended 3 times within 60 s (last: exit 3); giving up",
    ]


async def test_a_program_that_does_not_exist_is_a_death_too(caplog):
    missing = Child(name="web", argv=("/nonexistent/program",))
    assert await asyncio.wait_for(Supervisor([missing], policy=QUICK, out=io.BytesIO()).run(), 20) == 1
    assert "cannot be started" in caplog.text


async def test_deaths_spread_wider_than_the_window_are_forgiven():
    out = io.BytesIO()
    policy = Policy(backoff=0.01, backoff_cap=0.01, deaths=2, within=0.1, grace=5)
    supervisor = Supervisor([shell("w", "echo up; exec sleep 0.15")], policy=policy, out=out)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: out.getvalue().count(b"up") >= 4)
    supervisor.stop()
    assert await running == 0


STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(1000)"
)


async def test_sigkill_after_the_grace_period():
    out = io.BytesIO()
    supervisor = Supervisor([python("w", STUBBORN)], policy=Policy(grace=0.3), out=out)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: b"ready" in out.getvalue())
    pid, began = supervisor.pids["w"], time.monotonic()
    supervisor.stop()
    assert await running == 0
    assert 0.3 <= time.monotonic() - began < 5
    assert gone(pid)


async def test_a_second_stop_does_not_wait():
    out = io.BytesIO()
    supervisor = Supervisor([python("w", STUBBORN)], policy=Policy(grace=60), out=out)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: b"ready" in out.getvalue())
    supervisor.stop()
    supervisor.stop()
    assert await asyncio.wait_for(running, 10) == 0


async def test_children_of_a_dead_child_are_taken_along():
    """A server's own worker processes must not hold the port when it is started again."""
    out = io.BytesIO()
    supervisor = Supervisor([shell("web", "sleep 1000 & echo $!; wait")], policy=QUICK, out=out, prefix=False)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: out.getvalue().count(b"\n") == 1)
    grandchild = int(out.getvalue())
    os.kill(supervisor.pids["web"], signal.SIGKILL)
    await wait_until(lambda: gone(grandchild))
    supervisor.stop()
    assert await running == 0


async def test_long_lines_and_a_last_line_without_newline():
    out = io.BytesIO()
    code = "import sys, time; sys.stdout.write('x' * 300_000 + '\\nend'); sys.stdout.flush(); time.sleep(999)"
    supervisor = Supervisor([python("w", code)], policy=QUICK, out=out, prefix=False)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: out.getvalue().count(b"x") == 300_000)
    supervisor.stop()
    assert await running == 0
    assert out.getvalue().endswith(b"x\nend\n")
    assert max(len(line) for line in out.getvalue().splitlines()) < 3 * 65_536


async def test_watch_runs_each_second_and_its_failure_is_not_ours(caplog):
    calls = []

    def watch() -> None:
        calls.append(1)
        raise Unavailable("valkey_away", "the queue does not answer")

    supervisor = Supervisor([shell("w", SLEEPER)], policy=QUICK, out=io.BytesIO(), watch=watch)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: len(calls) == 2)
    supervisor.stop()
    assert await running == 0
    assert "the queue does not answer" in caplog.messages


async def test_the_first_ends_before_the_others_start():
    out = io.BytesIO()
    first = shell("migrate", "sleep 0.1; echo done")
    supervisor = Supervisor([shell("web", SLEEPER)], first=first, policy=QUICK, out=out)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: b"ready" in out.getvalue())
    assert supervisor.started.is_set()
    supervisor.stop()
    assert await running == 0
    assert out.getvalue() == b"migrate | done\nweb     | ready\n"


@pytest.mark.parametrize(
    ("script", "code", "how"), [("exit 2", 2, "exit 2"), ("kill -9 $$", 1, "signal SIGKILL")]
)
async def test_nothing_starts_after_a_first_that_fails(caplog, script, code, how):
    out = io.BytesIO()
    supervisor = Supervisor([shell("web", SLEEPER)], first=shell("migrate", script), policy=QUICK, out=out)
    assert await asyncio.wait_for(supervisor.run(), 20) == code
    assert not supervisor.started.is_set()
    assert (supervisor.pids, out.getvalue()) == ({}, b"")
    assert caplog.messages == [f"migrate ended ({how}); nothing else is started"]


async def test_a_stop_during_the_first_ends_it_and_starts_nothing():
    out = io.BytesIO()
    supervisor = Supervisor(
        [shell("web", SLEEPER)], first=shell("migrate", SLEEPER), policy=QUICK, out=out, prefix=False
    )
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: b"ready" in out.getvalue())
    pid = supervisor.pids["migrate"]
    supervisor.stop()
    assert await running == 0
    assert gone(pid)
    assert (supervisor.started.is_set(), out.getvalue()) == (False, b"ready\n")


PARENT = """
    import asyncio, sys
    from hub.embedded.supervise import Child, Supervisor
    children = [Child(name=n, argv=("/bin/sh", "-c", "echo $$; exec sleep 1000")) for n in ("web", "worker")]
    async def main():
        return await Supervisor(children, out=sys.stdout.buffer, prefix=False).run()
    sys.exit(asyncio.run(main()))
"""


@pytest.fixture
def parent():
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    pids = [int(process.stdout.readline()) for _ in range(2)]
    yield process, pids
    process.kill()
    process.communicate()


async def test_kill_of_the_supervisor_leaves_no_orphans(parent):
    process, pids = parent
    process.kill()
    await wait_until(lambda: all(gone(pid) for pid in pids), timeout=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals_end_everything_with_exit_code_0(parent, number):
    process, pids = parent
    process.send_signal(number)
    assert await asyncio.to_thread(process.wait, 10) == 0
    assert all(gone(pid) for pid in pids)
