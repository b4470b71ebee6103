"""What the tests inside a connector file leave out. Used by `hub connectors test` and `hub connectors doctor`."""

from __future__ import annotations

from connectors.form import ConnectorFile

OUTCOMES = ("verified", "failed", "expired")


def untested(settings: ConnectorFile) -> list[str]:
    """One line for each route that no test expects, and each outcome that writes something and has no test."""
    expected = {test.expect.route for test in settings.tests}
    found = [
        f"route {route.name}: no test expects it; add one with a fixture and `expect: {{route: {route.name}}}`"
        for route in settings.inbound.routes
        if route.name not in expected
    ]
    tested = {(test.route, test.outcome) for test in settings.tests if test.outcome is not None}
    own = settings.outbound.routes
    # Where every route that makes tasks has its own outcomes, the general ones are never used.
    general = [
        route.name for route in settings.inbound.routes if route.task is not None and route.name not in own
    ]
    for outcome in OUTCOMES:
        places = {route for route, tested_outcome in tested if tested_outcome == outcome}
        if general and getattr(settings.outbound, outcome) and not places & {None, *general}:
            found.append(f"outbound.{outcome}: no test; add one with `outcome: {outcome}`")
        found.extend(
            f"outbound.{name}.{outcome}: no test; add one with `outcome: {outcome}` and `route: {name}`"
            for name in own
            if getattr(own[name], outcome) and name not in places
        )
    return found
