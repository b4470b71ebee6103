"""What a ServiceNow file writes, and whether the instance knows such values; used by `doctor.py`."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from connectors.connector import Check
from connectors.expressions import Template
from connectors.form import Outcomes
from connectors.servicenow.client import ServiceNowClient, rows_of
from connectors.servicenow.settings import ServiceNowSettings, ServiceNowStep
from core import clock

CHOICES = ("state", "close_code")


def steps_of(settings: ServiceNowSettings) -> Iterator[ServiceNowStep]:
    """Every step of the file, whatever outcome or route it belongs to."""
    outcomes: list[Outcomes[ServiceNowStep]] = [settings.outbound, *settings.outbound.routes.values()]
    for one in outcomes:
        yield from (*one.verified, *one.failed, *one.expired)


def written_fields(settings: ServiceNowSettings) -> dict[str, set[str]]:
    """Field -> the constant values that the file writes into it (none for a template)."""
    found: dict[str, set[str]] = {}
    for step in steps_of(settings):
        templates: dict[str, Template | None] = dict(step.fields or {})
        for members in (step.resolve, step.assign):
            if members is not None:
                templates.update({name: getattr(members, name) for name in members.__struct_fields__})
        for name, template in templates.items():
            if template is not None:
                values = found.setdefault(name, set())
                if "{" not in template.source:
                    values.add(template.source.strip())
    return found


async def checks(settings: ServiceNowSettings, client: ServiceNowClient) -> list[Check]:
    """States and close codes against the choice list: they differ by release and by customer."""
    found: list[Check] = []
    for field in CHOICES:
        values = written_fields(settings).get(field, set())
        if not values:
            continue
        known = await _choices(settings, client, field)
        unknown = sorted(values - set(known))
        listed = ", ".join(f"{value} ({label})" for value, label in sorted(known.items()))
        if not known:
            said, fix = (
                "the choice list cannot be read",
                "Give the integration user read access to sys_choice.",
            )
            found.append(Check(name=f"choices of {field}", ok=None, said=said, fix=fix))
        elif unknown:
            fix = f"Write one of: {listed[:600]}"
            said = f"{', '.join(unknown)} is no value of {field}"
            found.append(Check(name=f"choices of {field}", ok=False, said=said, fix=fix))
        else:
            found.append(Check(name=f"choices of {field}", ok=True, said=", ".join(sorted(values))))
    return found


async def _choices(settings: ServiceNowSettings, client: ServiceNowClient, field: str) -> dict[str, str]:
    """value -> label; a table without its own list uses that of `task`, which it extends."""
    answer = await client.call(
        "GET",
        "/api/now/table/sys_choice",
        {
            "sysparm_query": f"nameIN{settings.table},task^element={field}^inactive=false",
            "sysparm_fields": "name,value,label",
            "sysparm_limit": "200",
        },
    )
    rows = rows_of(answer)
    own = [row for row in rows if row.get("name") == settings.table] or rows
    return {str(row.get("value")): str(row.get("label")) for row in own}


def seconds_apart(date_header: str) -> float | None:
    """Their clock minus ours; None for a header that is no HTTP date."""
    try:
        theirs = parsedate_to_datetime(date_header)
        return (theirs - clock.now()).total_seconds() if theirs.tzinfo else None
    except (ValueError, TypeError):
        return None
