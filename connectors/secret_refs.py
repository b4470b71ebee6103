"""Secrets of a connector file: references (`env:NAME`, `file:/path`) resolved at load, several at once for a rotation.
Used by `connectors/config.py` while decoding and by each connector's `verify.py` and `client.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import msgspec

from core.secret import Secret

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FIX = "write env:NAME or file:/absolute/path here and keep the value itself out of the file"
MAX_SECRET_BYTES = 65_536


class SecretRef(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved reference. An empty `secret` is disabled. `until` is its last day (UTC, inclusive)."""

    ref: str
    secret: Secret
    until: date | None = None


class Secrets:
    """The secrets of one setting in the order of the file; the position of one is its number in `verified_by`."""

    __slots__ = ("entries",)

    def __init__(self, entries: Sequence[SecretRef]):
        self.entries = tuple(entries)

    def active(self, now: datetime) -> list[tuple[int, Secret]]:
        """(position, secret) of those that are set and not past their `until` at `now` (aware)."""
        today = now.astimezone(UTC).date()
        return [
            (position, entry.secret)
            for position, entry in enumerate(self.entries)
            if entry.secret and (entry.until is None or today <= entry.until)
        ]

    def current(self, now: datetime) -> Secret:
        """The first active one, which is what we present ourselves; an empty Secret when there is none."""
        active = self.active(now)
        return active[0][1] if active else Secret("")

    def __repr__(self) -> str:
        return f"Secrets({', '.join(entry.ref for entry in self.entries)})"


def resolve(value: object, environ: Mapping[str, str], warn: Callable[[str], None]) -> Secrets:
    """Decode what stands in the YAML: a reference, `{secret: reference, until: date}`, or a list of these.

    A variable or file that is missing or empty gives a disabled secret and a warning. Raises ValueError for a
    literal, whose text is never repeated in the message."""
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    if not items:
        raise ValueError(f"the list of secrets is empty; {_FIX}")
    return Secrets([_entry(item, environ, warn) for item in items])


def _entry(item: object, environ: Mapping[str, str], warn: Callable[[str], None]) -> SecretRef:
    until: date | None = None
    if isinstance(item, dict):
        fields = cast("dict[str, object]", item)
        unknown = sorted(str(key) for key in fields if key not in ("secret", "until"))
        if unknown:
            raise ValueError(
                f"unknown key `{unknown[0]}` beside a secret; only `secret` and `until` may stand here"
            )
        until = _day(fields.get("until"))
        item = fields.get("secret")
    if not isinstance(item, str):
        raise ValueError(f"a secret is a text; {_FIX}")  # noqa: TRY004 -- msgspec adds the path to a ValueError
    return SecretRef(ref=_named(item), secret=_read(item, environ, warn), until=until)


def _named(ref: str) -> str:
    scheme, _, name = ref.partition(":")
    if (scheme == "env" and _ENV_NAME.match(name)) or (scheme == "file" and name.startswith("/")):
        return ref
    raise ValueError(f"a secret must not be written into the file; {_FIX}")


def _read(ref: str, environ: Mapping[str, str], warn: Callable[[str], None]) -> Secret:
    scheme, _, name = _named(ref).partition(":")
    if scheme == "env":
        value = environ.get(name, "")
        if not value:
            warn(f"{ref} is not set: this secret is disabled")
        return Secret(value)
    try:
        with Path(name).open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES)
        value = raw.decode().rstrip("\r\n")
    except FileNotFoundError:
        value = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{ref} cannot be read ({type(error).__name__})") from error
    if not value:
        warn(f"{ref} is missing or empty: this secret is disabled")
    return Secret(value)


def _day(value: object) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(
        "`until` is a date such as 2026-12-01, the last day (UTC) on which the secret is accepted"
    )
