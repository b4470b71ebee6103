"""Identifiers, the clock and secrets: the three that everything else is made with."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import clock, ids
from core.secret import Secret, digest, random_token

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.just(UTC),
)


def test_a_uuid7_is_one_by_rfc_9562() -> None:
    made = uuid.UUID(ids.uuid7())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_a_uuid7_carries_the_time() -> None:
    before = clock.now_ms()
    made = uuid.UUID(ids.uuid7())
    assert before <= made.int >> 80 <= clock.now_ms()


def test_uuid7s_differ() -> None:
    assert len({ids.uuid7() for _ in range(10_000)}) == 10_000


def test_ids_sort_by_the_time_of_their_making() -> None:
    made: list[str] = []
    for _ in range(20):
        made.append(ids.new("evt"))
        before = clock.now_ms()
        while clock.now_ms() == before:  # within one millisecond the order is open
            pass
    assert made == sorted(made)


def test_a_new_id_tells_what_it_names() -> None:
    assert re.fullmatch(r"evt_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", ids.new("evt"))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0191f3e4-0000-7000-8000-000000000001", True),
        ("0191F3E4-0000-7000-8000-000000000001", False),  # one task, one address
        ("0191f3e4000070008000000000000001", False),
        ("{0191f3e4-0000-7000-8000-000000000001}", False),
        ("urn:uuid:0191f3e4-0000-7000-8000-000000000001", False),
        ("", False),
        ("tsk_1", False),
    ],
)
def test_is_uuid(text: str, is_one: bool) -> None:
    assert ids.is_uuid(text) is is_one


def test_now_is_aware_utc_in_whole_milliseconds() -> None:
    moment = clock.now()
    assert moment.tzinfo is UTC
    assert moment.microsecond % 1000 == 0


def test_the_three_readers_agree() -> None:
    low = clock.now_ms()
    seconds = clock.unix()
    high = clock.now_ms()
    assert low // 1000 <= seconds <= high // 1000


def test_monotonic_does_not_go_back() -> None:
    spans = [clock.monotonic() for _ in range(100)]
    assert spans == sorted(spans)


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_milliseconds_survive_the_round_trip(ms: int) -> None:
    assert clock.to_ms(clock.from_ms(ms)) == ms


@given(MOMENTS)
def test_a_moment_keeps_its_milliseconds(moment: datetime) -> None:
    kept = clock.from_ms(clock.to_ms(moment))
    assert kept == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 11, 23, 3, 0, 0, 123_000, tzinfo=india)
    assert clock.iso(moment) == "2026-11-22T21:30:00.123Z"
    assert clock.to_ms(moment) == clock.to_ms(moment.astimezone(UTC))


def test_iso_shows_milliseconds_even_when_there_are_none() -> None:
    assert clock.iso(datetime(2026, 11, 23, tzinfo=UTC)) == "2026-11-23T00:00:00.000Z"


def test_a_secret_does_not_print_itself() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {{'key': {secret!s}}}"
    assert str(secret) == "Secret('***')"
    assert secret.reveal() == "hunter2"


def test_a_secret_has_nothing_that_a_dump_would_show() -> None:
    assert not hasattr(Secret("hunter2"), "__dict__")


def test_a_secret_matches_only_itself() -> None:
    secret = Secret("hunter2")
    assert secret.matches("hunter2")
    assert not secret.matches("hunter3")
    assert not secret.matches("")
    assert not secret.matches("hunter2\0")


def test_a_secret_may_hold_any_text() -> None:
    assert Secret("pässwörd🔑").matches("pässwörd🔑")


def test_an_empty_secret_is_disabled() -> None:
    empty = Secret("")
    assert not empty
    assert repr(empty) == "Secret(disabled)"
    assert not empty.matches("")
    assert not empty.matches("anything")


def test_a_digest_is_sha256() -> None:
    assert digest("ek_live_x") == hashlib.sha256(b"ek_live_x").hexdigest()


def test_a_random_token_has_its_prefix_and_256_bits() -> None:
    token = random_token("ek_test_")
    assert re.fullmatch(r"ek_test_[A-Za-z0-9_-]{43}", token)
    assert random_token("ek_test_") != token


def test_a_forked_process_draws_its_own_ids() -> None:
    gate = multiprocessing.get_context("fork")
    answers = gate.SimpleQueue()
    ids.uuid7()  # there is something drawn that both could use
    child = gate.Process(target=lambda: answers.put([ids.uuid7()[-15:] for _ in range(10)]))
    child.start()
    child.join()
    assert not {ids.uuid7()[-15:] for _ in range(10)} & set(answers.get())
