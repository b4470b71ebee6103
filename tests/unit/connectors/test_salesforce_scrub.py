"""No SessionId is kept, however it is written, and everything else is, whatever somebody makes of the body."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from connectors.connector import as_it_is
from connectors.registry import CONNECTORS, connector
from connectors.salesforce.outbound_message import OUTBOUND, read
from connectors.salesforce.scrub import scrub

SAMPLES = Path(__file__).parent / "salesforce_samples"
SECRET = b"00Dxx0000001gPF!AQ.secret"


@pytest.mark.parametrize(
    ("element", "left"),
    [
        (b"<SessionId>%s</SessionId>", b"<SessionId></SessionId>"),
        (b"<o:SessionId>%s</o:SessionId>", b"<o:SessionId></o:SessionId>"),
        (b"<SessionId><![CDATA[%s]]></SessionId>", b"<SessionId></SessionId>"),
        (b"<SessionId><![CDATA[</SessionId>%s]]></SessionId>", b"<SessionId></SessionId>"),
        (b"<SessionId><!-- </SessionId> -->%s</SessionId >", b"<SessionId></SessionId >"),
        (b"<SessionId\n a='>' b=\"/>\">\n%s\n</SessionId\n>", b"<SessionId\n a='>' b=\"/>\"></SessionId\n>"),
        (
            b"<SessionId><x>%s</x></SessionId><SessionId>%s</SessionId>",
            b"<SessionId></SessionId><SessionId></SessionId>",
        ),
        (b"<sessionid>%s</sessionid>", b"<sessionid></sessionid>"),
    ],
)
def test_the_text_is_taken_out(element: bytes, left: bytes) -> None:
    whole = b"\xef\xbb\xbf <a>1" + element.replace(b"%s", SECRET) + b"<b>2</b></a>"
    assert scrub(whole) == b"\xef\xbb\xbf <a>1" + left + b"<b>2</b></a>"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"<a><SessionId/>x</a>", b"<a><SessionId/>x</a>"),
        (b'<a><SessionId xsi:nil="true" />x</a>', b'<a><SessionId xsi:nil="true" />x</a>'),
        (b"<a><SessionIds>x</SessionIds></a>", b"<a><SessionIds>x</SessionIds></a>"),
        (b"<a>&lt;SessionId&gt;x</a>", b"<a>&lt;SessionId&gt;x</a>"),
        (b"<a><SessionId>secret", b"<a><SessionId>"),
        (b"<a><SessionId><![CDATA[secret</SessionId>", b"<a><SessionId>"),
        (b'<a><SessionId a=">secret</SessionId></a>', b"<a><SessionId</SessionId></a>"),
        (b"<a><SessionId", b"<a><SessionId"),
        (b'{"text": "<SessionId>x</SessionId>"}', b'{"text": "<SessionId>x</SessionId>"}'),
        ("<a><SessionId>x</SessionId></a>".encode("utf-16"), b""),
        ("<a><SessionId>x</SessionId></a>".encode("utf-16-le"), b""),
        (b"\x1f\x8b\x08\x00", b""),
        (b"", b""),
    ],
)
def test_what_stays(body: bytes, kept: bytes) -> None:
    assert scrub(body) == kept


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("sf_om_*.xml")))
def test_recorded_messages_say_the_same_without_it(name: str) -> None:
    body = (SAMPLES / name).read_bytes()
    kept = scrub(body)
    assert read(kept) == read(body)
    tree = ElementTree.fromstring(kept, forbid_dtd=True)
    sessions = list(tree.iter(f"{{{OUTBOUND}}}SessionId"))
    assert sessions
    assert [one.text for one in sessions] == [None] * len(sessions)


@given(
    st.lists(
        st.sampled_from(
            [b"<SessionId>", b"</SessionId>", b"<p:SessionId a='", b"'>", b"<![CDATA[", b"]]>", b"<!--", b"-->",
             b"<SessionId/>", b"x", b" ", b"<", b">", b"/"]
        )
    )
)  # fmt: skip
def test_twice_is_once(parts: list[bytes]) -> None:
    once = scrub(b"<a>" + b"".join(parts))
    assert scrub(once) == once


@pytest.mark.parametrize(
    "piece",
    [b"<SessionId>", b"<SessionId ", b"<SessionId a='", b"<![CDATA[", b"<SessionId><![CDATA[", b"<SessionId><!--",
     b"</SessionId ", b"<SessionId></SessionId>", b"a:", b"<a:", b" ", b"\"'"],
)  # fmt: skip
def test_a_hostile_body_costs_its_length(piece: bytes) -> None:
    body = b"<SessionId>x</SessionId>" + piece * (2_000_000 // len(piece))
    began = time.process_time()
    assert b"x</SessionId>" not in scrub(body)
    assert time.process_time() - began < 2.0


def test_the_others_keep_what_came() -> None:
    assert {name for name in CONNECTORS if connector(name).scrub is not as_it_is} == {"salesforce"}
    assert as_it_is(b"<SessionId>x</SessionId>") == b"<SessionId>x</SessionId>"
