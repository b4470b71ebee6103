"""How the simulated PagerDuty delivers its events: signed, in order per incident, again after a failure, and given up
or disabled by the vendor's documented rules (PagerDuty/developer-docs docs/webhooks/02-Behavior.md)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import deque
from typing import Any

import aiohttp
import msgspec

from core import clock

ANSWER_WITHIN = 5.0  # seconds
GIVE_UP_AFTER = 48 * 3600.0  # seconds
DROPS_TO_DISABLE = 3


class Delivery(msgspec.Struct, kw_only=True):
    """One webhook on its way. `id` is sent as X-Webhook-Id, the same on every try; `made` and `due` are monotonic."""

    id: str
    event_type: str
    body: bytes
    made: float
    due: float
    tries: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try; `status` is None when there was no answer."""

    delivery: str
    event_type: str
    status: int | None


class Subscription:
    """One webhook subscription of the account. `topics` empty means all; several `secrets` give several signatures,
    as during a rotation. `retry_every` is in seconds (the real one backs off, over 48 h)."""

    def __init__(
        self,
        url: str,
        signing_secrets: list[str],
        topics: frozenset[str] = frozenset(),
        retry_every: float = 2.0,
    ):
        self.id = secrets.token_hex(8)
        self.url = url
        self.secrets = signing_secrets
        self.topics = topics
        self.retry_every = retry_every
        self.filter: dict[str, Any] = {"type": "account_reference"}
        self.description = ""
        self.active = True
        self.disabled = False
        self.drops_in_a_row = 0
        self.queues: dict[str, deque[Delivery]] = {}
        self.attempts: list[Attempt] = []
        self.dropped: list[str] = []

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def covers(self, incident: dict[str, Any]) -> bool:
        """Whether the incident is of the account, the service or the team that was subscribed to."""
        match self.filter["type"]:
            case "service_reference":
                return bool(incident["service"]["id"] == self.filter["id"])
            case "team_reference":
                return any(team["id"] == self.filter["id"] for team in incident["teams"])
            case _:
                return True

    def enqueue(self, resource_id: str, event_type: str, body: bytes) -> None:
        """Put an event in the line of its incident; a disabled subscription takes none."""
        if not self.active or (self.topics and event_type not in self.topics | {"pagey.ping"}):
            return
        now = clock.monotonic()
        delivery = Delivery(id=secrets.token_hex(16), event_type=event_type, body=body, made=now, due=now)
        if self.disabled:
            self.dropped.append(delivery.id)
        else:
            self.queues.setdefault(resource_id, deque()).append(delivery)

    def heads(self) -> list[tuple[str, Delivery]]:
        """The first of every incident's line that is due: a failing one holds back those behind it."""
        now = clock.monotonic()
        return [(name, queue[0]) for name, queue in self.queues.items() if queue[0].due <= now]

    def record(self, resource_id: str, delivery: Delivery, status: int | None) -> None:
        """Delivered (2xx), kept for another try (nothing, 5xx, 429, until 48 h have passed), or dropped."""
        self.attempts.append(Attempt(delivery=delivery.id, event_type=delivery.event_type, status=status))
        delivery.tries += 1
        queue = self.queues.get(resource_id)
        if not queue or queue[0] is not delivery:
            return  # the queue was dropped while this one was under way
        now = clock.monotonic()
        if status is not None and 200 <= status < 300:
            self.drops_in_a_row = 0
        elif (status is None or status >= 500 or status == 429) and now - delivery.made < GIVE_UP_AFTER:
            delivery.due = now + self.retry_every
            return
        else:
            self._drop(delivery)
        if queue and queue[0] is delivery:
            queue.popleft()
        if not queue:
            self.queues.pop(resource_id, None)

    def enable(self) -> None:
        """`POST /webhook_subscriptions/{id}/enable`."""
        self.disabled, self.drops_in_a_row = False, 0

    def headers(self, delivery: Delivery) -> dict[str, str]:
        signatures = (
            hmac.new(key.encode(), delivery.body, hashlib.sha256).hexdigest() for key in self.secrets
        )
        return {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-PagerDuty-Signature": ",".join(f"v1={signature}" for signature in signatures),
            "X-Webhook-Id": delivery.id,
            "X-Webhook-Subscription": self.id,
        }

    def _drop(self, delivery: Delivery) -> None:
        self.dropped.append(delivery.id)
        self.drops_in_a_row += 1
        if self.drops_in_a_row >= DROPS_TO_DISABLE:
            self.disabled = True
            self.dropped += [d.id for queue in self.queues.values() for d in queue if d is not delivery]
            self.queues.clear()


async def deliver(
    subscription: Subscription, session: aiohttp.ClientSession, answer_within: float = ANSWER_WITHIN
) -> int:
    """Try the head of every incident's line once, all at the same time; how many webhooks still wait."""
    timeout = aiohttp.ClientTimeout(total=answer_within)

    async def attempt(resource_id: str, delivery: Delivery) -> None:
        status: int | None = None
        try:
            async with session.post(
                subscription.url,
                data=delivery.body,
                headers=subscription.headers(delivery),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError):
            status = None  # recorded as such: no answer is one of the documented outcomes
        subscription.record(resource_id, delivery, status)

    await asyncio.gather(*(attempt(name, delivery) for name, delivery in subscription.heads()))
    return subscription.waiting


async def deliver_for_ever(subscriptions: list[Subscription], pause: float = 0.2) -> None:
    """The simulator's loop: look every `pause` seconds until cancelled."""
    async with aiohttp.ClientSession() as session:
        while True:
            for subscription in list(subscriptions):
                await deliver(subscription, session)
            await asyncio.sleep(pause)
