"""Signing in by a one-time link, signing out, and the start page that knows where somebody belongs."""

from __future__ import annotations

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from core.access import sessions
from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.errors import Unauthenticated
from hub import auth
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services


def home_of(role: str) -> str:
    return "/worker" if may(role, Scope.ANSWER) else "/operator"


@get("/", name="pages.start", include_in_schema=False)
async def start(visitor: NamedDependency[SignedIn | None]) -> Redirect:
    """Where this person works."""
    return see_other("/sign-in" if visitor is None else home_of(visitor.role))


@get("/sign-in", name="pages.sign_in", include_in_schema=False)
async def without_link(visitor: NamedDependency[SignedIn | None]) -> Response[str]:
    """Says how to get a link; there is no password to type."""
    return page("sign_in.html", visitor, heading="Sign in", token="", message="")


@get("/sign-in/{token:str}", name="pages.sign_in.confirm", include_in_schema=False)
async def confirm(token: FromPath[str]) -> Response[str]:
    """Uses nothing up: mail scanners follow links, and only a person presses the button."""
    return page("sign_in.html", None, heading="Sign in", token=token, message="")


@post("/sign-in/{token:str}", name="pages.sign_in.use", include_in_schema=False)
async def use(token: FromPath[str], services: NamedDependency[Services]) -> Response[str] | Redirect:
    """Use up the link and open a session on this browser."""
    try:
        async with services.work.begin("access.sign_in") as tx:
            opened = await sessions.sign_in(tx, token)
    except Unauthenticated as error:
        return page(
            "sign_in.html", None, status_code=401, heading="Link not valid", token="", message=error.message
        )
    answer = see_other(home_of(opened.person.role))
    answer.set_cookie(auth.session_cookie(services.settings.public_url, opened.token, opened.seconds))
    return answer


@post("/sign-out", name="pages.sign_out", include_in_schema=False)
async def sign_out(
    visitor: NamedDependency[SignedIn | None], services: NamedDependency[Services]
) -> Redirect:
    """End this browser's session. `anyone` has refused other sites, so no token is asked for."""
    if visitor is not None:
        async with services.work.begin("access.sign_out") as tx:
            await sessions.end(tx, visitor.session)
    answer = see_other("/sign-in")
    answer.set_cookie(auth.no_cookie(services.settings.public_url))
    return answer


ROUTER = Router(
    path="/",
    guards=[no_nul, auth.anyone],
    route_handlers=[start, without_link, confirm, use, sign_out],
    opt={"public": "the way in"},
)
