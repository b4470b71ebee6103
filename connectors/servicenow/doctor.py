"""`hub connectors doctor` for ServiceNow: proves every permission that the file uses. Each line names its fix; nothing is
written but one canary note, on the record that the operator named."""

from __future__ import annotations

from collections.abc import Awaitable

from connectors.calls import Answer
from connectors.connector import Check, Tools, Visit
from connectors.servicenow import doctor_record, doctor_values
from connectors.servicenow.client import ServiceNowClient, said
from connectors.servicenow.records import members
from connectors.servicenow.scripted import API, names, result_of
from connectors.servicenow.settings import ServiceNowSettings
from connectors.signed_json import key_of
from core import clock
from core.errors import HubError

SKEW = 120.0  # seconds; signatures are refused beyond 300


async def doctor(settings: ServiceNowSettings, tools: Tools, visit: Visit) -> list[Check]:
    """Never raises for what the instance says: that is what the lines are for."""
    client = ServiceNowClient(settings, tools)
    checks = [_public_url(visit), _secrets(settings), _method(settings)]
    try:
        answer = await client.any_answer(
            "GET", f"/api/now/table/{settings.table}", {"sysparm_limit": "1", "sysparm_fields": "sys_id"}
        )
    except HubError as error:
        fix = "Mend auth and instance in the file; then run the doctor again for the rest."
        return [*checks, Check(name="token", ok=False, said=error.message, fix=fix)]
    checks += [_token(answer), _table(settings, answer), _clock(answer), _limits(answer)]
    if answer.status == 200:
        checks += await _asked("record", doctor_record.checks(settings, client, visit))
        checks += await _asked("choices", doctor_values.checks(settings, client))
        checks += await _asked("endpoint", _endpoint(settings, client))
    return checks


async def _asked(name: str, checks: Awaitable[list[Check]]) -> list[Check]:
    try:
        return await checks
    except HubError as error:
        return [Check(name=name, ok=None, said=error.message, fix="Run the doctor again.")]


def _public_url(visit: Visit) -> Check:
    good = visit.public_url.startswith("https://")
    fix = "" if good else "Set server.public_url to an https address that the instance can reach."
    return Check(name="public url", ok=good, said=visit.public_url or "not set", fix=fix)


def _secrets(settings: ServiceNowSettings) -> Check:
    secrets = settings.inbound.signed_json.secrets.active(clock.now())
    good = [position for position, secret in secrets if key_of(secret) is not None]
    fix = (
        ""
        if good
        else "Make one with `openssl rand -base64 32`, put `whsec_` before it, set it on both sides."
    )
    return Check(
        name="signing secret", ok=bool(good), said=f"{len(good)} usable of {len(secrets)} active", fix=fix
    )


def _method(settings: ServiceNowSettings) -> Check:
    if settings.auth.method == "client_credentials":
        return Check(name="sign-in", ok=True, said="OAuth client credentials")
    return Check(
        name="sign-in",
        ok=None,
        said="a password, which ServiceNow restricts since 2026-06",
        fix="Make an OAuth entity (README, step 4) and set `auth.method: client_credentials`.",
    )


def _token(answer: Answer) -> Check:
    good = answer.status != 401
    fix = (
        ""
        if good
        else "The token is refused: check the Application User of the OAuth entity, that it is active."
    )
    return Check(name="token", ok=good, said="accepted" if good else said(answer), fix=fix)


def _table(settings: ServiceNowSettings, answer: Answer) -> Check:
    if answer.status != 200:
        fix = f"Give the integration user a role that may read {settings.table} (itil, or sn_incident_read and _write)."
        return Check(name="table", ok=False, said=f"{answer.status}: {said(answer)}", fix=fix)
    some = bool(members(answer.body).get("result"))
    fix = "" if some else "An empty list is what a user without read access gets; check the roles."
    return Check(
        name="table", ok=True if some else None, said="readable" if some else "no record to be seen", fix=fix
    )


def _clock(answer: Answer) -> Check:
    skew = doctor_values.seconds_apart(answer.headers.get("date", ""))
    if skew is None:
        return Check(name="clock", ok=None, said="no Date header", fix="Compare both clocks by hand.")
    good = abs(skew) <= SKEW
    fix = "" if good else "Set this machine's clock (NTP): signatures are refused beyond 300 s."
    return Check(name="clock", ok=good, said=f"{skew:+.0f} s apart", fix=fix)


def _limits(answer: Answer) -> Check:
    """Only instances with a rate-limit rule for this user send these."""
    limit, left = answer.headers.get("x-ratelimit-limit"), answer.headers.get("x-ratelimit-remaining")
    if limit is None:
        return Check(name="limits", ok=True, said="no rate-limit rule for this user")
    used_up = answer.status == 429
    fix = "Raise the rule in System Web Services > REST > Rate Limit Rules." if used_up else ""
    return Check(
        name="limits", ok=not used_up, said=f"{limit} calls an hour, {left or 'unknown'} left", fix=fix
    )


async def _endpoint(settings: ServiceNowSettings, client: ServiceNowClient) -> list[Check]:
    if settings.writeback.via != "scripted_rest":
        said_ = "not used; notes are found again by their marker"
        return [Check(name="endpoint", ok=True, said=said_)]
    asked = sorted({*doctor_values.written_fields(settings), "work_notes"})
    answer = await client.any_answer(
        "GET", f"{API}/check", {"table": settings.table, "fields": ",".join(asked)}
    )
    result = result_of(answer)
    if answer.status != 200 or "version" not in result:
        fix = (
            "Install the scoped app (package/README.md) and give the integration user x_hitl_hub.integration."
        )
        return [Check(name="endpoint", ok=False, said=f"{answer.status}: {said(answer)}", fix=fix)]
    checks = [Check(name="endpoint", ok=True, said=f"version {str(result['version'])[:20]}")]
    for right, word in (("unreadable", "read"), ("unwritable", "write")):
        lacking = names(result.get(right)) or []
        fix = f"Give the integration user {word} access to them (or correct the names)." if lacking else ""
        said_ = ", ".join(lacking) if lacking else "every field of the file"
        checks.append(Check(name=f"{word} fields", ok=not lacking, said=said_, fix=fix))
    if result.get("secret") is False:
        fix = "Set the property x_hitl_hub.secret to the `whsec_` secret of this file."
        checks.append(Check(name="app secret", ok=False, said="not set in the instance", fix=fix))
    return checks
