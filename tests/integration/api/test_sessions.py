"""The guards of pages: sessions, roles, CSRF. On a small application of its own, so that no page's logic stands
between the guard and the answer."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from core.access import people, sessions
from core.access.roles import Role, Scope
from core.access.sessions import SignedIn
from core.secret import Secret
from hub import auth, problems
from hub.middleware import complete_headers
from hub.services import Services
from tests.integration.api.conftest import BASE, WebSettings

LOOPBACK = "http://127.0.0.1:8000"


@get("/worker-only")
async def worker_page(person: NamedDependency[SignedIn]) -> Response[str]:
    return Response(person.name)


@post("/worker-only", status_code=200)
async def worker_form(request: Request[Any, Any, Any]) -> Response[str]:
    return Response(str((await request.form()).get("answer")))


@get("/operator-only")
async def operator_page() -> Response[str]:
    return Response("console")


@get("/start")
async def start(visitor: NamedDependency[SignedIn | None]) -> Response[str]:
    return Response(visitor.name if visitor else "nobody")


@post("/start", status_code=200)
async def start_form() -> Response[str]:
    return Response("taken")


@pytest.fixture
async def site(services: Services) -> AsyncGenerator[httpx.AsyncClient]:
    here = dataclasses.replace(services, settings=WebSettings(public_url=LOOPBACK))
    app = Litestar(
        [
            Router("/", guards=[auth.require(Scope.ANSWER)], route_handlers=[worker_page, worker_form]),
            Router("/", guards=[auth.operator], route_handlers=[operator_page]),
            Router("/", guards=[auth.anyone], route_handlers=[start, start_form]),
        ],
        dependencies={
            "person": Provide(auth.person, sync_to_thread=False),
            "visitor": Provide(auth.visitor, sync_to_thread=False),
        },
        state=State({"services": here}),
        before_send=[complete_headers],
        exception_handlers=problems.HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=LOOPBACK) as client:
        yield client


async def sign_in(services: Services, role: Role, name: str) -> tuple[str, SignedIn]:
    """The token of a fresh session and who is behind it."""
    async with services.work.begin("test") as tx:
        person = await people.create(tx, role=role, name=name, email=f"{name}@example.org", actor="test")
        link = await sessions.make_link(tx, person.id, actor="test")
    async with services.work.begin("test") as tx:
        opened = await sessions.sign_in(tx, link.reveal())
    token = opened.token.reveal()
    async with services.work.read() as session:
        signed_in = await sessions.find(session, token)
    assert signed_in is not None
    return token, signed_in


def cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"hub_session={token}"}


async def test_a_page_wants_somebody_signed_in(site: httpx.AsyncClient, services: Services) -> None:
    token, _ = await sign_in(services, Role.WORKER, "ann")

    assert (await site.get("/worker-only", headers=cookie(token))).text == "ann"
    for headers in ({}, cookie("x" * 43), cookie("")):
        refused = await site.get("/worker-only", headers=headers)
        assert refused.status_code == 401
        assert refused.json()["type"] == "urn:hub:problem:sign_in"
        browser = await site.get("/worker-only", headers={**headers, "Accept": "text/html"})
        assert (browser.status_code, browser.headers["location"]) == (303, "/sign-in?next=/worker-only")


async def test_roles(site: httpx.AsyncClient, services: Services) -> None:
    ann, _ = await sign_in(services, Role.WORKER, "ann")
    olga, _ = await sign_in(services, Role.OPERATOR, "olga")

    assert (await site.get("/operator-only", headers=cookie(ann))).status_code == 403
    assert (await site.get("/operator-only", headers=cookie(olga))).text == "console"
    assert (await site.get("/worker-only", headers=cookie(olga))).status_code == 403
    assert (await site.get("/start", headers=cookie(olga))).text == "olga"
    assert (await site.get("/start")).text == "nobody"


async def test_a_form_wants_its_token(site: httpx.AsyncClient, services: Services) -> None:
    token, person = await sign_in(services, Role.WORKER, "ann")
    _, other = await sign_in(services, Role.WORKER, "bob")
    headers = cookie(token)

    async def send(**options: Any) -> httpx.Response:
        return await site.post("/worker-only", **{"headers": headers, **options})

    for data in ({}, {"_csrf_token": ""}, {"_csrf_token": other.csrf_token}, {"_csrf_token": "é"}):
        refused = await send(data={"answer": "yes", **data})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:hub:problem:csrf")
    assert (await send(data={"answer": "yes", "_csrf_token": person.csrf_token})).text == "yes"
    files = {"picture": ("a.txt", b"x")}
    data = {"answer": "yes", "_csrf_token": person.csrf_token}
    assert (await send(data=data, files=files)).text == "yes"
    with_header = {**headers, "X-CSRF-Token": person.csrf_token}
    assert (await send(data={"answer": "yes"}, headers=with_header)).text == "yes"


async def test_another_site_cannot_post(site: httpx.AsyncClient, services: Services) -> None:
    token, person = await sign_in(services, Role.WORKER, "ann")
    data = {"answer": "yes", "_csrf_token": person.csrf_token}
    for extra, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": LOOPBACK}, 200),
        ({}, 200),
    ):
        for path in ("/worker-only", "/start"):
            answer = await site.post(path, data=data, headers={**cookie(token), **extra})
            assert answer.status_code == status, (path, extra)


async def test_signing_out_here_and_everywhere(site: httpx.AsyncClient, services: Services) -> None:
    token, person = await sign_in(services, Role.WORKER, "ann")
    async with services.work.begin("test") as tx:
        second = (
            await sessions.open_session(tx, await people.get(tx.session, person.person_id))
        ).token.reveal()

    async with services.work.begin("test") as tx:
        await sessions.end(tx, person.session)
    assert (await site.get("/worker-only", headers=cookie(token))).status_code == 401
    assert (await site.get("/worker-only", headers=cookie(second))).status_code == 200

    async with services.work.begin("test") as tx:
        assert await sessions.end_all(tx, person.person_id) == 1
    assert (await site.get("/worker-only", headers=cookie(second))).status_code == 401


async def test_a_blocked_person_is_out_at_once(site: httpx.AsyncClient, services: Services) -> None:
    token, person = await sign_in(services, Role.WORKER, "ann")

    async with services.work.begin("test") as tx:
        await people.block(tx, person.person_id, actor="test")

    assert (await site.get("/worker-only", headers=cookie(token))).status_code == 401


def test_the_cookie_is_secure_but_on_this_very_machine() -> None:
    for url, name in (
        ("https://hub.example", "__Host-hub_session"),
        (BASE, "__Host-hub_session"),
        (LOOPBACK, "hub_session"),
        ("http://localhost:8000", "hub_session"),
        ("http://[::1]:8000", "hub_session"),
    ):
        made = auth.session_cookie(url, Secret("t"), 60)
        assert (made.key, made.secure) == (name, name.startswith("__Host-"))
        assert (made.httponly, made.samesite, made.path, made.domain) == (True, "lax", "/", None)
        assert auth.no_cookie(url).max_age == 0
