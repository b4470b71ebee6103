"""Which payment an executed quote became: Strike tells it in the answer to the execution and nowhere else. Kept in a file by the
rail `strike`, so that a payment in flight can be asked about after a restart too. What is lost here costs a doubt, never
money: an id that is not known is not guessed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

FILE_NAME = "strike-payments.txt"
MOST_BYTES = 1024 * 1024  # about 14,000 payments; the file before is kept beside it
REMEMBERED = 1_000


class PaymentIds:
    """One line for each payment, `<quote> <payment>`. Several processes on one machine may share the file: a line is
    appended in one write."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES):
        self._path = folder / FILE_NAME
        self._older = self._path.with_suffix(".old")
        self._most_bytes = most_bytes
        self._known: dict[str, str] = {}

    def remember(self, quote_id: str, payment_id: str) -> None:
        """Both are UUIDs. A file that cannot be written is a warning: the payment has been made all the same."""
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[quote_id] = payment_id
        try:
            if self._path.exists() and self._path.stat().st_size > self._most_bytes:
                self._path.replace(self._older)
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, f"{quote_id} {payment_id}\n".encode())
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            log.warning("payment %s of Strike is not kept over a restart: %s", payment_id, error)

    def find(self, quote_id: str) -> str | None:
        known = self._known.get(quote_id)
        return known or (_read(self._path, quote_id) or _read(self._older, quote_id) if quote_id else None)


def _read(path: Path, quote_id: str) -> str | None:
    """A line that was cut off by a crash has no newline and is none."""
    try:
        lines = path.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return None
    wanted = f"{quote_id} "
    found = [line for line in lines if line.startswith(wanted) and line.endswith("\n")]
    return found[-1].split()[1] if found and len(found[-1].split()) == 2 else None
