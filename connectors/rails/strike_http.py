"""Calls to Strike's API with the account's key: bounded, each sent once, within a budget of our own. Used by the rails
`strike` and `strike_bank`; what an answer means is said in `strike_answers.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from connectors.calls import Answer, NotSent, seconds_to_wait
from connectors.rails.sent_once import sent_once
from core import clock
from core.secret import Secret

READ_SECONDS = (
    4.0  # one question; a payment asks up to three, and a job that pays holds its lease for 30 seconds
)
MAX_ANSWER = 512 * 1024  # bytes; a page of a hundred payments is about 100 KB
WINDOW_SECONDS = 600.0
KEPT_FOR_PAYING = 5  # one request in so many is for quotes and executions alone
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60, 3_600  # after a 429 that does not say how long


class Budget:
    """At most `most` requests in any ten minutes. Strike shuts an account out for an hour that makes more than 1,000
    (docs.strike.me/rate-limits; 350 in its sandbox), and then a payment in doubt could not be asked about. Look-ups stop
    first; after a 429 nothing is sent until the pause is over."""

    def __init__(self, most: int, seconds: Callable[[], float] = clock.monotonic):
        self._most = most
        self._seconds = seconds
        self._sent: deque[float] = deque()
        self._closed_until: float = 0
        self._pause: float = FIRST_PAUSE_SECONDS

    def left(self, *, paying: bool) -> int:
        """How many requests may go now."""
        now = self._seconds()
        while self._sent and self._sent[0] <= now - WINDOW_SECONDS:
            self._sent.popleft()
        if now < self._closed_until:
            return 0
        kept = 0 if paying else self._most // KEPT_FOR_PAYING
        return max(0, self._most - kept - len(self._sent))

    def take(self, *, paying: bool) -> None:
        """Raises NotSent when there is no room: the request must not go."""
        if not self.left(paying=paying):
            raise NotSent(f"our own limit for Strike's rate limits; free in {self.wait():.0f} s")
        self._sent.append(self._seconds())

    def wait(self) -> float:
        """Seconds until there is room again, as far as is known."""
        now = self._seconds()
        oldest = self._sent[0] + WINDOW_SECONDS if self._sent else now
        return max(1, (self._closed_until if self._closed_until > now else oldest) - now)

    def refused(self, seconds: float | None) -> None:
        """Strike answered 429; `seconds` is its Retry-After."""
        pause = self._pause if seconds is None else max(1, min(seconds, LONGEST_PAUSE_SECONDS))
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self._closed_until = max(self._closed_until, self._seconds() + pause)

    def accepted(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS


class StrikeHttp:
    """One account. `url` ends before `/v1`."""

    def __init__(self, url: str, key: Secret, budget: Budget):
        self.url = url
        self.budget = budget
        self._key = key

    def __repr__(self) -> str:
        return f"StrikeHttp({self.url!r})"

    async def get(self, path: str, *, query: Mapping[str, str] | None = None) -> Answer:
        return await self.call("GET", path, query=query, seconds=READ_SECONDS)

    async def call(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        paying: bool = False,
    ) -> Answer:
        """The answer to one request (`sent_once`), within `seconds` in all; `path` begins with a slash after `/v1`. Raises
        NotSent when nothing can have arrived, NoAnswer when something may have."""
        self.budget.take(paying=paying)
        whole = await sent_once(
            method,
            f"{self.url}/v1{path}",
            headers={"Authorization": f"Bearer {self._key.reveal()}", **(headers or {})},
            seconds=seconds,
            limit=MAX_ANSWER,
            json=json,
            query=query,
        )
        answer = Answer(status=whole.status, body=_json(whole.raw), headers=whole.headers)
        self._pace(answer)
        return answer

    def _pace(self, answer: Answer) -> None:
        if answer.status == 429:
            self.budget.refused(seconds_to_wait(answer.headers, "retry-after"))
        elif answer.ok:
            self.budget.accepted()


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
