"""The hub's log: one JSON object a line, or short lines for a person at a terminal; with the ids of the request, task
and job at hand, and without secrets. `configure` is called once by every process; everybody else uses stdlib logging.
Bodies are never logged."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from enum import StrEnum
from typing import TextIO

import msgspec

from core import clock

# What a line is about; set by the middleware (request) and the job runner (task, job).
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
task_id: ContextVar[str | None] = ContextVar("task_id", default=None)
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
_CONTEXT = (request_id, task_id, job_id)

MAX_CHARS = 16_384  # of one message or traceback, so that no stranger fills the disk with one request
HIDDEN = "[redacted]"

# Keys that we mint, keys that vendors mint, and any value under a name that says secret. A payment's preimage is a
# receipt and may be shown.
_TOKENS = re.compile(
    r"""\b((?:ek_live_|ek_test_|hr_(?=[A-Za-z0-9_-]{20})|whsec_|xox[a-z]-|ghp_|sk_live_|sk_test_)[A-Za-z0-9_+/=.-]{4,})"""
    r"""|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"""  # a JSON Web Token
    r"""|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"""  # user:password of a database or queue URL
)
_BEARER = re.compile(r"""\b(bearer|token token=)\s*["']?[A-Za-z0-9._~+/=-]{8,}""", re.IGNORECASE)
# A name of bounded length, so that a long run of word characters is not searched from each of its letters.
_CALLED_SO = r"(?:[a-z0-9_-]{0,40}(?:password|secret|api_?key|access_?token|refresh_?token|macaroon)|authorization|(?:set-)?cookie)"
_NAMED = re.compile(
    rf"""(\b{_CALLED_SO}\b["']?\s*[:=]\s*)"""
    r"""("[^"]*"|'[^']*'|(?:(?:bearer|basic|token|digest)\s+)?[^\s,;}&)]+)""",
    re.IGNORECASE,
)
# Attributes of every LogRecord; what else is found on one came through `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Form(StrEnum):
    AUTO = "auto"  # human on a terminal, JSON elsewhere
    JSON = "json"
    HUMAN = "human"


def configure(level: str = "INFO", form: Form | str = Form.AUTO, *, stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (stderr). Replaces what was configured before; raises ValueError for an unknown
    level or form."""
    target = stream or sys.stderr
    wanted = Form(form)
    if wanted is Form.AUTO:
        wanted = Form.HUMAN if target.isatty() else Form.JSON
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonLines() if wanted is Form.JSON else HumanLines())
    root = logging.getLogger()
    root.setLevel(level.upper())
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.captureWarnings(True)
    # These log whole URLs, arguments or every statement at INFO.
    for name in (
        "httpx",
        "httpcore",
        "aiohttp.access",
        "sqlalchemy.engine",
        "arq.worker",
        "urllib3",
        "pdpyras",
    ):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


@contextlib.contextmanager
def about(*, request: str | None = None, task: str | None = None, job: str | None = None) -> Generator[None]:
    """Name what the lines inside are about; what is not given stays as it was."""
    given = [
        (var, value) for var, value in zip(_CONTEXT, (request, task, job), strict=True) if value is not None
    ]
    tokens = [(var, var.set(value)) for var, value in given]
    try:
        yield
    finally:
        for var, token in reversed(tokens):
            var.reset(token)


def redact(text: str) -> str:
    """The text without anything that looks like a key, token, password or credential header."""
    text = _NAMED.sub(lambda match: match[1] + HIDDEN, text)
    text = _BEARER.sub(lambda match: f"{match[1]} {HIDDEN}", text)
    return _TOKENS.sub(lambda match: _prefix(match[1]) + HIDDEN, text)


class JsonLines(logging.Formatter):
    """`{"at": …, "level": …, "logger": …, "message": …}` plus the context's ids, `extra` fields and `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(_cut(record.getMessage())),
            **_context(),
            **{name: _plain(name, value) for name, value in _extra(record)},
        }
        if record.exc_info:
            line["error"] = redact(_cut(_trace(record)))
        return msgspec.json.encode(line).decode()


class HumanLines(logging.Formatter):
    """`21:30:00 WARNING outbox  the message  task_id=… key=value`, a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {**_context(), **{name: _plain(name, value) for name, value in _extra(record)}}
        words = [
            _at(record)[11:19],
            f"{record.levelname:<7}",
            record.name,
            "",
            redact(_cut(record.getMessage())),
        ]
        words += [f"{name}={value}" for name, value in fields.items()]
        # A stranger's newline must not forge a line of ours.
        line = " ".join(words).replace("\r", "\\r").replace("\n", "\\n")
        return line + ("\n" + redact(_cut(_trace(record))) if record.exc_info else "")


def _at(record: logging.LogRecord) -> str:
    return clock.iso(clock.from_ms(int(record.created * 1000)))


def _context() -> dict[str, str]:
    return {var.name: value for var in _CONTEXT if (value := var.get()) is not None}


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in vars(record).items() if name not in _STANDARD)


def _plain(name: str, value: object) -> object:
    """Numbers and None as they are, everything else as redacted text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if re.fullmatch(_CALLED_SO, name, re.IGNORECASE):
        return HIDDEN
    return redact(_cut(str(value)))


def _trace(record: logging.LogRecord) -> str:
    assert record.exc_info is not None
    return "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info[0] else ""


def _cut(text: str) -> str:
    # A lone surrogate (from a stranger's bytes) would make the encoder refuse the whole line.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}… ({len(text)} characters)"


def _prefix(token: str | None) -> str:
    """Of `ek_live_abc…` the part that says what kind of key it was."""
    kind = re.match(r"[a-z]{2}_(?:live|test)_|whsec_|xox[a-z]-|ghp_", token or "")
    return kind[0] if kind else ""
