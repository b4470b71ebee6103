"""What the parts of the simulated PagerDuty share: the form of its resources, its ids, times and refusals."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from core import clock

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Thing = dict[str, Any]


class Refusal(Exception):
    """An error in PagerDuty's words (PagerDuty/developer-docs docs/REST-API/14-Errors.md)."""

    def __init__(self, status: int, code: int, message: str, *details: str):
        super().__init__(message)
        self.status = status
        self.body: Thing = {"error": {"message": message, "code": code, "errors": list(details)}}


def new_id(prefix: str = "P", length: int = 6) -> str:
    """`P` and six characters as older ids are; incidents of today are `Q` and thirteen. Random, so that the
    incidents of two runs never look like the same one to a hub that remembers."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def reference(thing: Thing) -> Thing:
    """The short form in which one resource names another."""
    names = ("id", "self", "html_url", "summary")
    kind = str(thing["type"]).removesuffix("_reference")
    return {"type": f"{kind}_reference", **{name: thing.get(name) for name in names}}


def resource(account: str, kind: str, type_name: str, resource_id: str, summary: str) -> Thing:
    return {
        "id": resource_id,
        "type": type_name,
        "summary": summary,
        "self": f"https://api.pagerduty.com/{kind}/{resource_id}",
        "html_url": f"https://{account}.pagerduty.com/{kind}/{resource_id}",
    }


def named(account: str, kind: str, type_name: str, name: str) -> Thing:
    """The same name gives the same id: services and priorities are not objects of their own here."""
    return resource(account, kind, type_name, "P" + name.upper().encode().hex()[:6].upper(), name)


def one_of(things: Sequence[Thing], wanted: str) -> Thing:
    """The one with that id. Raises Refusal."""
    for thing in things:
        if thing["id"] == wanted:
            return thing
    raise Refusal(404, 2100, "Not Found")


def second() -> str:
    """Now, as the REST API writes times: whole seconds."""
    return clock.iso(clock.now())[:19] + "Z"


def instant() -> str:
    """Now, as `occurred_at` of a webhook is written: with milliseconds."""
    return clock.iso(clock.now())
