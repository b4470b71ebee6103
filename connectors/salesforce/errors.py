"""What Salesforce's error codes mean for a reply (REST API Developer Guide "Status Codes and Error Responses", Object
Reference "API Status Codes"). Pure; used by every file here that calls the API."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from connectors.calls import Answer, failure_of_status, seconds_to_wait
from connectors.salesforce.settings import SYSTEM
from core.errors import HubError, Misconfigured, Rejected, Retryable

LIMIT_PAUSE = 900.0  # seconds; the limit is a rolling day, a quarter of an hour frees a part of it
BUSY_PAUSE = 60.0  # seconds, for a 429 that names none
SLOW_PAUSE = (
    2.0  # seconds between calls above 80 % of the day's calls, so that the org's other users have some left
)
_USAGE = re.compile(r"api-usage=(\d{1,12})/(\d{1,12})")

HALTED = "PROCESSING_HALTED"
DUPLICATE = "DUPLICATE_VALUE"
_LATER = frozenset(
    {"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "TXN_SECURITY_METERING_ERROR", "ROW_LOCKED"}
)
_LIMITS = frozenset({"REQUEST_LIMIT_EXCEEDED", "STORAGE_LIMIT_EXCEEDED", "TOO_MANY_REQUESTS"})
_GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID"})
_LINKS = frozenset({"Id", "ParentId", "Case__c"})  # fields of ours that hold the record's id
_CREDENTIALS = frozenset(
    {"INVALID_SESSION_ID", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "FUNCTIONALITY_NOT_ENABLED"}
)
_FIXES = {
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "write a value of the picklist of this record type (API name, same case)",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "a validation rule of the org refuses it; change the rule or the step",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "the field cannot be written; give the permission or take it out of `fields`",
    "INVALID_FIELD": "there is no such field, or the integration user may not see it",
    "REQUIRED_FIELD_MISSING": "the org requires the field; set it in `fields`",
    "STRING_TOO_LONG": "the value is longer than the field; use truncate()",
    "INSUFFICIENT_ACCESS_OR_READONLY": "the integration user may not change this record; check sharing and permissions",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "the integration user may not see the record; check sharing",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "a trigger or Flow of the org failed; its owner sees it in the debug log",
}  # fmt: skip


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One error of an answer. `part` is the composite's referenceId, empty outside of one."""

    status: int
    code: str
    message: str
    fields: tuple[str, ...] = ()
    part: str = ""

    def __str__(self) -> str:
        where = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.code}{where}: {self.message}"


def problems(body: Any, status: int, part: str = "") -> list[Problem]:
    """The errors of an answer's body: a list of {errorCode, message, fields}; one without a code when it is none."""
    items = cast("list[object]", body) if isinstance(body, list) else [body]
    found: list[Problem] = []
    for item in items[:10]:
        one = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        fields = one.get("fields")
        names = cast("list[object]", fields) if isinstance(fields, list) else []
        found.append(
            Problem(
                status=status,
                code=str(one.get("errorCode") or one.get("statusCode") or "no code")[:80],
                message=str(one.get("message") or "no message")[:300],
                fields=tuple(str(name)[:80] for name in names[:10]),
                part=part,
            )
        )
    return found or [Problem(status=status, code="no code", message="no message", part=part)]


def refusal(answer: Answer, *, writes: bool) -> HubError:
    """An answer to a whole request that is not 2xx, as one of the port's errors."""
    first = problems(answer.body, answer.status)[0]
    wait = seconds_to_wait(answer.headers, "retry-after")
    known = meaning_of(first, wait)
    if known is not None:
        return known
    if answer.status == 404:
        return Rejected("ticket_gone", f"{SYSTEM} has no such record: {first}.", vendor_code=first.code)
    return failure_of_status(answer, SYSTEM, str(first), writes=writes, wait=wait)


def part_refusal(problem: Problem) -> HubError:
    """The error of one part of a composite, all of which was rolled back: so never Uncertain."""
    known = meaning_of(problem)
    if known is not None:
        return known
    if problem.status >= 500 or problem.status in (408, 429):
        return Retryable(
            "server_error", f"{SYSTEM} failed ({problem.status}): {problem}.", status=problem.status
        )
    fix = _FIXES.get(problem.code, "see the record and the step that writes it")
    fields = dict.fromkeys(problem.fields, f"{problem.code}: {problem.message}; {fix}")
    return Rejected(
        "refused", f"{SYSTEM} refused: {problem}; {fix}.", field_errors=fields, vendor_code=problem.code
    )


def meaning_of(problem: Problem, wait: float | None = None) -> HubError | None:
    """What a code says by itself, wherever it stands. `wait` is for how long the answer's header wants no calls."""
    if problem.code in _LIMITS:
        return Retryable(
            "rate_limited",
            f"{SYSTEM} asks for fewer calls: {problem}.",
            after=LIMIT_PAUSE if wait is None else wait,
            status=problem.status,
        )
    if problem.code in _LATER:
        return Retryable("busy", f"{SYSTEM} is busy with this record: {problem}.", status=problem.status)
    if problem.code in _CREDENTIALS:
        return Misconfigured(
            "credentials_refused", f"{SYSTEM} refuses our credentials: {problem}.", status=problem.status
        )
    if problem.code in _GONE and not set(problem.fields) - _LINKS:
        return Rejected("ticket_gone", f"{SYSTEM} has no such record: {problem}.", vendor_code=problem.code)
    return None


def pause_for(answer: Answer) -> float:
    """Seconds without calls, from `Sforce-Limit-Info: api-usage=18/15000` and the refusals that mean a limit."""
    if answer.status in (403, 429):
        limited = problems(answer.body, answer.status)[0].code in _LIMITS
        if limited or answer.status == 429:
            return seconds_to_wait(answer.headers, "retry-after") or (LIMIT_PAUSE if limited else BUSY_PAUSE)
    usage = _USAGE.search(answer.headers.get("sforce-limit-info", ""))
    if usage is None or int(usage.group(2)) == 0:
        return 0.0
    used, limit = int(usage.group(1)), int(usage.group(2))
    if used >= limit:
        return LIMIT_PAUSE
    return SLOW_PAUSE if used * 10 >= limit * 8 else 0.0
