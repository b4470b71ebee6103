"""Loading a connector file: YAML -> Structs with compiled expressions and resolved secrets, or an error that names
file, path and fix. Called by the hub when it starts, by `hub connectors test` and by tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from connectors import secret_refs, yaml_file
from connectors.connector import Connector
from connectors.expressions import (
    Condition,
    Expression,
    Mapped,
    OutcomeCondition,
    OutcomeExpression,
    OutcomeMapped,
    PlainTemplate,
    Template,
    nearest,
)
from connectors.form import ConnectorFile
from connectors.outbound import NOTE_ROOTS
from connectors.registry import connector
from connectors.secret_refs import Secrets
from connectors.yaml_lines import line_of
from core.errors import Misconfigured

CONTEXT = frozenset({"ctx"})  # what `enrich:` fetched, beside the vendor's own document


class ConnectorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded file. `settings` is what the connector's functions take; `warnings` are for the operator's log."""

    file_name: str
    connector: Connector
    settings: ConnectorFile
    warnings: tuple[str, ...]


def load(text: str, file_name: str, environ: Mapping[str, str]) -> ConnectorConfig:
    """Decode one file. `environ` is where `env:` references are looked up.

    Raises Misconfigured; its `field_errors` map each path to what is wrong there and how to mend it."""
    document = yaml_file.read(text, file_name)

    def wrong(problems: dict[str, str]) -> Misconfigured:
        return _error(file_name, text, problems)

    name = document.get("connector")
    if not isinstance(name, str):
        raise wrong({"connector": "is missing; write the vendor's name, such as `connector: pagerduty`"})
    try:
        kind = connector(name)
    except Misconfigured as error:
        raise wrong({"connector": error.message}) from error
    _gather_route_outcomes(document)
    unknown = yaml_file.unknown_keys(document, kind.settings)
    if unknown:
        raise wrong(unknown)
    warnings: list[str] = []
    try:
        settings = msgspec.convert(document, kind.settings, dec_hook=_decoder(kind, environ, warnings.append))
    except msgspec.ValidationError as error:
        message, _, path = str(error).rpartition(" - at `$")
        place = path.rstrip("`").lstrip(".") if message else ""
        problem = message or str(error)
        words = yaml_file.allowed_at(kind.settings, place)
        if words:
            problem += f"; write one of {', '.join(words)}"
        raise wrong({place or "(top)": problem}) from error
    contexts = _unknown_contexts(settings, kind)
    if contexts:
        raise wrong(contexts)
    warnings.extend(_topic_warnings(settings, kind))
    return ConnectorConfig(
        file_name=file_name,
        connector=kind,
        settings=settings,
        warnings=tuple(f"{file_name}: {w}" for w in warnings),
    )


def _decoder(
    kind: Connector, environ: Mapping[str, str], warn: Callable[[str], None]
) -> Callable[[type[Any], object], object]:
    """msgspec calls this for every type that is not its own, and puts the path behind what it raises."""

    def decode(wanted: type[Any], value: object) -> object:
        if wanted is Secrets:
            return secret_refs.resolve(value, environ, warn)
        if wanted is Mapped:
            return Mapped(value, kind.roots | CONTEXT)
        if wanted is OutcomeMapped:
            return OutcomeMapped(value, NOTE_ROOTS)
        if not isinstance(value, str):
            raise ValueError(f"this must be text, not {type(value).__name__}; quote it")  # noqa: TRY004 -- msgspec adds the path to a ValueError
        if wanted is Template:
            return Template(value, html=kind.html_notes, roots=NOTE_ROOTS)
        if wanted is PlainTemplate:
            return PlainTemplate(value, html=False, roots=NOTE_ROOTS)
        if wanted in (Condition, Expression):
            return wanted(value, kind.roots | CONTEXT)
        if wanted in (OutcomeCondition, OutcomeExpression):
            return wanted(value, NOTE_ROOTS)
        raise NotImplementedError(f"{wanted!r} in the settings of {kind.name}")

    return decode


def _gather_route_outcomes(document: dict[str, Any]) -> None:
    """In the file `outbound` may hold a route's own outcomes under the route's name; the form keeps them together."""
    inbound, outbound = document.get("inbound"), document.get("outbound")
    if not isinstance(outbound, dict) or not isinstance(inbound, dict):
        return
    steps = cast("dict[str, Any]", outbound)
    routes = cast("dict[str, Any]", inbound).get("routes")
    listed = cast("list[Any]", routes) if isinstance(routes, list) else []
    names = {str(cast("dict[str, Any]", one).get("name")) for one in listed if isinstance(one, dict)}
    own = {name: steps.pop(name) for name in names & set(steps)}
    if own and isinstance(steps.setdefault("routes", {}), dict):
        steps["routes"].update(own)


def _unknown_contexts(settings: ConnectorFile, kind: Connector) -> dict[str, str]:
    known = ", ".join(sorted(kind.contexts)) or "nothing"
    return {
        f"inbound.routes[{index}].enrich": f"{kind.name} cannot fetch `{name}`{nearest(name, kind.contexts)}; "
        f"it can fetch {known}"
        for index, route in enumerate(settings.inbound.routes)
        for name in route.enrich
        if name not in kind.contexts
    }


def _topic_warnings(settings: ConnectorFile, kind: Connector) -> list[str]:
    """A vendor may add event types faster than we list them, so an unknown one is a warning."""
    return [
        f"inbound.topics[{index}]: {kind.name} documents no event type `{topic}`{nearest(topic, kind.topics)}"
        for index, topic in enumerate(settings.inbound.topics)
        if topic not in kind.topics
    ]


def _error(file_name: str, text: str, problems: dict[str, str]) -> Misconfigured:
    """`acme.yaml:12: inbound.topics: ...`, one after the other, as editors and people find them."""
    places: list[str] = []
    for path, problem in problems.items():
        line = line_of(text, path)
        places.append(f"{file_name}{f':{line}' if line else ''}: {path}: {problem}")
    return Misconfigured("connector_file", "; ".join(places), field_errors=problems, file=file_name)
