"""Turns every failure into an answer: the published API's ErrorResponse under `/v1`, RFC 9457 problem documents
elsewhere, a page for a browser. The application's exception handlers; nothing internal gets into an answer."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, LitestarException
from litestar.response import Redirect

from core import errors
from core.errors import HubError
from hub import error_page
from hub.api.decoding import UnsupportedMedia
from hub.middleware import request_id

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

UNEXPECTED = "An unexpected error occurred. Please try again."
TOLD = frozenset({"no_rate"})  # what is away is no secret here, and the asker may do something about it
AWAY = "A part of the hub is away. Nothing was done; please try again."
RETRY_SECONDS = 1  # what a client waits when a part of ours is away; most of it is back within that


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A failure as a caller may see it. `type` is one of the contract's seven; `headers` go on the answer."""

    status: int
    type: str
    code: str
    message: str
    details: dict[str, str] = {}
    headers: dict[str, str] = {}


# The first entry that fits counts. What is not listed is our own fault.
_OF_HUB_ERRORS: tuple[tuple[type[HubError], int, str], ...] = (
    (errors.Malformed, 400, "validation_error"),
    (errors.Unauthenticated, 401, "authentication_error"),
    (errors.Forbidden, 403, "authorization_error"),
    (errors.NotFound, 404, "not_found"),
    (errors.Conflict, 409, "conflict"),
    (errors.Invalid, 422, "validation_error"),
    (errors.Rejected, 422, "validation_error"),
    (errors.LimitExceeded, 429, "rate_limit_exceeded"),
    (UnsupportedMedia, 415, "validation_error"),
    (errors.Unavailable, 503, "internal_error"),
    (errors.Retryable, 503, "internal_error"),
)
_OF_STATUSES: dict[int, tuple[str, str, str]] = {
    400: ("validation_error", "malformed_request", "The request is malformed"),
    401: ("authentication_error", "unauthenticated", "Authentication is required"),
    403: ("authorization_error", "forbidden", "This is not allowed"),
    404: ("not_found", "not_found", "The requested resource does not exist"),
    405: ("validation_error", "method_not_allowed", "This address does not take this method"),
    413: ("validation_error", "body_too_large", "The request body is too large"),
    415: ("validation_error", "unsupported_media_type", "Send the body as application/json"),
    429: ("rate_limit_exceeded", "rate_limited", "Too many requests"),
}


def of_hub_error(error: HubError) -> Problem:
    """What the caller is told of one of our own errors. Faults of ours are logged, and told without their reason."""
    for kind, status, word in _OF_HUB_ERRORS:
        if isinstance(error, kind):
            if status == 503:  # what exactly is away is for our log
                log.warning("answered 503: %s: %s", error.code, error.message)
            return Problem(
                status=status,
                type=word,
                code=error.code,
                message=AWAY if status == 503 and error.code not in TOLD else error.message,
                details=error.field_errors,
                headers=_headers(error, status),
            )
    log.error("unexpected %s (%s)", type(error).__name__, error.code, exc_info=error)
    return Problem(status=500, type="internal_error", code="internal_error", message=UNEXPECTED)


def _headers(error: HubError, status: int) -> dict[str, str]:
    match error:
        case errors.LimitExceeded(retry_after=seconds):
            return {"Retry-After": str(seconds)}
        case errors.Retryable(after=float() | int() as seconds):
            return {"Retry-After": str(max(RETRY_SECONDS, round(seconds)))}
        case errors.Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case _:
            return {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}


def of_http_exception(error: HTTPException, request: AnyRequest) -> Problem:
    """What the framework raises: unknown address, wrong method, body over the limit, broken framing."""
    status = error.status_code
    if status not in _OF_STATUSES:
        return of_fault(error, request)
    word, code, message = _OF_STATUSES[status]
    return Problem(status=status, type=word, code=code, message=message, headers=dict(error.headers or {}))


def of_fault(error: Exception, request: AnyRequest) -> Problem:
    if isinstance(error, LitestarException) and "disconnected" in str(error):
        log.info("%s %s: the client went away", request.method, request.url.path)
    else:
        log.error("unhandled fault in %s %s", request.method, request.url.path, exc_info=error)
    return Problem(status=500, type="internal_error", code="internal_error", message=UNEXPECTED)


# --- what it looks like on the wire


def error_object(problem: Problem) -> dict[str, Any]:
    """`error` of the published API's ErrorResponse; in a batch, what became of one of its tasks."""
    error: dict[str, Any] = {"type": problem.type, "message": problem.message, "code": problem.code}
    if problem.details:
        error["details"] = problem.details
    return error


def error_response(problem: Problem, request_id: str) -> dict[str, Any]:
    """ErrorResponse of the published API."""
    return {"error": error_object(problem), "requestId": request_id}


def problem_document(problem: Problem, request_id: str) -> dict[str, Any]:
    """RFC 9457, for machines outside `/v1`."""
    document: dict[str, Any] = {
        "type": f"urn:hub:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "request_id": request_id,
    }
    if problem.details:
        document["errors"] = [{"field": field, "detail": what} for field, what in problem.details.items()]
    return document


def under_api(path: str) -> bool:
    return path == "/v1" or path.startswith("/v1/")


def answer(problem: Problem, request: AnyRequest) -> Response[Any]:
    path = request.scope["path"]
    if under_api(path):
        content, media_type = error_response(problem, request_id(request.scope)), "application/json"
    elif error_page.wanted(request):
        if problem.status == 401:
            return Redirect(error_page.sign_in_address(request), status_code=303)
        page = error_page.render(request, problem.status, problem.message, request_id(request.scope))
        return Response(page, status_code=problem.status, media_type="text/html", headers=problem.headers)
    else:
        content, media_type = problem_document(problem, request_id(request.scope)), "application/problem+json"
    return Response(
        msgspec.json.encode(content),
        status_code=problem.status,
        media_type=media_type,
        headers=problem.headers,
    )


def on_hub_error(request: AnyRequest, error: HubError) -> Response[Any]:
    return answer(of_hub_error(error), request)


def on_http_exception(request: AnyRequest, error: HTTPException) -> Response[Any]:
    return answer(of_http_exception(error, request), request)


def on_fault(request: AnyRequest, error: Exception) -> Response[Any]:
    return answer(of_fault(error, request), request)


HANDLERS: dict[type[Exception], Any] = {
    HubError: on_hub_error,
    HTTPException: on_http_exception,
    Exception: on_fault,
}
