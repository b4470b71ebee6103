"""How many requests an organisation may make with its keys. Per process and in memory: it protects the hub from a loop
gone wild, it is no billing. Never asked for inbound webhooks, whose senders would disable us."""

from __future__ import annotations

import msgspec

from core import clock
from core.errors import LimitExceeded

WINDOW_SECONDS = 60
WINDOW_MS = 60_000


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer tells of it, in the headers of draft-ietf-httpapi-ratelimit-headers-11. `resets_in` is in
    seconds."""

    limit: int
    left: int
    resets_in: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"default";r={self.left};t={self.resets_in}',
        }


class RateLimit:
    """At most `per_minute` requests an organisation in any 60 seconds, by the sliding window counter: the running
    minute, and of the minute before the share that still lies inside the window. 0 is no limit."""

    def __init__(self, per_minute: int):
        self._most = per_minute
        self._seen: dict[
            str, tuple[int, int, int]
        ] = {}  # organisation -> (minute, hits in it, hits in the one before)

    def hit(self, organisation_id: str) -> Standing | None:
        """Count one request; its standing afterwards, None without a limit. Raises LimitExceeded."""
        if self._most == 0:
            return None
        minute, into = divmod(clock.now_ms(), WINDOW_MS)
        known, hits, before = self._seen.get(organisation_id, (minute, 0, 0))
        if known != minute:
            hits, before = 0, hits if known == minute - 1 else 0
        used = hits + before * (WINDOW_MS - into) // WINDOW_MS
        resets_in = max(1, -(-(WINDOW_MS - into) // 1000))
        if used >= self._most:
            raise LimitExceeded(
                "rate_limit_exceeded",
                f"Rate limit exceeded. Retry after {resets_in} seconds.",
                retry_after=resets_in,
            )
        self._seen[organisation_id] = (minute, hits + 1, before)
        return Standing(limit=self._most, left=self._most - used - 1, resets_in=resets_in)
