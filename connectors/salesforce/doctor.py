"""Examines a Salesforce configuration against the org: credentials, org, version, every field, the delivery object,
limits, and our own note on a record of the operator's choice. Called by `hub connectors doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, cast

from connectors.connector import Check, Tools, Visit
from connectors.salesforce.client import SalesforceClient
from connectors.salesforce.composite import DELIVERY_KEY, DELIVERY_OBJECT
from connectors.salesforce.ids import id18
from connectors.salesforce.records import members
from connectors.salesforce.reply import SalesforceWriter, rows_of
from connectors.salesforce.settings import SalesforceSettings, SetField
from connectors.signed_json import key_of
from core import clock
from core.errors import HubError, Misconfigured
from core.replies.ticketing import Action, Write

CLOCK_SLACK = 60  # seconds


async def doctor(settings: SalesforceSettings, tools: Tools, visit: Visit) -> list[Check]:
    """Every check in order; after refused credentials the ones that need the API are left out."""
    checks = [_public_url(visit), *_secrets(settings)]
    client = SalesforceClient(settings, tools)
    try:
        token = await client.tokens.get()
    except HubError as error:
        fix = "Setup > External Client App Manager: the flow is enabled, a Run As user is set; then auth.* of the file"
        return [*checks, Check(name="token", ok=False, said=error.message, fix=fix)]
    checks.append(Check(name="token", ok=True, said="Salesforce gave a token"))
    if token.user_id:
        known = {id18(one) or one for one in settings.loop_guard.ignore_agents}
        ok = id18(token.user_id) in known
        fix = f"add {id18(token.user_id)} to loop_guard.ignore_agents"
        checks.append(
            Check(name="loop guard", ok=ok, said=f"we write as {token.user_id}", fix="" if ok else fix)
        )
    try:
        checks += await _org(settings, client)
        checks += await _record(settings, client)
        checks += await _comment_and_delivery(settings, client)
        checks += await _limits(client)
    except HubError as error:
        checks.append(
            Check(name="api", ok=False, said=error.message, fix="see the message; then run the doctor again")
        )
        return checks
    checks.append(await _canary(settings, client, visit))
    return checks


def _public_url(visit: Visit) -> Check:
    ok = visit.public_url.startswith("https://")
    fix = "server.public_url must be https with a certificate of a CA that Salesforce trusts, the whole chain sent"
    return Check(name="public URL", ok=ok, said=visit.public_url, fix="" if ok else fix)


def _secrets(settings: SalesforceSettings) -> Iterator[Check]:
    rules, signed, now = settings.inbound.messages, settings.inbound.json, clock.now()
    if rules is not None and rules.path_token is not None:
        long = [secret for _, secret in rules.path_token.active(now) if len(secret.reveal()) >= 22]
        fix = "set the token: 22 or more random characters (openssl rand -hex 16)"
        yield Check(name="path token", ok=bool(long), said=f"{len(long)} usable", fix="" if long else fix)
    if signed is not None:
        good = [secret for _, secret in signed.secrets.active(now) if key_of(secret) is not None]
        fix = "set inbound.signed_json.secrets: whsec_ and base64"
        yield Check(name="signing secret", ok=bool(good), said=f"{len(good)} usable", fix="" if good else fix)


async def _org(settings: SalesforceSettings, client: SalesforceClient) -> list[Check]:
    answer = await client.query("SELECT Id, IsSandbox, OrganizationType FROM Organization LIMIT 1")
    rows = rows_of(answer)
    org = rows[0] if rows else {}
    same = str(org.get("Id"))[:15] == settings.org15
    sandbox = org.get("IsSandbox") is True
    matches = sandbox == settings.auth.sandbox and not (sandbox and settings.environment == "live")
    checks = [
        Check(
            name="organisation",
            ok=same,
            said=f"the credentials belong to {org.get('Id')}",
            fix="" if same else f"org_id says {settings.org_id}: correct it, or the credentials",
        ),
        Check(
            name="sandbox",
            ok=matches,
            said="a sandbox" if sandbox else "a production or developer org",
            fix=""
            if matches
            else "a sandbox needs `my_domain: NAME.sandbox` and `environment: test`; production neither",
        ),
    ]
    try:
        skew = abs(clock.to_ms(parsedate_to_datetime(answer.headers.get("date", ""))) // 1000 - clock.unix())
    except (ValueError, TypeError):
        checks.append(Check(name="clock", ok=None, said="the answer carries no date"))
    else:
        fix = "" if skew <= CLOCK_SLACK else "run NTP here: signatures and JWTs are refused by a wrong clock"
        checks.append(Check(name="clock", ok=skew <= CLOCK_SLACK, said=f"{skew} s apart", fix=fix))
    return checks


async def _record(settings: SalesforceSettings, client: SalesforceClient) -> list[Check]:
    """Describe of the object: fields that are read exist, those that are written may be, with valid values."""
    fields = await _describe(client, settings.object)
    if fields is None:
        return [_missing(settings.object)]
    checks: list[Check] = []
    absent = [name for name in settings.inbound.fields if name not in fields]
    fix = (
        f"take {', '.join(absent)} out of record_fields, or give the integration user read access"
        if absent
        else ""
    )
    said = f"{len(settings.inbound.fields) - len(absent)} of {len(settings.inbound.fields)} visible"
    checks.append(Check(name="fields read", ok=not absent, said=said, fix=fix))
    for name, one in _written(settings):
        checks.append(_field(name, one, fields.get(name)))
    return checks


def _field(name: str, one: SetField, described: dict[str, Any] | None) -> Check:
    place = f"field {name}"
    if described is None:
        return Check(
            name=place, ok=False, said="not there", fix="create it, or give the integration user access to it"
        )
    if described.get("updateable") is not True:
        return Check(
            name=place, ok=False, said="read only", fix="Permission set: give edit access to the field"
        )
    if described.get("restrictedPicklist") is True or described.get("type") == "picklist":
        options = cast("list[dict[str, Any]]", described.get("picklistValues") or [])
        valid = [str(option.get("value")) for option in options if option.get("active") is not False]
        try:
            constant = one.value.evaluate({}, place)
        except Misconfigured:
            constant = None  # it depends on the answer: only the write can tell
        wanted = [*one.only_if, *([constant] if isinstance(constant, str) else [])]
        wrong = [value for value in wanted if value not in valid]
        if wrong:
            fix = f"not among its values: {', '.join(wrong)}; it has {', '.join(valid[:20])}"
            return Check(name=place, ok=False, said="unknown picklist value", fix=fix)
    return Check(name=place, ok=True, said="writable")


def _written(settings: SalesforceSettings) -> Iterator[tuple[str, SetField]]:
    for outcomes in (settings.outbound, *settings.outbound.routes.values()):
        for steps in (outcomes.verified, outcomes.failed, outcomes.expired):
            for step in steps:
                yield from (step.fields or {}).items()


async def _comment_and_delivery(settings: SalesforceSettings, client: SalesforceClient) -> list[Check]:
    kind = settings.writeback.comment.object
    checks = [
        Check(name=kind, ok=True, said="visible")
        if await _describe(client, kind) is not None
        else _missing(kind)
    ]
    if settings.writeback.idempotency == "marker":
        return [
            *checks,
            Check(name=DELIVERY_OBJECT, ok=None, said="not used: writeback.idempotency is marker"),
        ]
    fields = await _describe(client, DELIVERY_OBJECT)
    if fields is None:
        return [*checks, _missing(DELIVERY_OBJECT)]
    key = fields.get(DELIVERY_KEY, {})
    ok = key.get("unique") is True
    fix = "" if ok else f"{DELIVERY_KEY} must be unique: deploy connectors/salesforce/package again"
    return [
        *checks,
        Check(name=DELIVERY_OBJECT, ok=ok, said="its key is unique" if ok else "no unique key", fix=fix),
    ]


async def _limits(client: SalesforceClient) -> list[Check]:
    answer = await client.call("GET", "limits")
    body = members(answer.body)
    daily = cast("dict[str, Any]", body.get("DailyApiRequests") or {})
    left, most = daily.get("Remaining"), daily.get("Max")
    if not isinstance(left, int) or not isinstance(most, int):
        return [Check(name="limits", ok=None, said=f"not told ({answer.status})")]
    ok = left * 5 > most
    fix = (
        ""
        if ok
        else "less than a fifth of the day's API calls is left: find who uses them (Setup > Company Information)"
    )
    return [Check(name="limits", ok=ok, said=f"{left} of {most} API calls left", fix=fix)]


async def _canary(settings: SalesforceSettings, client: SalesforceClient, visit: Visit) -> Check:
    if not visit.ticket_id:
        return Check(name="canary", ok=None, said="left out: name a record to write a note on")
    stamp = clock.now_ms()
    write = Write(
        ticket_id=visit.ticket_id,
        actions=(Action(kind="note", body="The hub's doctor was here; this note may be deleted."),),
        marker=f"{settings.loop_guard.marker}doctor-{stamp}]",
        key=f"doctor-{stamp}",
    )
    writer = SalesforceWriter(settings, client)
    try:
        written = await writer.write(write)
        found = await writer.find(write)
    except HubError as error:
        return Check(name="canary", ok=False, said=error.message, fix="see the message")
    fix = "" if found == written else "the integration user may not read its own comments: give read access"
    return Check(name="canary", ok=found == written, said=f"wrote {written}, found {found}", fix=fix)


async def _describe(client: SalesforceClient, name: str) -> dict[str, dict[str, Any]] | None:
    """The fields by name; None when the object is not there for us."""
    answer = await client.call("GET", f"sobjects/{name}/describe")
    body = members(answer.body) if answer.ok else {}
    listed = body.get("fields")
    if not isinstance(listed, list):
        return None
    return {str(one.get("name")): one for one in cast("list[dict[str, Any]]", listed)}


def _missing(name: str) -> Check:
    fix = f"deploy connectors/salesforce/package, or give the integration user access to {name}"
    return Check(name=name, ok=False, said="not there for us", fix=fix)
