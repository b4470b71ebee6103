"""One program of the two-node network as a process: started, frozen, thawed, killed. Used by `chain.py` and
`electrum_node.py`. No event loop of anybody's is kept, so that each test may have its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from core import clock

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".lightning"  # where install.sh puts bcoin and ElectrumX
ELECTRUM = Path("/usr/bin/electrum")
ELECTRUMX = TOOLS / "venv" / "bin" / "electrumx_server"
BCOIN = TOOLS / "node_modules" / "bcoin" / "bin" / "node"
STOP_SECONDS = 10.0
LAST_WORDS = 2000  # characters of a log in an error

Found = TypeVar("Found")


class NotReady(Exception):
    """A program ended early, or did not get as far as it should."""


def missing() -> str | None:
    """Which program is not installed, in words; None when all are there."""
    return next(
        (f"{path.name} ({how})" for path, how in _PROGRAMS.items() if not path.exists()),
        None,
    )


_INSTALL = "hub/demo/lightning/install.sh"
_PROGRAMS = {
    ELECTRUM: f"Debian package electrum, {_INSTALL}",
    ELECTRUMX: _INSTALL,
    BCOIN: _INSTALL,
}


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


async def until(what: str, probe: Callable[[], Awaitable[Found | None]], *, seconds: float) -> Found:
    """What `probe` gives, as soon as that is true. It may raise OSError or NotReady meanwhile. Raises NotReady."""
    end = clock.monotonic() + seconds
    last: Exception | None = None
    while clock.monotonic() < end:
        try:
            found = await probe()
        except (OSError, NotReady) as error:
            found, last = None, error
        if found:
            return found
        await asyncio.sleep(0.1)
    raise NotReady(f"{what} took longer than {seconds:.0f} s" + (f": {last}" if last else ""))


class Program:
    """`folder` is its working directory and its HOME; its output goes to `<folder>/<name>.log`. Nothing of our own
    environment goes with it but PATH."""

    def __init__(
        self, name: str, argv: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None
    ):
        self.name = name
        self._argv = [str(word) for word in argv]
        self._folder = folder
        self._env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        path = self._folder / f"{self.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Raises OSError when it is not installed."""
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the programs of `missing`, no word of anybody else's
                self._argv,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we stop them in order
            )

    def run(self) -> str:
        """Run to the end; what it printed. Raises NotReady when it fails."""
        done = subprocess.run(  # noqa: S603 - as above
            self._argv,
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotReady(f"{self.name}: {done.stderr.decode(errors='replace')[-LAST_WORDS:]}")
        return done.stdout.decode().strip()

    def check(self) -> None:
        """Raises NotReady when it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise NotReady(f"{self.name} has ended: {self.log[-LAST_WORDS:]}")

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it and SIGCONT thaws it; SIGKILL is a crash, after which it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """In order if it can, frozen or not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
