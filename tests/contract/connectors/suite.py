"""What the contract tests of all connectors share. A newcomer brings `<name>/config.yaml` (secrets CONTRACT_SECRET_A,
_B and _OLD, the last one past its date), `<name>/kit.py` (`request`, `unsigned`, `deliveries`, TIMESTAMPED, CONTEXT),
`fixtures/` with single deliveries as `normalize` gets them and `expected/` with their approved meanings."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from connectors.config import ConnectorConfig, load
from connectors.connector import InboundRequest
from connectors.registry import CONNECTORS
from core.intake.envelope import InboundDelivery, Reading, Wanted

HERE = Path(__file__).parent
SHIPPED = HERE.parents[2] / "config" / "connectors"
SECRETS = {
    "CONTRACT_TOKEN": "token",
    "CONTRACT_SECRET_A": "secret-a",
    "CONTRACT_SECRET_B": "secret-b",
    "CONTRACT_SECRET_OLD": "secret-old",
}
FIXTURES = sorted(
    (name, path.stem)
    for name in CONNECTORS
    for path in (HERE / name / "fixtures").glob("*.*")
    if path.is_file()
)


def loaded(name: str, environ: dict[str, str] | None = None) -> ConnectorConfig:
    """The suite's file, with the suite's secrets."""
    text = (HERE / name / "config.yaml").read_text()
    return load(text, f"{name}/config.yaml", SECRETS if environ is None else environ)


def shipped(name: str) -> ConnectorConfig:
    """`config/connectors/<name>.yaml` with every secret that it names set to the suite's first one."""
    text = (SHIPPED / f"{name}.yaml").read_text()
    return load(text, f"{name}.yaml", dict.fromkeys(re.findall(r"env:(\w+)", text), "secret-a"))


_LOADED: dict[str, list[ConnectorConfig]] = {}


def loaded_once(name: str) -> list[ConnectorConfig]:
    """The suite's file and the one we ship."""
    if name not in _LOADED:
        _LOADED[name] = [loaded(name), shipped(name)]
    return _LOADED[name]


def kit(name: str) -> Any:
    return import_module(f"tests.contract.connectors.{name}.kit")


def bodies(name: str) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted((HERE / name / "fixtures").glob("*.*"))}


def any_fixture(name: str) -> bytes:
    """A delivery that asks something, so that the real path is taken."""
    expected = {
        path.stem: msgspec.json.decode(path.read_bytes()) for path in (HERE / name / "expected").glob("*")
    }
    stem = next(stem for stem, meaning in sorted(expected.items()) if meaning["kind"] == "Escalation")
    return bodies(name)[stem]


def verified(config: ConnectorConfig, request: InboundRequest) -> tuple[InboundDelivery, ...]:
    return config.connector.verify(config.settings, request)


def read(config: ConnectorConfig, delivery: InboundDelivery, context: dict[str, Any] | None) -> Reading:
    """What the delivery means; `context` is given when the route wants it, empty where the kit has none."""
    routes = config.settings.inbound.routes
    meaning = config.connector.normalize(config.settings, delivery, routes, None)
    if isinstance(meaning, Wanted):
        return config.connector.normalize(config.settings, delivery, routes, context or {})
    return meaning


def meaning_of(config: ConnectorConfig, body: bytes, context: dict[str, Any] | None = None) -> Reading:
    delivery = InboundDelivery(delivery_id="d", event_type="t", body=body, headers={}, verified_by=0)
    return read(config, delivery, context)


def approved(meaning: Reading) -> dict[str, Any]:
    """JSON of a meaning; decimals as text."""
    return {"kind": type(meaning).__name__, **msgspec.json.decode(msgspec.json.encode(meaning))}
