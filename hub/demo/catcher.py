"""The webhook catcher of the demo: receives callbacks, checks their signatures with the public library, and shows
the last of them on a page."""

from __future__ import annotations

import html
from collections import deque
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core import clock

KEPT = 200
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Webhook catcher</title><link rel="stylesheet" href="/static/hub.css">
<main class="page"><h1>Webhook catcher</h1><p>Callbacks that the demo's organisation received, newest first. TEST MONEY.</p>
<table><thead><tr><th>Received</th><th>Event</th><th>Id</th><th>Task</th><th>Signature</th></tr></thead>
<tbody>{rows}</tbody></table></main></html>"""


class Catcher:
    """Keeps the last deliveries in memory; `seen` counts how often each event id came."""

    def __init__(self, secret: str):
        self._secret = secret
        self.last: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.seen: dict[str, int] = {}

    def app(self) -> web.Application:
        application = web.Application(client_max_size=4 * 1024 * 1024)
        for path in ("", "/"):  # the hub's router takes a slash at the end away
            application.router.add_post(path, self._receive)
            application.router.add_get(path, self._page)
        application.router.add_get("/deliveries", self._list)
        return application

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(self._secret).verify(body, dict(request.headers))
            valid = True
        except WebhookVerificationError:
            valid = False
        event = msgspec.json.decode(body)
        self.seen[event["id"]] = self.seen.get(event["id"], 0) + 1
        self.last.appendleft(
            {
                "at": clock.iso(clock.now()),
                "id": event["id"],
                "type": event["type"],
                "task": event["data"]["id"],
                "valid": valid,
            }
        )
        return web.Response(status=204 if valid else 401)

    async def _list(self, request: web.Request) -> web.Response:
        body = msgspec.json.encode({"data": list(self.last), "seen": self.seen})
        return web.Response(body=body, content_type="application/json")

    async def _page(self, request: web.Request) -> web.Response:
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(str(one[key]))}</td>" for key in ("at", "type", "id", "task"))
            + f"<td>{'verified' if one['valid'] else 'WRONG'}</td></tr>"
            for one in self.last
        )
        return web.Response(text=_PAGE.format(rows=rows), content_type="text/html")
