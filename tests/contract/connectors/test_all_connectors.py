"""What every connector must do, run against each of `CONNECTORS`. A newcomer brings `<name>/config.yaml` (secrets
CONTRACT_SECRET_A, _B and _OLD, the last one past its date), `<name>/kit.py` with `sign`, `fixtures/` and `expected/`."""

from __future__ import annotations

import copy
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.config import ConnectorConfig, load
from connectors.connector import Connector
from connectors.file_tests import run_tests
from connectors.registry import CONNECTORS, connector
from connectors.signatures import SignatureMismatch, SignatureMissing
from core.errors import Misconfigured, Unavailable
from core.intake.envelope import Cancellation, Escalation, Ignored, InboundDelivery, Meaning

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


@pytest.fixture(params=sorted(CONNECTORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def loaded(name: str, environ: dict[str, str] | None = None) -> ConnectorConfig:
    text = (HERE / name / "config.yaml").read_text()
    return load(text, f"{name}/config.yaml", SECRETS if environ is None else environ)


def kit(name: str) -> ModuleType:
    return import_module(f"tests.contract.connectors.{name}.kit")


def any_fixture(name: str) -> bytes:
    return next(iter(sorted((HERE / name / "fixtures").glob("*.*")))).read_bytes()


def verified(config: ConnectorConfig, headers: dict[str, str], body: bytes) -> InboundDelivery:
    return config.connector.verify(config.settings, headers, body)


def meaning_of(config: ConnectorConfig, body: bytes) -> Meaning:
    delivery = InboundDelivery(delivery_id="d", event_type="t", body=body, headers={}, verified_by=0)
    return config.connector.normalize(config.settings, delivery, config.settings.inbound.routes)


# --- verify


def test_loads_without_warnings(name: str) -> None:
    config = loaded(name)
    assert config.warnings == ()
    assert isinstance(connector(name), Connector)
    assert config.connector.name == name


@pytest.mark.parametrize(("secret", "position"), [("secret-a", 0), ("secret-b", 1)])
def test_any_active_secret_verifies(name: str, secret: str, position: int) -> None:
    body = any_fixture(name)
    headers = kit(name).sign(body, [secret])
    delivery = verified(loaded(name), headers, body)
    assert (delivery.body, delivery.verified_by) == (body, position)
    assert delivery.delivery_id
    lower = {key.lower(): value for key, value in headers.items()}
    assert verified(loaded(name), lower, body) == delivery


def test_both_secrets_at_once_while_rotating(name: str) -> None:
    body = any_fixture(name)
    assert verified(loaded(name), kit(name).sign(body, ["secret-b", "secret-a"]), body).verified_by == 0
    only_new = {**SECRETS, "CONTRACT_SECRET_A": ""}
    assert (
        verified(loaded(name, only_new), kit(name).sign(body, ["secret-a", "secret-b"]), body).verified_by
        == 1
    )


@pytest.mark.parametrize("secret", ["wrong", "secret-old", "SECRET-A", ""])
def test_other_secrets_do_not(name: str, secret: str) -> None:
    body = any_fixture(name)
    with pytest.raises(SignatureMismatch) as caught:
        verified(loaded(name), kit(name).sign(body, [secret]), body)
    assert caught.value.facts["active"] == 2


def test_no_secret_refuses_everything(name: str) -> None:
    """An empty secret is disabled, never unchecked: not even a signature made with the empty key passes."""
    body = any_fixture(name)
    config = loaded(name, {})
    assert len(config.warnings) == 4
    for headers in (kit(name).sign(body, [""]), kit(name).sign(body, ["secret-a"])):
        with pytest.raises(SignatureMismatch) as caught:
            verified(config, headers, body)
        assert caught.value.facts["active"] == 0


def test_a_changed_byte_is_refused(name: str) -> None:
    body = any_fixture(name)
    with pytest.raises(SignatureMismatch):
        verified(loaded(name), kit(name).sign(body, ["secret-a"]), body + b" ")


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_signature(name: str, value: str | None) -> None:
    body = any_fixture(name)
    headers = {} if value is None else dict.fromkeys(kit(name).sign(body, ["secret-a"]), value)
    with pytest.raises(SignatureMissing):
        verified(loaded(name), headers, body)


@given(value=st.text(max_size=80))
def test_a_strange_signature_is_a_mismatch(value: str) -> None:
    for name in CONNECTORS:
        config, body = loaded(name), b"{}"
        headers = dict.fromkeys(kit(name).sign(body, ["secret-a"]), "x" + value)
        with pytest.raises(SignatureMismatch):
            verified(config, headers, body)


@given(body=st.binary(max_size=200))
def test_verified_bytes_are_a_delivery_whatever_they_hold(body: bytes) -> None:
    for name in CONNECTORS:
        config = loaded(name)
        delivery = verified(config, kit(name).sign(body, ["secret-a"]), body)
        assert delivery.delivery_id
        assert delivery.event_type
        assert isinstance(meaning_of(config, body), Ignored)


def test_retries_carry_the_same_id(name: str) -> None:
    config = loaded(name)
    for path in (HERE / name / "fixtures").glob("*.*"):
        body = path.read_bytes()
        ids = {
            verified(config, kit(name).sign(body, [s]), body).delivery_id for s in ("secret-a", "secret-b")
        }
        assert len(ids) == 1, path.name


# --- answers


def test_answers(name: str) -> None:
    answers = connector(name).answers
    assert 200 <= answers.verified < 300
    assert answers.duplicate == answers.verified
    assert answers.for_error(SignatureMissing("X")) == answers.signature_missing == 401
    assert answers.for_error(SignatureMismatch("X", 1)) == answers.signature_mismatch
    assert answers.for_error(Unavailable("db", "away")) == answers.not_stored == 503
    assert answers.body_limit >= 256 * 1024


# --- normalize


def approved(meaning: Meaning) -> dict[str, Any]:
    """JSON of a meaning; decimals as text."""
    return {"kind": type(meaning).__name__, **msgspec.json.decode(msgspec.json.encode(meaning))}


@pytest.mark.parametrize(("name", "fixture"), FIXTURES)
def test_every_fixture_means_what_was_approved(name: str, fixture: str) -> None:
    body = next((HERE / name / "fixtures").glob(f"{fixture}.*")).read_bytes()
    expected = json.loads((HERE / name / "expected" / f"{fixture}.json").read_text())
    assert approved(meaning_of(loaded(name), body)) == expected


def test_nothing_is_approved_that_is_not_there(name: str) -> None:
    fixtures = {path.stem for path in (HERE / name / "fixtures").glob("*.*")}
    assert {path.stem for path in (HERE / name / "expected").glob("*.json")} == fixtures


def test_every_kind_of_meaning_has_a_fixture(name: str) -> None:
    config = loaded(name)
    kinds = {type(meaning_of(config, path.read_bytes())) for path in (HERE / name / "fixtures").glob("*.*")}
    assert kinds == {Escalation, Cancellation, Ignored}


def test_mode_off_ignores(name: str) -> None:
    config = loaded(name)
    off = msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, mode="off"))
    for path in (HERE / name / "fixtures").glob("*.*"):
        assert isinstance(meaning_of(off, path.read_bytes()), Ignored)


# --- shapes nobody documented

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths_of(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [at, *(path for key, member in members for path in paths_of(member, (*at, key)))]


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_verified_delivery_of_any_shape_has_a_meaning(data: st.DataObject) -> None:
    """Any member of a real delivery replaced by any JSON: stored, understood or ignored, or refused
    by an expression of the file that the error names; nothing else."""
    name, fixture = data.draw(st.sampled_from(FIXTURES))
    config = data.draw(st.sampled_from(loaded_once(name)))
    document = json.loads(next((HERE / name / "fixtures").glob(f"{fixture}.*")).read_text())
    for _ in range(data.draw(st.integers(1, 2))):
        document = replaced(document, data.draw(st.sampled_from(paths_of(document))), data.draw(JSON))
    body = json.dumps(document).encode()
    delivery = verified(config, kit(name).sign(body, ["secret-a"]), body)
    try:
        meaning = config.connector.normalize(config.settings, delivery, config.settings.inbound.routes)
    except (
        Misconfigured
    ) as error:  # the file's expression cannot take this shape: kept as failed, with the place
        meaning = Ignored(reason=error.message)
    assert isinstance(meaning, (Escalation, Cancellation, Ignored))
    if not isinstance(meaning, Ignored):
        assert meaning.key
        assert meaning.ticket.id


LOADED: dict[str, list[ConnectorConfig]] = {}


def loaded_once(name: str) -> list[ConnectorConfig]:
    """The suite's file and the one we ship."""
    if name not in LOADED:
        LOADED[name] = [loaded(name), shipped(name)]
    return LOADED[name]


def shipped(name: str) -> ConnectorConfig:
    """`config/connectors/<name>.yaml` with every secret that it names set to the suite's first one."""
    text = (SHIPPED / f"{name}.yaml").read_text()
    return load(text, f"{name}.yaml", dict.fromkeys(re.findall(r"env:(\w+)", text), "secret-a"))


# --- the file we ship


def test_the_shipped_file_passes_its_own_tests(name: str) -> None:
    config = shipped(name)
    outcomes = run_tests(config, SHIPPED / "fixtures")
    assert config.warnings == ()
    assert {outcome.problem for outcome in outcomes} == {""}
    assert len(outcomes) >= 3
