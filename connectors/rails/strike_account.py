"""What both Strike rails ask of an account: its list of payments, its balance, the price of a bitcoin. Used by `strike.py`
and `strike_bank.py`; nothing here moves money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast

import msgspec

from connectors.calls import Answer, NoAnswer, NotSent
from connectors.rails.strike_answers import (
    Money,
    Rate,
    available,
    fields,
    floor_msat,
    hash_of,
    is_id,
    result_of,
    said,
    ticker,
    together,
)
from connectors.rails.strike_http import StrikeHttp
from core.errors import Retryable
from core.payouts.rail import Outcome, PaymentResult

PAGE = 100
MOST_PAGES = 20
HISTORY_SECONDS = 8.0


class Unread(Exception):
    """The account could not be asked, or its answer cannot be read."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the list of payments says of one hash. `gap` is why an absence in it proves nothing; empty when the whole list
    was read and every payment in it names its invoice."""

    found: PaymentResult | None = None
    gap: str = ""


async def ask(http: StrikeHttp, path: str, query: Mapping[str, str] | None = None) -> Answer:
    """A 200, or Unread."""
    try:
        answer = await http.get(path, query=query)
    except (NotSent, NoAnswer) as error:
        raise Unread(f"Strike could not be asked: {error}") from error
    if answer.status != 200:
        raise Unread(hint(answer))
    return answer


def hint(answer: Answer) -> str:
    """An answer that is not what we hoped for, in words that an operator can act on."""
    words = said(answer).words
    if answer.status in (401, 403):
        return f"Strike refuses the key ({words}); it needs the scopes that README.md beside the rail lists"
    if answer.status == 429:
        return f"Strike asks for fewer calls ({words})"
    return f"Strike answered {words}"


async def listed(http: StrikeHttp) -> AsyncGenerator[Mapping[str, Any]]:
    """Every payment of the account, in the list's own order. Raises Unread. `GET /payments` is not in the published
    reference: one client reads it (lightning-node-interface/lni), so nothing about it is taken for granted. The end is an
    empty page or the told count of different payments, for a page may be shorter than we ask."""
    seen: set[str] = set()
    for _ in range(MOST_PAGES):
        answer = await ask(http, "/payments", {"$skip": str(len(seen)), "$top": str(PAGE)})
        body = fields(answer.body)
        items = body.get("items", answer.body)
        if not isinstance(items, list):
            raise Unread("Strike's list of payments cannot be read")
        page = [fields(item) for item in cast("list[object]", items)]
        for item in page:
            payment_id = item.get("paymentId")
            if not is_id(payment_id):
                raise Unread("an entry of Strike's list of payments has no id")
            if payment_id in seen:
                raise Unread("Strike's list of payments repeats itself")
            seen.add(str(payment_id))
            yield item
        count = body.get("count")
        known = (
            isinstance(count, int) and not isinstance(count, bool) and body.get("isCountUnknown") is not True
        )
        if not page or (known and len(seen) >= cast("int", count)):
            return
    raise Unread(f"Strike's list of payments is longer than {MOST_PAGES} pages")


async def history(http: StrikeHttp, payment_hash: str) -> History:
    """What the list says of this hash. A payment that left counts wherever the reading stopped; one that failed only
    when there is certainly no other."""
    found: list[PaymentResult] = []
    gap = ""
    try:
        async with asyncio.timeout(HISTORY_SECONDS), aclosing(listed(http)) as items:
            async for item in items:
                named = hash_of(item)
                if named == payment_hash.lower():
                    found.append(result_of(item, payment_hash))
                elif named is None:
                    gap = "Strike's list of payments does not say which invoices were paid"
                if found and found[-1].outcome is Outcome.SETTLED:
                    break  # no other payment of this hash can say more
    except Unread as error:
        gap = str(error)
    except TimeoutError:
        gap = f"Strike's list of payments took longer than {HISTORY_SECONDS:g} s"
    best = together(found)
    if gap and best is not None and best.outcome is Outcome.FAILED:
        best = None
    return History(found=best, gap=gap)


async def balance(http: StrikeHttp, currency: str) -> Money:
    """Raises Unread."""
    found = available((await ask(http, "/balances")).body, currency)
    if found is None:
        raise Unread(f"Strike's list of balances has none in {currency}")
    return found


async def price(http: StrikeHttp, currency: str) -> Rate | None:
    """The rate between bitcoin and `currency` now; None for bitcoin itself. Raises Unread."""
    if currency == "BTC":
        return None
    found = ticker((await ask(http, "/rates/ticker")).body, currency)
    if found is None:
        raise Unread(f"Strike's list of rates has none for {currency}")
    return found


async def balance_msat(http: StrikeHttp, currency: str) -> int:
    """What could be sent from this balance, rounded down. Raises Retryable."""
    try:
        found, at = await balance(http, currency), await price(http, currency)
    except Unread as error:
        raise Retryable("unreadable_balance", str(error)) from error
    return floor_msat(found, at) or 0
