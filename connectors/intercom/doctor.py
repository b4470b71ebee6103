"""Examines an Intercom connector file against the real workspace: `hub connectors doctor`. Every failed check says what
to do, in the words of Intercom's own pages."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from connectors.calls import NoAnswer, NotSent
from connectors.connector import Check, Tools, Visit
from connectors.intercom import steps
from connectors.intercom.client import IntercomClient, client
from connectors.intercom.reply import part_id_in
from connectors.intercom.settings import IntercomSettings
from connectors.intercom.shapes import member, number_of, objects, parts_of, target_of
from connectors.vendor_http import send
from core import clock, ids
from core.errors import HubError

MAX_SKEW = 30  # seconds between Intercom's clock and ours


async def doctor(settings: IntercomSettings, tools: Tools, visit: Visit) -> list[Check]:
    """All checks in the order of dependence; the rest is left out when the token is refused."""
    api = client(settings, tools)
    secrets = len(settings.auth.client_secrets.active(clock.now()))
    checks = [
        Check(
            name="client secret",
            ok=secrets > 0,
            said=f"{secrets} active",
            fix="Developer Hub > your app > Basic information > Client secret; set it as auth.client_secrets.",
        ),
        await _webhook(settings, tools, visit),
    ]
    try:
        me = await api.headers(lambda it, _: it.admins.identify())
    except HubError as error:
        return [
            *checks,
            Check(
                name="token",
                ok=False,
                said=error.message,
                fix="Developer Hub > your app > Authentication > Access token; set it as auth.access_token. A token "
                "of another region is refused too: see `region`.",
            ),
        ]
    checks.append(Check(name="token", ok=True, said=f"of {member(me.body, 'name')}"))
    checks += _workspace(settings, me.body)
    checks += [_clock_skew(me.headers), _rate(me.headers)]
    checks += [await _admin(settings, api), await _attributes(settings, api), await _tags(settings, api)]
    checks += [await _assignees(settings, api), await _canary(settings, api, visit)]
    return checks


def _workspace(settings: IntercomSettings, me: object) -> list[Check]:
    app_id, region = member(me, "app", "id_code"), str(member(me, "app", "region") or "").lower()
    named = settings.app_id is None or settings.app_id == app_id
    checks = [
        Check(
            name="workspace",
            ok=named,
            said=f"the token is of workspace {app_id}",
            fix=f"Write `app_id: {app_id}` into the file, or take a token of workspace {settings.app_id}.",
        )
    ]
    known = {"us": "us", "eu": "eu", "europe": "eu", "au": "au", "australia": "au"}.get(region)
    checks.append(
        Check(
            name="region",
            ok=None if known is None else known == settings.region,
            said=f"the workspace is in {region or 'a region it does not name'}",
            fix=f"Write `region: {known}` into the file." if known else "",
        )
    )
    return checks


def _clock_skew(headers: Any) -> Check:
    try:
        theirs = clock.to_ms(parsedate_to_datetime(headers.get("date", ""))) // 1000
    except (ValueError, TypeError):
        return Check(name="clock", ok=None, said="the answer carries no Date")
    skew = abs(theirs - clock.unix())
    fix = "Let this machine's clock follow NTP: deadlines and rate limits come as unix times."
    return Check(name="clock", ok=skew <= MAX_SKEW, said=f"{skew} s beside Intercom's", fix=fix)


def _rate(headers: Any) -> Check:
    limit, left = headers.get("x-ratelimit-limit", ""), headers.get("x-ratelimit-remaining", "")
    if not (limit.isdigit() and left.isdigit()):
        return Check(name="rate limit", ok=None, said="the answer carries no X-RateLimit headers")
    enough = int(left) * 5 >= int(limit)
    fix = "Another app of the workspace uses the limit up; lower delivery.rate, or ask Intercom for more."
    return Check(name="rate limit", ok=enough, said=f"{left} of {limit} calls left in this window", fix=fix)


async def _webhook(settings: IntercomSettings, tools: Tools, visit: Visit) -> Check:
    url = f"{visit.public_url.rstrip('/')}/hooks/in/{settings.id}"
    fix = (
        "Intercom takes only an https address that answers HEAD with 200: set server.public_url, then write "
        f"{url} into Developer Hub > your app > Webhooks > Endpoint URL."
    )
    if not url.startswith("https://") and settings.test_base_url is None:
        return Check(name="webhook address", ok=False, said=f"{url} is not https", fix=fix)
    try:
        answer = await send(tools.http(), tools.http().build_request("HEAD", url))
    except (NotSent, NoAnswer) as problem:
        said = f"{url} cannot be reached from here: {problem}"
        return Check(name="webhook address", ok=None, said=said, fix=fix)
    return Check(
        name="webhook address",
        ok=answer.status == 200,
        said=f"HEAD {url} answers {answer.status}",
        fix=fix,
    )


async def _admin(settings: IntercomSettings, api: IntercomClient) -> Check:
    name = "act_as_admin"
    fix = (
        "Settings > Workspace > Teammates: invite a teammate for the hub alone, with an Inbox seat (comments to "
        "e-mail conversations are only sent for one), and write the number at the end of its address here."
    )
    try:
        listed = await api.ask(lambda it, _: it.admins.list())
    except HubError as error:
        return Check(name=name, ok=None, said=error.message, fix="Give the app the permission `Read admins`.")
    found = [
        one for one in objects(member(listed, "admins")) if number_of(one.get("id")) == settings.act_as_admin
    ]
    if not found:
        return Check(name=name, ok=False, said=f"{settings.act_as_admin} is no teammate", fix=fix)
    seat = found[0].get("has_inbox_seat") is True
    return Check(
        name=name,
        ok=seat,
        said=f"{found[0].get('name')} has {'an' if seat else 'no'} Inbox seat",
        fix=fix,
    )


async def _attributes(settings: IntercomSettings, api: IntercomClient) -> Check:
    named = sorted(
        {
            name
            for step in settings.steps()
            for name in {**(step.set_attributes or {}), **(step.set_values or {})}
        }
    )
    if not named:
        return Check(name="attributes", ok=True, said="the file sets none")
    try:
        listed = await api.ask(lambda it, _: it.data_attributes.list(model="conversation"))
    except HubError as error:
        return Check(name="attributes", ok=None, said=error.message, fix="Give the app `Read conversations`.")
    known = [
        str(one.get("name")) for one in objects(member(listed, "data")) if one.get("archived") is not True
    ]
    missing = [name for name in named if name not in known]
    twice = [name for name in named if known.count(name) > 1]
    return Check(
        name="attributes",
        ok=not missing and not twice,
        said=", ".join(
            [*(f"`{name}` is missing" for name in missing), *(f"`{name}` is there twice" for name in twice)]
        )
        or f"all {len(named)} exist on conversations",
        fix="Settings > Data > Conversations: create each with exactly this name (an attribute of a ticket type: "
        "Settings > Helpdesk > Tickets), and archive doubles, which Intercom refuses to tell apart.",
    )


async def _tags(settings: IntercomSettings, api: IntercomClient) -> Check:
    named = sorted({tag for step in settings.steps() for tag in (step.tag, step.untag) if tag})
    if not named:
        return Check(name="tags", ok=True, said="the file sets none")
    try:
        listed = objects(member(await api.ask(lambda it, _: it.tags.list()), "data"))
    except HubError as error:
        return Check(name="tags", ok=None, said=error.message, fix="Give the app the permission `Read tags`.")
    known = {str(tag.get(name)) for tag in listed for name in ("id", "name")}
    missing = [name for name in named if name not in known]
    return Check(
        name="tags",
        ok=not missing,
        said=", ".join(f"`{name}` is missing" for name in missing) or f"all {len(named)} exist",
        fix="Settings > Data > Tags: create each with exactly this name.",
    )


async def _assignees(settings: IntercomSettings, api: IntercomClient) -> Check:
    named = {step.assign.to for step in settings.steps() if step.assign is not None and ":" in step.assign.to}
    if not named:
        return Check(name="assignees", ok=True, said="the file names none")
    try:
        teams = member(await api.ask(lambda it, _: it.teams.list()), "teams")
        admins = member(await api.ask(lambda it, _: it.admins.list()), "admins")
    except HubError as error:
        return Check(name="assignees", ok=None, said=error.message, fix="Give the app `Read admins`.")
    known = {f"team:{one.get('id')}" for one in objects(teams)} | {
        f"admin:{one.get('id')}" for one in objects(admins)
    }
    missing = sorted(named - known)
    return Check(
        name="assignees",
        ok=not missing,
        said=", ".join(f"{one} does not exist" for one in missing) or f"all {len(named)} exist",
        fix="Take the number at the end of the team's or teammate's address under Settings > Workspace.",
    )


async def _canary(settings: IntercomSettings, api: IntercomClient, visit: Visit) -> Check:
    """Writes one internal note and reads it back: what "exactly once" stands on."""
    name = "note read back"
    if not visit.ticket_id:
        return Check(name=name, ok=None, said="left out: give a conversation with --ticket to try it")
    marker = f"{settings.loop_guard.marker}{ids.new('doc')}]"
    text = f"<p>The hub's doctor was here. {marker}</p>"
    try:
        target = target_of(visit.ticket_id)
        answer = await api.ask(steps.reply(target, "note", settings.act_as_admin, text), writes=True)
        part_id = part_id_in(answer, marker)
        thing = await api.thing(target.number, ticket=target.is_ticket)
    except HubError as error:
        fix = (
            "The app needs `Read and Write conversations` (and tickets), and act_as_admin access to this one."
        )
        return Check(name=name, ok=False, said=error.message, fix=fix)
    back = [part for part in parts_of(thing) if number_of(part.get("id")) == part_id]
    kept = bool(back) and marker in str(back[0].get("body"))
    own = bool(back) and number_of(member(back[0], "author", "id")) == settings.act_as_admin
    return Check(
        name=name,
        ok=kept and own,
        said="the note came back with its marker and author"
        if kept and own
        else "the note came back changed",
        fix="Without marker and author a doubtful write cannot be found again: set `mode: shadow` and tell us.",
    )
