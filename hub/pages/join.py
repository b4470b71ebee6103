"""Coming in: asking for an invitation where sign-up is open, and the form behind an invitation's link. The hub sends no
mail: an operator sends the link, and that it arrives is what proves the address."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.status_codes import HTTP_422_UNPROCESSABLE_ENTITY

from core.access import invitations
from core.errors import Conflict, Invalid, LimitExceeded, NotFound, Unauthenticated
from core.workers.joining import Newcomer, join, version_of
from hub import auth
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.ratelimit import RateLimit
from hub.services import Services
from hub.tier_rules import general, published

AnyRequest = Request[Any, Any, Any]


@get("/", name="join.ask", include_in_schema=False)
async def show_ask(services: NamedDependency[Services]) -> Response[str]:
    """Raises NotFound where sign-up is closed."""
    _must_be_open(services)
    return page("join_ask.html", None, heading="Work with us", asked=False, email="", error="")


@post("/", name="join.asked", include_in_schema=False)
async def ask(request: AnyRequest, services: NamedDependency[Services]) -> Response[str]:
    """The same answer whether the address is new, known or asked before. Raises LimitExceeded."""
    _must_be_open(services)
    limit: RateLimit = request.app.state["join_limit"]
    trusted = services.settings.client_ip_header
    peer = request.client.host if request.client else ""
    limit.hit(request.headers.get(trusted, "").rpartition(",")[2].strip() if trusted else peer)
    value = (await request.form()).get("email")
    email = value if isinstance(value, str) else ""
    try:
        async with services.work.begin("invitations.ask") as tx:
            await invitations.ask(tx, email)
    except Invalid as error:
        told = error.field_errors.get("email", error.message)
        return page(
            "join_ask.html",
            None,
            status_code=HTTP_422_UNPROCESSABLE_ENTITY,
            heading="Work with us",
            asked=False,
            email=email,
            error=told,
        )
    except LimitExceeded as error:
        return page(
            "join_ask.html",
            None,
            status_code=429,
            heading="Work with us",
            asked=False,
            email=email,
            error=error.message,
        )
    return page("join_ask.html", None, heading="Work with us", asked=True, email=email, error="")


@get("/{token:str}", name="join.form", include_in_schema=False)
async def show_form(token: FromPath[str], services: NamedDependency[Services]) -> Response[str]:
    """Uses nothing up: mail scanners follow links."""
    return await _form(services, token, {}, {})


@post("/{token:str}", name="join.use", include_in_schema=False)
async def use(
    request: AnyRequest, token: FromPath[str], services: NamedDependency[Services]
) -> Response[str] | Redirect:
    """A person, a worker and a session in this browser."""
    form: FormMultiDict = await request.form()

    def one(name: str) -> str:
        value = form.get(name)
        return value.strip() if isinstance(value, str) else ""

    typed = {name: one(name) for name in ("name", "languages", "timezone", "payout_address", "terms")}
    wanted = [value for value in form.getall("wanted_skills", []) if isinstance(value, str)]
    new = Newcomer(
        name=typed["name"],
        terms=typed["terms"],
        languages=typed["languages"].replace(",", " ").split(),
        wanted_skills=wanted,
        timezone=typed["timezone"] or "UTC",
        payout_address=typed["payout_address"] or None,
    )
    try:
        async with services.work.begin("workers.join") as tx:
            opened = await join(tx, token, new, services.people.terms)
    except Invalid as error:
        return await _form(
            services, token, typed | {"wanted": wanted}, error.field_errors or {"name": error.message}
        )
    except Conflict as error:
        return await _form(services, token, typed | {"wanted": wanted}, {"name": error.message})
    except Unauthenticated as error:
        return page(
            "sign_in.html", None, status_code=401, heading="Link not valid", token="", message=error.message
        )
    answer = see_other("/worker/skills?notice=welcome")
    answer.set_cookie(auth.session_cookie(services.settings.public_url, opened.token, opened.seconds))
    return answer


async def _form(
    services: Services, token: str, typed: dict[str, Any], errors: dict[str, str]
) -> Response[str]:
    try:
        async with services.work.read() as session:
            found = await invitations.find(session, token)
    except Unauthenticated as error:
        return page(
            "sign_in.html", None, status_code=401, heading="Link not valid", token="", message=error.message
        )
    return page(
        "join_form.html",
        None,
        status_code=HTTP_422_UNPROCESSABLE_ENTITY if errors else 200,
        heading="Welcome",
        token=token,
        email=found.email,
        given=found.skills,
        typed=typed,
        errors=errors,
        quizzes=list(services.people.quizzes),
        terms=services.people.terms,
        version=version_of(services.people.terms),
        tiers=published(services.trust, services.policy, services.types.checks.review.reviewer_tier),
        rules=general(services.trust),
    )


def _must_be_open(services: Services) -> None:
    if not services.settings.sign_up_open:
        raise NotFound("sign_up_closed", "New workers come by invitation; ask whoever runs this hub")


ROUTER = Router(
    path="/join",
    guards=[no_nul, auth.anyone],
    route_handlers=[show_ask, ask, show_form, use],
    opt={"public": "the way in for new workers"},
)
