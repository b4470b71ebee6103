"""How many requests an organisation may make with its keys. Per process and in memory: it protects the hub from a loop
gone wild, it is no billing. Never asked for inbound webhooks, whose senders would disable us."""

from __future__ import annotations

import msgspec
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from core import clock
from core.errors import LimitExceeded

WINDOW_SECONDS = 60


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
    """At most `per_minute` requests an organisation in any 60 seconds; 0 is no limit."""

    def __init__(self, per_minute: int):
        self._item = RateLimitItemPerMinute(per_minute) if per_minute > 0 else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, organisation_id: str) -> Standing | None:
        """Count one request; its standing afterwards, None without a limit. Raises LimitExceeded."""
        if self._item is None:
            return None
        allowed = self._limiter.hit(self._item, organisation_id)
        reset_at, left = self._limiter.get_window_stats(self._item, organisation_id)
        seconds = max(1, round(reset_at - clock.unix()))
        if not allowed:
            raise LimitExceeded(
                "rate_limit_exceeded",
                f"Rate limit exceeded. Retry after {seconds} seconds.",
                retry_after=seconds,
            )
        return Standing(limit=self._item.amount, left=left, resets_in=seconds)
