"""What a call to a vendor's API can come back as, whatever library made it. Shared by every `client.py` and `reply.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from core.errors import HubError, Misconfigured, Rejected, Retryable, Uncertain


class NotSent(Exception):
    """The request never reached the other side (refused connection, unknown host, no free thread)."""


class NoAnswer(Exception):
    """The request may have arrived; the answer did not (time-out, reset)."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Any HTTP answer. `body` is its JSON, None when it is none; header names are lower case."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def seconds_to_wait(headers: Mapping[str, str], *names: str) -> float | None:
    """The first of the named headers that holds a sensible number of seconds (up to a day), else None."""
    for name in names:
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 86_400:
            return float(text)
    return None


def failure_of(problem: NotSent | NoAnswer, system: str, *, writes: bool) -> HubError:
    """A call without an answer, as the port wants it. Only a write can leave doubt: reading twice harms nobody."""
    if isinstance(problem, NoAnswer) and writes:
        return Uncertain("no_answer", f"{system} did not answer: {problem}; the write may have arrived.")
    return Retryable("unreachable", f"{system} could not be reached: {problem}.")


def failure_of_status(
    answer: Answer, system: str, said: str, *, writes: bool, wait: float | None
) -> HubError:
    """An answer that is not 2xx, as the port wants it. `said` is the vendor's code and message, `wait` its seconds."""
    status = answer.status
    if status == 429:
        return Retryable("rate_limited", f"{system} asks for fewer calls: {said}.", after=wait, status=status)
    if status in (401, 403):
        return Misconfigured(
            "credentials_refused", f"{system} refuses our credentials ({status}): {said}.", status=status
        )
    if status == 408 or status >= 500:
        if writes:
            return Uncertain(
                "server_error",
                f"{system} failed ({status}): {said}; the write may have arrived.",
                status=status,
            )
        return Retryable("server_error", f"{system} failed ({status}): {said}.", after=wait, status=status)
    return Rejected("refused", f"{system} refused ({status}): {said}.", status=status)
