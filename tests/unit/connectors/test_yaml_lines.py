"""An error of a connector file names the line in which the setting stands."""

from __future__ import annotations

import pytest

from connectors.config import load
from connectors.yaml_lines import line_of
from core.errors import Misconfigured

TEXT = """\
# a comment
connector: pagerduty
inbound:
  topics: [incident.triggered]
  routes:
    - name: first
      when: "x"
    - name: second
      task: {type: question, payload: {a: "b"}}
outbound:
  second:
    verified:
      - note: hello
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("connector", 2),
        ("inbound", 3),
        ("inbound.topics[0]", 4),
        ("inbound.routes[0].when", 7),
        ("inbound.routes[1]", 8),
        ("inbound.routes[1].task.payload.a", 9),
        ("inbound.routes[1].key", 8),  # is missing: what should have it
        ("inbound.routes[9].key", 5),
        ("outbound.second.verified[0].note", 13),
        ("outbound.routes.second.verified[0].note", 13),
        ("auth.api_token", None),
        ("(top)", None),
    ],
)
def test_the_line_of_a_path(path: str, line: int | None) -> None:
    assert line_of(TEXT, path) == line


def test_every_problem_has_its_place() -> None:
    with pytest.raises(Misconfigured) as caught:
        load(TEXT + "colour: red\nid2: x\n", "acme.yaml", {})
    first, second = caught.value.message.split("; acme")
    assert first.startswith("acme.yaml:14: colour: unknown key")
    assert second.startswith(".yaml:15: id2: unknown key (did you mean `id`?)")
