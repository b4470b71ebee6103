"""connectors/salesforce/README.md names every key of the file and every place of the package's page that it sends to."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from connectors.form import ConnectorFile, Inbound, Step
from connectors.salesforce.settings import (
    OutboundMessage,
    SalesforceAuth,
    SalesforceComment,
    SalesforceInbound,
    SalesforceSettings,
    SalesforceStep,
    SalesforceWriteback,
    SetField,
)
from connectors.signed_json import SignedJson

FOLDER = Path(__file__).parents[3] / "connectors" / "salesforce"
TEXT = (FOLDER / "README.md").read_text()
PACKAGE = (FOLDER / "package" / "README.md").read_text()


@pytest.mark.parametrize(
    ("of", "common"),
    [
        (SalesforceSettings, ConnectorFile),
        (SalesforceInbound, Inbound),
        (SalesforceStep, Step),
        (SalesforceAuth, None),
        (OutboundMessage, None),
        (SignedJson, None),
        (SalesforceWriteback, None),
        (SalesforceComment, None),
        (SetField, None),
    ],
)
def test_every_key_is_explained(of: type[msgspec.Struct], common: type[msgspec.Struct] | None) -> None:
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", TEXT))))
    known = {one.encode_name for one in msgspec.structs.fields(common)} if common else set[str]()
    keys = {one.encode_name for one in msgspec.structs.fields(of)} - known
    assert keys
    assert sorted(keys - words) == []


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PACKAGE, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) > 8
    for link in links:
        path, _, anchor = link.partition("#")
        assert (FOLDER / path).is_file(), link
        assert not anchor or anchor in anchors, link
