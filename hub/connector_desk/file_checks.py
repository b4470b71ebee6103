"""The doctor's checks that need nothing but the connector's file and this hub's configuration."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from connectors.config import ConnectorConfig
from connectors.connector import Check
from connectors.file_tests import run_tests
from connectors.form import ConnectorFile, is_loopback
from core.errors import HubError
from core.tasks.types import TaskTypes
from hub.connector_desk.coverage import untested
from hub.connector_desk.overview import webhook_address

Folder = Path

_SECRET = "this secret is disabled"  # noqa: S105 - the end of a warning of connectors/secret_refs.py, no secret


def of_file(config: ConnectorConfig, fixtures: Folder) -> list[Check]:
    """Warnings of the loader, mode, and the tests inside the file."""
    command = f"hub connectors test config/connectors/{config.file_name}"
    warnings = [
        one for one in config.warnings if not one.endswith(_SECRET)
    ]  # secrets have checks of their own
    checks = [
        Check(name="file", ok=None, said=one, fix="Mend the file if this is not meant.") for one in warnings
    ] or [Check(name="file", ok=True, said=config.file_name)]
    mode = config.settings.mode
    if mode != "live":
        what = (
            "nothing is read or written"
            if mode == "off"
            else "tasks are made, nothing is written into tickets"
        )
        checks.append(
            Check(name="mode", ok=None, said=f"{mode}: {what}", fix="Write `mode: live` when ready.")
        )
    outcomes = run_tests(config, fixtures)
    failed = [one for one in outcomes if not one.passed]
    first = f"; {failed[0].name}: {failed[0].problem}" if failed else ""
    checks.append(
        Check(
            name="tests in the file",
            ok=False if failed else (True if outcomes else None),
            said=f"{len(outcomes) - len(failed)} of {len(outcomes)} pass{first}",
            fix=f"Run `{command}`." if failed or not outcomes else "",
        )
    )
    missing = untested(config.settings)
    if missing and outcomes:
        checks.append(
            Check(name="tests left out", ok=None, said="; ".join(missing), fix="Add them to the file.")
        )
    return checks


def task_types(settings: ConnectorFile, types: TaskTypes) -> list[Check]:
    """Each task type that a route names exists and has a price."""
    checks: list[Check] = []
    for route in settings.inbound.routes:
        if route.task is None:
            continue
        name, kind = f"route {route.name}", route.task.type
        try:
            priced = route.task.payout is not None or types.get(kind).payout is not None
        except HubError as error:
            known = ", ".join(one.name for one in types)
            checks.append(
                Check(
                    name=name,
                    ok=False,
                    said=error.message,
                    fix=f"Write one of {known}, or add config/task_types/{kind}.yaml.",
                )
            )
            continue
        checks.append(
            Check(
                name=name,
                ok=priced,
                said=f"task type {kind}" if priced else f"task type {kind} has no price",
                fix="" if priced else "Set `payout:` in the route, or in the task type's file.",
            )
        )
    return checks


def public_address(settings: ConnectorFile, public_url: str) -> Check:
    """Where the vendor sends to. In `live` a vendor must be able to reach it, and only by TLS."""
    address = webhook_address(public_url, settings.id)
    https = urlsplit(public_url).scheme == "https"
    reachable = https and not is_loopback(public_url)
    if reachable:
        return Check(name="public address", ok=True, said=f"{address} (write this into the vendor's webhook)")
    why = "is a loopback address" if is_loopback(public_url) else "is not https"
    return Check(
        name="public address",
        ok=False if settings.environment == "live" else None,
        said=f"{address} {why}: no vendor reaches it",
        fix="Set server.public_url in hub.yaml (or HUB_PUBLIC_URL) to the https address of this hub.",
    )
