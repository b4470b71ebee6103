"""The doctor's look at one record: are the file's fields readable, is a note of ours read back, in which zone does the
integration user live. Used by `doctor.py`."""

from __future__ import annotations

import re

from connectors.connector import Check, Visit
from connectors.servicenow.client import VALUES, ServiceNowClient, result_of, rows_of
from connectors.servicenow.doctor_values import written_fields
from connectors.servicenow.records import JOURNALS, count_of, flatten
from connectors.servicenow.settings import SYS_ID, ServiceNowSettings
from core import clock

_ISO = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z")


async def checks(settings: ServiceNowSettings, client: ServiceNowClient, visit: Visit) -> list[Check]:
    """Raises the port's errors when the instance is away."""
    if visit.ticket_id and not SYS_ID.match(visit.ticket_id):
        said = f"{visit.ticket_id[:40]!r} is no sys_id"
        return [Check(name="canary", ok=False, said=said, fix="Name a record by its sys_id (32 characters).")]
    found = await _fields_and_zone(settings, client, visit.ticket_id)
    found += [await _canary(settings, client, visit.ticket_id)]
    return found


async def _fields_and_zone(
    settings: ServiceNowSettings, client: ServiceNowClient, ticket_id: str
) -> list[Check]:
    names = sorted({*settings.watch.fields, *written_fields(settings), "sys_updated_on", "sys_mod_count"})
    answer = await client.call(
        "GET",
        f"/api/now/table/{settings.table}",
        {
            "sysparm_query": f"sys_id={ticket_id}" if ticket_id else "ORDERBYDESCsys_updated_on",
            "sysparm_fields": ",".join(names),
            "sysparm_display_value": "all",
            "sysparm_limit": "1",
        },
    )
    rows = rows_of(answer)
    if not rows:
        fix = "Name a record that the integration user may read, or give it the role."
        return [Check(name="fields", ok=None, said="no record to look at", fix=fix)]
    missing = [name for name in names if name not in rows[0]]
    fix = (
        "Correct the names (watch.fields, outbound), or give the integration user read access."
        if missing
        else ""
    )
    said = f"{', '.join(missing)} cannot be read" if missing else f"{len(names)} readable"
    fields, display = flatten(rows[0])
    return [
        Check(name="fields", ok=not missing, said=said, fix=fix),
        _zone(str(fields.get("sys_updated_on", "")), str(display.get("sys_updated_on", ""))),
    ]


def _zone(value: str, shown: str) -> Check:
    """The hub reads values, which are UTC, so another zone breaks nothing here; headings of journals and whoever
    compares by eye are off."""
    if value and value == shown:
        return Check(name="time zone", ok=True, said="GMT, as the values are")
    form = "in another zone" if _ISO.match(shown) else "in another zone or form"
    fix = "Set the integration user's time zone to GMT and its date format to the system's (yyyy-MM-dd)."
    return Check(
        name="time zone", ok=None, said=f"dates are shown {form} ({shown[:30]}, UTC {value[:30]})", fix=fix
    )


async def _canary(settings: ServiceNowSettings, client: ServiceNowClient, ticket_id: str) -> Check:
    """Writes a work note and reads it back from the record: what `find` has to rely on."""
    if not ticket_id:
        fix = "Give `--ticket SYS_ID` of a record on which a test note does no harm."
        return Check(name="canary", ok=None, said="left out: no record was named", fix=fix)
    path = f"/api/now/table/{settings.table}/{ticket_id}"
    before = result_of(await client.call("GET", path, {"sysparm_fields": "sys_mod_count", **VALUES}))
    mark = f"{settings.loop_guard.marker}canary-{clock.now_ms()}]"
    asked = {"sysparm_fields": "sys_mod_count", **VALUES}
    after = result_of(
        await client.call("PATCH", path, asked, {"work_notes": f"A test of the hub's access. {mark}"})
    )
    old, new = count_of(before.get("sys_mod_count")), count_of(after.get("sys_mod_count"))
    if old is not None and new is not None and new <= old:
        fix = f"Give the integration user write access to {settings.table}.work_notes."
        return Check(name="canary", ok=False, said="the note was dropped behind a 200", fix=fix)
    query = {"sysparm_fields": ",".join(JOURNALS), "sysparm_display_value": "true"}
    shown = flatten(result_of(await client.call("GET", path, query)))[1]
    if mark in str(shown.get("work_notes", "")):
        return Check(name="canary", ok=True, said="written and read back")
    fix = (
        f"Give the integration user read access to {settings.table}.work_notes; until then a reply in doubt waits for a "
        "person instead of being looked for."
    )
    strict = settings.writeback.via == "table_api"
    return Check(
        name="canary", ok=False if strict else None, said="written, but not to be read back", fix=fix
    )
