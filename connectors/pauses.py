"""Until when each connector's vendor wants no calls, learnt from its rate-limit headers. Told by every `client.py`,
asked before a reply is sent."""

from __future__ import annotations

from core import clock

LONGEST = 3_600.0  # seconds; a header that says more is believed this far, then we ask again


class Pauses:
    """Per process, by connector id: another process meets the same 429 and learns it there."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def pause(self, connector_id: str, seconds: float) -> None:
        """No calls for so long (seconds from now); a longer pause that was set before stays."""
        until = clock.now_ms() / 1000 + min(max(seconds, 0.0), LONGEST)
        self._until[connector_id] = max(until, self._until.get(connector_id, 0.0))

    def wait(self, connector_id: str) -> float:
        """Seconds until a call is welcome again, 0 when it is now."""
        return max(0.0, self._until.get(connector_id, 0.0) - clock.now_ms() / 1000)
