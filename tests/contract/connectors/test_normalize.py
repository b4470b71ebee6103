"""What every connector makes of a delivery: the approved meaning of each fixture, and for any other shape a meaning or
a refusal that names the place."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.file_tests import run_tests
from core.errors import Misconfigured
from core.intake.envelope import Addition, Cancellation, Escalation, Ignored, InboundDelivery, Wanted
from tests.contract.connectors.suite import (
    FIXTURES,
    HERE,
    SHIPPED,
    approved,
    bodies,
    kit,
    loaded,
    loaded_once,
    meaning_of,
    read,
    shipped,
)


@pytest.mark.parametrize(("name", "fixture"), FIXTURES)
def test_every_fixture_means_what_was_approved(name: str, fixture: str) -> None:
    expected = json.loads((HERE / name / "expected" / f"{fixture}.json").read_text())
    found = meaning_of(loaded(name), bodies(name)[fixture], kit(name).CONTEXT.get(fixture))
    assert approved(found) == expected


def test_nothing_is_approved_that_is_not_there(name: str) -> None:
    assert {path.stem for path in (HERE / name / "expected").glob("*.json")} == set(bodies(name))


def test_every_kind_of_meaning_has_a_fixture(name: str) -> None:
    config = loaded(name)
    kinds = {
        type(meaning_of(config, body, kit(name).CONTEXT.get(stem))) for stem, body in bodies(name).items()
    }
    assert kinds == {Escalation, Cancellation, Addition, Ignored}


def test_what_a_route_wants_is_asked_for(name: str) -> None:
    """A fixture with fetched context is Wanted at first, and says for which ticket."""
    config = loaded(name)
    for stem in kit(name).CONTEXT:
        delivery = InboundDelivery(
            delivery_id="d", event_type="t", body=bodies(name)[stem], headers={}, verified_by=0
        )
        wanted = config.connector.normalize(config.settings, delivery, config.settings.inbound.routes, None)
        assert isinstance(wanted, Wanted), stem
        assert wanted.ticket.id
        assert set(wanted.names) <= config.connector.contexts


def test_mode_off_ignores(name: str) -> None:
    config = loaded(name)
    off = msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, mode="off"))
    for stem, body in bodies(name).items():
        assert isinstance(meaning_of(off, body), Ignored), stem


# --- shapes nobody documented

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["../admins", "a/b", "{{ 7 * 7 }}", "<script>x</script>", "last", "0", "-1"]),
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


JSON_FIXTURES = [one for one in FIXTURES if bodies(one[0])[one[1]].lstrip()[:1] in (b"{", b"[")]


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_verified_delivery_of_any_shape_has_a_meaning(data: st.DataObject) -> None:
    """Any member of a real delivery replaced by any JSON: stored, understood or ignored, or refused
    by an expression of the file that the error names; nothing else."""
    name, fixture = data.draw(st.sampled_from(JSON_FIXTURES))
    config = data.draw(st.sampled_from(loaded_once(name)))
    document = json.loads(bodies(name)[fixture])
    for _ in range(data.draw(st.integers(1, 2))):
        document = replaced(document, data.draw(st.sampled_from(paths_of(document))), data.draw(JSON))
    delivery = InboundDelivery(
        delivery_id="d", event_type="t", body=json.dumps(document).encode(), headers={}, verified_by=0
    )
    try:
        meaning = read(config, delivery, kit(name).CONTEXT.get(fixture))
    except Misconfigured as error:
        # the file's expression cannot take this shape: kept as failed, with the place
        meaning = Ignored(reason=error.message[error.message.index("inbound.routes") :])
    assert isinstance(meaning, (Escalation, Cancellation, Addition, Ignored))
    if not isinstance(meaning, Ignored):
        assert meaning.ticket.id
        assert "/" not in meaning.ticket.id
        assert ".." not in meaning.ticket.id


# --- the file we ship


def test_the_shipped_file_passes_its_own_tests(name: str) -> None:
    config = shipped(name)
    outcomes = run_tests(config, SHIPPED / "fixtures")
    assert config.warnings == ()
    assert {outcome.problem for outcome in outcomes} == {""}
    assert len(outcomes) >= 6
