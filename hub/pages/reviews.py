"""The queue of what people decide: answers that wait for QA, spot checks, appeals, disputed gold. For operators, and for
workers of the reviewers' tier. Answers stand side by side with what every stage said; whose they are is shown to operators
alone."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import FormMultiDict
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from core.access.roles import Scope, may
from core.access.sessions import SignedIn
from core.errors import Conflict, Forbidden, HubError, Invalid
from core.verification import reading, reviewing
from core.verification.ruling import Ruling, rule
from hub import auth
from hub.pages import forms
from hub.pages.desk import rate_or_none, test_money
from hub.pages.guards import no_nul
from hub.pages.readable import readable
from hub.pages.templating import page, see_other
from hub.services import Services

KINDS = {
    "qa": "Before it is given out",
    "spot": "Spot check",
    "appeal": "Appeal",
    "dispute": "Disputed gold",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


async def _reviewer(services: Services, person: SignedIn) -> None:
    async with services.work.read() as session:
        if not await reviewing.reviews(session, person.person_id, services.types.checks.review):
            raise Forbidden("no_reviewer", "Only operators and reviewers see this page")


def _frame(person: SignedIn) -> dict[str, Any]:
    area = "operator" if may(person.role, Scope.CONSOLE) else "worker"
    return {"area": area, "here": "reviews"}


@get("/", name="reviews", include_in_schema=False)
async def show_queue(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    kind: FromQuery[str] = "",
    before: FromQuery[str] = "",
) -> Response[str]:
    """What is due first at the top; `before` looks at what was decided."""
    await _reviewer(services, person)
    async with services.work.read() as session:
        found = await reviewing.queue(session, kind=kind if kind in KINDS else "", before=before)
    return page(
        "reviews.html",
        person,
        heading="Reviews",
        test_money=test_money(services, ""),
        rows=[(row, task, services.types.of(task.task_type).title) for row, task in found],
        kinds=KINDS,
        kind=kind,
        decided=bool(before),
        newest="rev_g",
        **_frame(person),
    )


@get("/{review_id:str}", name="review", include_in_schema=False)
async def show_review(
    review_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Response[str]:
    """One review: the question, the answers side by side, what the stages said, and the decision to make."""
    await _reviewer(services, person)
    return await _show(review_id, person, services)


async def _show(
    review_id: str, person: SignedIn, services: Services, *, error: str = "", status: int = 200
) -> Response[str]:
    async with services.work.read() as session:
        case = await reading.read_review(session, review_id)
        try:
            await reviewing.may_judge(session, case.review, person.person_id, services.types.checks.review)
            hindered = ""
        except HubError as refusal:
            hindered = refusal.message
    schema = case.task.output_schema
    answers = [
        (LETTERS[n % 26], one, forms.reading(schema, one.output)) for n, one in enumerate(case.answers)
    ]
    return page(
        "review.html",
        person,
        status_code=status,
        heading="Review",
        test_money=test_money(services, case.task.environment),
        case=case,
        review=case.review,
        task=case.task,
        kind=KINDS.get(case.review.kind, case.review.kind),
        question=readable(case.task.payload),
        instructions=services.types.of(case.task.task_type).instructions,
        answers=answers,
        known=None if case.known is None else forms.reading(schema, case.known),
        hindered=hindered,
        error=error,
        names=may(person.role, Scope.CONSOLE),
        **_frame(person),
    )


@post("/{review_id:str}", name="review.decide", include_in_schema=False)
async def decide(
    request: Request[Any, Any, Any],
    review_id: FromPath[str],
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
) -> Response[str] | Redirect:
    """The reviewer's word. Whoever comes second sees what the first one decided."""
    form: FormMultiDict = await request.form()
    try:
        ruling = _ruling(form)
        async with services.work.begin("reviews.decide") as tx:
            await rule(
                tx,
                review_id,
                person.person_id,
                ruling,
                services.types,
                services.plans,
                rate_or_none(services),
            )
    except Invalid as refusal:
        told = "; ".join(f"{place}: {what}" for place, what in refusal.field_errors.items())
        return await _show(review_id, person, services, error=told or refusal.message, status=422)
    except Conflict:
        return see_other(f"/reviews/{review_id}")
    return see_other("/reviews")


def _ruling(form: FormMultiDict) -> Ruling:
    """Raises Invalid for an answer that is no JSON, or for no decision at all."""
    text = str(form.get("output") or "").strip()
    output: Any = None
    if text:
        try:
            output = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(
                "output_invalid", "The answer is not JSON", field_errors={"output": f"Not JSON: {error}"}
            ) from error
    right = [value for value in form.getall("right", []) if isinstance(value, str)]
    verdict = str(form.get("verdict") or "")
    if verdict == "right" and not right and output is None:
        raise Invalid(
            "nothing_chosen",
            "Nothing is chosen",
            field_errors={"right": "Choose the answers that are right, write one, or say that none is"},
        )
    return Ruling(
        right=right if verdict != "none" else [],
        upheld=verdict == "uphold",
        output=output if verdict != "none" else None,
        note=str(form.get("note") or "").strip()[:500],
    )


ROUTER = Router(
    path="/reviews",
    guards=[no_nul, auth.require(Scope.REVIEW, Scope.ANSWER)],
    route_handlers=[show_queue, show_review, decide],
)
