"""Renders the pages: Jinja2 with autoescape, and how times and amounts are written.
Called by every handler in `hub/pages`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.response import Redirect
from markupsafe import Markup

from core import clock
from core.access.sessions import SignedIn
from core.money import Currency, from_msat
from core.payouts.states import PayoutState
from core.rates.model import Rate
from hub.observe.trail_entries import sats
from hub.pages.static import asset

# How a payout's words are coloured; while it is in doubt nothing looks like a failure.
PAYOUT_MOODS = {
    PayoutState.SETTLED: "good",
    PayoutState.FAILED: "bad",
    PayoutState.REVERSED: "bad",
    PayoutState.WITHHELD: "bad",
}

_HTML = "text/html"


def usd(msat: int, rate: Rate) -> str:
    """Dollars to the cent, to the tenth of a cent below ten cents."""
    return dollars(from_msat(msat, Currency.USD, rate.usd_per_btc))


def dollars(amount: Decimal) -> str:
    step = Decimal("0.001") if 0 < abs(amount) < Decimal("0.1") else Decimal("0.01")
    return f"${amount.quantize(step, ROUND_HALF_EVEN):,}"


def when(moment: datetime) -> Markup:
    """`23 Nov 2026, 21:30 UTC` as a <time> element."""
    shown = f"{moment.day} {moment:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(clock.iso(moment), shown)


def exactly(moment: datetime) -> Markup:
    """To the millisecond, for a trail."""
    return Markup('<time datetime="{0}">{0}</time>').format(clock.iso(moment))


def left(until: datetime, now_ms: int) -> str:
    """Time until a deadline for a page without JavaScript; form.js counts it down."""
    seconds = (clock.to_ms(until) - now_ms) // 1000
    if seconds <= 0:
        return "no time left"
    if seconds < 60:
        return "less than a minute left"
    if seconds < 7200:
        return f"{seconds // 60} min left"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min left"


def countdown(until: datetime, now_ms: int, warning: str = "") -> Markup:
    """The element that form.js counts down; `warning` is the id of a live region. The server's clock itself is once
    on the page (`data-now` of <main>), so that a part which is fetched again is the same while nothing happens."""
    return Markup('<time class="left" data-deadline="{}" data-warning="{}">{}</time>').format(
        clock.to_ms(until), warning, left(until, now_ms)
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("hub", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )
    own_globals = {"asset": asset, "left": left, "countdown": countdown, "payout_moods": PAYOUT_MOODS}
    own_filters = {"sats": sats, "usd": usd, "dollars": dollars, "when": when, "exactly": exactly}
    made.globals.update(own_globals)  # pyright: ignore[reportUnknownMemberType] - Jinja's dict has no parameters
    made.filters.update(own_filters)  # pyright: ignore[reportUnknownMemberType] - as above
    return made


JINJA = _environment()


def render(template: str, person: SignedIn | None, **context: Any) -> str:
    """The HTML of a template. `csrf_field()` writes the hidden field of whoever is signed in."""
    defaults: dict[str, Any] = {
        "area": "",
        "here": "",
        "script": False,
        "test_money": False,
        "now_ms": clock.now_ms(),
        "person": person,
        "csrf_field": _csrf_field(person),
    }
    return JINJA.get_template(template).render(defaults | context)


def page(template: str, person: SignedIn | None, *, status_code: int = 200, **context: Any) -> Response[str]:
    """A whole page; `hub/middleware.py` adds the security headers."""
    return Response(
        render(template, person, **context),
        status_code=status_code,
        media_type=_HTML,
    )


def partial(
    template: str, person: SignedIn | None, if_none_match: str | None, **context: Any
) -> Response[str]:
    """A part that form.js fetches again and again: 304 while nothing changed."""
    html = render(template, person, **context)
    etag = f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
    if if_none_match == etag:
        return Response("", status_code=304, media_type=_HTML, headers={"ETag": etag})
    return Response(html, media_type=_HTML, headers={"ETag": etag})


def see_other(path: str) -> Redirect:
    """After a POST: the browser GETs `path`, so that a reload repeats nothing."""
    return Redirect(path, status_code=303)


def _csrf_field(person: SignedIn | None) -> Callable[[], Markup]:
    token = "" if person is None else person.csrf_token
    return lambda: Markup('<input type="hidden" name="_csrf_token" value="{}">').format(token)
