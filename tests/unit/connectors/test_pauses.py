"""Until when a vendor wants no calls."""

from __future__ import annotations

from connectors.pauses import LONGEST, Pauses


def test_nobody_waits_at_first() -> None:
    assert Pauses().wait("acme") == 0


def test_a_pause_is_of_one_connector() -> None:
    pauses = Pauses()
    pauses.pause("acme", 100)

    assert 99 < pauses.wait("acme") <= 100
    assert pauses.wait("other") == 0


def test_the_longer_pause_stays() -> None:
    pauses = Pauses()
    pauses.pause("acme", 100)
    pauses.pause("acme", 5)

    assert pauses.wait("acme") > 99


def test_a_header_is_believed_up_to_an_hour_and_never_backwards() -> None:
    pauses = Pauses()
    pauses.pause("acme", 10**9)
    pauses.pause("past", -50)

    assert LONGEST - 1 < pauses.wait("acme") <= LONGEST
    assert pauses.wait("past") == 0
