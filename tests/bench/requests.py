"""The requests of the load generator, built before the clock starts: signed deliveries of one vendor or of all by turns,
messages of many Cases, and task creations. One in fifty is a repeat of the one before, as vendors and clients do it."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from tests.bench.deliveries import delivery, outbound_message

REPEAT_EVERY = 50
# The recorded delivery that the connector's own tests use (PagerDuty/developer-docs, webhooks v3).
FIXTURE = Path(__file__).parents[2] / "config/connectors/fixtures/incident_escalated.json"
# The refund question of the published quickstart.
TASK = {
    "taskType": "refund_eligibility",
    "payload": {"orderId": "order-12345", "orderTotal": 89.99, "reason": "Item arrived damaged"},
    "outputSchema": {
        "type": "object",
        "required": ["eligible", "notes"],
        "properties": {
            "eligible": {"type": "boolean"},
            "notes": {"type": "string", "minLength": 10, "maxLength": 400},
        },
    },
    "payout": {"currency": "USD", "maxAmount": 0.01},
    "slaSeconds": 600,
}


def build(plan: dict[str, Any]) -> list[tuple[str, bytes]]:
    """(id, the request's bytes) for `count` requests, ids beginning with the plan's `prefix`."""
    make = {"pagerduty": _delivery, "mixed": _mixed, "cases": _cases, "task": _task}[plan["kind"]]
    made: list[tuple[str, bytes]] = []
    for number in range(plan["count"]):
        if number % REPEAT_EVERY == REPEAT_EVERY - 1:
            made.append(made[-1])
            continue
        name = f"{plan['prefix']}-{number:06}"
        made.append((name, make(plan, name, number)))
    return made


def _delivery(plan: dict[str, Any], name: str, number: int) -> bytes:
    global _fixture
    _fixture = _fixture or FIXTURE.read_text().strip()
    body = _fixture.replace("01GI0JWUU28G8XE5M6IIT4BZ39", name).encode()
    signature = hmac.new(plan["secret"].encode(), body, hashlib.sha256).hexdigest()
    return http(plan, body, {"X-PagerDuty-Signature": f"v1={signature}", "X-Webhook-Id": name})


def _mixed(plan: dict[str, Any], name: str, number: int) -> bytes:
    """The senders by turns. `first` is the first number of this run: what Salesforce sends is known by its number."""
    sender = plan["senders"][number % len(plan["senders"])]
    path, body, headers = delivery(sender, name, plan["first"] + number)
    return http({**plan, "path": path}, body, headers)


def _cases(plan: dict[str, Any], name: str, number: int) -> bytes:
    """Outbound Messages of `cases` Cases each."""
    sender, first = plan["senders"][0], plan["first"] + number * plan["cases"]
    body = outbound_message(sender, list(range(first, first + plan["cases"])))
    return http({**plan, "path": sender["path"]}, body, {"Content-Type": "text/xml; charset=UTF-8"})


def _task(plan: dict[str, Any], name: str, number: int) -> bytes:
    body = json.dumps({"idempotencyKey": name, **TASK}).encode()
    return http(plan, body, {"Authorization": f"Bearer {plan['api_key']}"})


def http(plan: dict[str, Any], body: bytes, headers: dict[str, str]) -> bytes:
    lines = [
        f"POST {plan['path']} HTTP/1.1",
        f"Host: {plan['host']}:{plan['port']}",
        f"Content-Type: {headers.pop('Content-Type', 'application/json')}",
        "User-Agent: PagerDuty-Webhook/V3.0",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_fixture = ""
