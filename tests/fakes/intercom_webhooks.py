"""How the simulated Intercom delivers: signed with the app's client secret, tried twice, and then never again
(developers.intercom.com, Webhook topics, "Handling Webhook notifications")."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import aiohttp
import msgspec

from core import clock
from tests.fakes.intercom_workspace import Workspace

ANSWER_WITHIN = 5.0  # seconds
RETRY_AFTER = 60.0  # seconds; the only retry
DROPPED_AFTER = 2 * 3600.0  # seconds of being throttled by 429


class Notification(msgspec.Struct, kw_only=True):
    """On its way. `due` and `made` are monotonic seconds."""

    id: str
    topic: str
    body: bytes
    made: float
    due: float
    tries: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try; `status` is None when there was no answer."""

    id: str
    topic: str
    status: int | None


class Subscription:
    """An app's endpoint. `topics` empty means all; pings always come."""

    def __init__(
        self,
        world: Workspace,
        url: str,
        client_secret: str,
        topics: frozenset[str] = frozenset(),
        retry_after: float = RETRY_AFTER,
    ):
        self.url, self.client_secret, self.topics, self.retry_after = url, client_secret, topics, retry_after
        self.waiting: list[Notification] = []
        self.attempts: list[Attempt] = []
        self.failed: list[str] = []
        self.disabled = False
        world.listeners.append(self.enqueue)

    def enqueue(self, topic: str, notification: dict[str, Any]) -> None:
        if self.disabled or (self.topics and topic not in self.topics and topic != "ping"):
            return
        now = clock.monotonic()
        self.waiting.append(
            Notification(
                id=str(notification["id"]),
                topic=topic,
                body=msgspec.json.encode(notification),
                made=now,
                due=now,
            )
        )

    def ping(self) -> None:
        item = {"type": "ping", "message": "something something interzen"}
        data = {"type": "notification_event_data", "item": item}
        self.enqueue("ping", {"type": "notification_event", "topic": "ping", "id": None, "data": data})

    def headers(self, body: bytes) -> dict[str, str]:
        signature = hmac.new(self.client_secret.encode(), body, hashlib.sha1).hexdigest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "intercom-parrot-service-client/1.0",
            "X-Hub-Signature": f"sha1={signature}",
        }

    async def validates(self, session: aiohttp.ClientSession) -> bool:
        """What happens as the address is typed in: a HEAD that wants a 2xx."""
        async with session.head(self.url, allow_redirects=False) as response:
            return 200 <= response.status < 300

    async def deliver(self, session: aiohttp.ClientSession) -> int:
        """Try whatever is due once, the newest first, as after an outage of theirs; how many still wait."""
        now = clock.monotonic()
        for notification in sorted((n for n in self.waiting if n.due <= now), key=lambda n: -n.made):
            self._record(notification, await self._post(session, notification.body))
        return len(self.waiting)

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> int | None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
        try:
            async with session.post(
                self.url, data=body, headers=self.headers(body), timeout=timeout, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return None  # no answer is one of the documented outcomes

    def _record(self, notification: Notification, status: int | None) -> None:
        self.attempts.append(Attempt(id=notification.id, topic=notification.topic, status=status))
        notification.tries += 1
        now = clock.monotonic()
        if status == 429 and now - notification.made < DROPPED_AFTER:
            notification.due = now + self.retry_after
            return
        if (status is None or not 200 <= status < 300) and status != 410 and notification.tries < 2:
            notification.due = now + self.retry_after
            return
        self.waiting.remove(notification)
        if status == 410:
            self.disabled = True
            self.waiting.clear()
        if status is None or not 200 <= status < 300:
            self.failed.append(notification.id)
