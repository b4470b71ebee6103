"""The connector files as they are now: read at start, read again when one changes, swapped as a whole. A file that
cannot be loaded leaves the former ones in use, with a repair item that says why. Used by every process of the hub."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from connectors.config import ConnectorConfig
from core.errors import HubError, Misconfigured
from hub import config_files

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
_FILE_SECRET = re.compile(r"file:(/[^\s\"',}\]]+)")

Load = Callable[[], dict[str, ConnectorConfig]]


class ConnectorBook(Mapping[str, ConnectorConfig]):
    """id -> loaded file. A mapping that changes as a whole between two look-ups; hold on to one entry while you work
    with it."""

    def __init__(self, directory: Path, load: Load | None = None):
        """Raises Misconfigured when a file cannot be loaded: a hub does not start with half of its connectors."""
        self._directory = directory / "connectors"
        self._load = load or (lambda: config_files.connectors(directory, config_files.process_environment()))
        self._seen = self._fingerprint()
        self._entries = self._load()

    def __getitem__(self, name: str) -> ConnectorConfig:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def refresh(self) -> bool:
        """Read the files again when one of them, or a secret file that they name, has changed. True when other
        entries are in use now. Raises Misconfigured once for a change that cannot be loaded."""
        now = self._fingerprint()
        if now == self._seen:
            return False
        try:
            self._entries = self._load()
        except OSError:  # a file went while we read: what is seen then is another change
            raise
        except Exception:
            self._seen = now
            raise
        self._seen = now
        return True

    async def watch(
        self,
        changed: Callable[[], Awaitable[None]],
        broken: Callable[[Misconfigured], Awaitable[None]],
        every: float = LOOK_SECONDS,
    ) -> None:
        """Look for changes until cancelled, and tell of them; of what is in use now at once."""
        tell: Callable[[], Awaitable[None]] | None = changed
        while True:
            try:
                if tell is not None:
                    await tell()
                    tell = None
            except HubError as error:  # the database is away: told with the next look
                log.warning("after a change of the connector files: %s", error.message)
            await asyncio.sleep(every)
            try:
                if self.refresh():
                    log.info("connector files changed: %s", ", ".join(self) or "none is left")
                    tell = changed
            except Misconfigured as error:
                log.error("connector files changed and cannot be loaded: %s", error.message)  # noqa: TRY400 - the message says it all
                tell = functools.partial(broken, error)
            except OSError as error:
                log.warning("connector files cannot be read, looking again: %s", error)

    def _fingerprint(self) -> tuple[tuple[str, int, int, int], ...]:
        """Name, time, size and number of every file that decides, secrets that are files included."""
        paths = sorted(self._directory.glob("*.yaml"))
        secrets = {
            Path(found) for path in paths for found in _FILE_SECRET.findall(path.read_text(errors="replace"))
        }
        stats: list[tuple[str, int, int, int]] = []
        for path in [*paths, *sorted(secrets)]:
            try:
                stat = path.stat()
                stats.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                stats.append((str(path), 0, -1, 0))
        return tuple(stats)
