"""Log lines: their exact JSON, the ids they carry, what is hidden, and that hostile text forges nothing."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest

from hub.observe.logging import MAX_CHARS, Form, about, configure, redact
from tests.growth import grows_linearly

log = logging.getLogger("hub.test")


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_with_context_and_extra(stream):
    configure("info", "json", stream=stream)
    with about(request="req-1", task="tsk-1"):
        log.info("leased %d jobs", 3, extra={"queue": "money", "count": 3, "after": None})
    log.debug("not shown")
    [line] = lines(stream)
    assert line.pop("at")[-1] == "Z"
    assert line == {
        "level": "info",
        "logger": "hub.test",
        "message": "leased 3 jobs",
        "request_id": "req-1",
        "task_id": "tsk-1",
        "queue": "money",
        "count": 3,
        "after": None,
    }


def test_context_nests_and_ends(stream):
    configure("INFO", Form.JSON, stream=stream)
    with about(request="r", job="j1"):
        with about(job="j2"):
            log.info("inner")
        log.info("outer")
    log.info("none")
    ids = [(line.get("request_id"), line.get("job_id")) for line in lines(stream)]
    assert ids == [("r", "j2"), ("r", "j1"), (None, None)]


async def test_concurrent_tasks_do_not_mix(stream):
    configure("INFO", Form.JSON, stream=stream)

    async def one(n: int) -> None:
        with about(job=f"job-{n}"):
            await asyncio.sleep(0)
            log.info("%d", n)

    await asyncio.gather(*(one(n) for n in range(20)))
    assert all(line["job_id"] == f"job-{line['message']}" for line in lines(stream))


def test_human_lines(stream):
    configure("INFO", "human", stream=stream)
    with about(task="t1"):
        log.warning("slow", extra={"ms": 12})
    assert stream.getvalue()[8:] == " WARNING hub.test  slow task_id=t1 ms=12\n"


def test_auto_is_json_away_from_a_terminal(stream):
    configure("INFO", stream=stream)
    log.info("x")
    assert lines(stream)[0]["message"] == "x"


def test_nobody_forges_a_line(stream):
    configure("INFO", "human", stream=stream)
    log.info("name: %s", 'x\n12:00:00 ERROR hub.test  the safe is open"', extra={"who": "a\r\nb"})
    assert stream.getvalue().count("\n") == 1


def test_an_exception_is_kept_and_redacted(stream):
    configure("INFO", "json", stream=stream)
    try:
        raise ValueError("bad key ek_live_0123456789abcdef")
    except ValueError:
        log.exception("failed")
    [line] = lines(stream)
    assert line["error"].startswith("Traceback")
    assert line["error"].endswith("ValueError: bad key ek_live_[redacted]")


def test_hostile_text_is_cut_and_always_encodes(stream):
    configure("INFO", "json", stream=stream)
    log.info("x" * (MAX_CHARS + 5), extra={"name_": "\ud800\x00", "thing": object})
    [line] = lines(stream)
    assert line["message"] == "x" * MAX_CHARS + f"… ({MAX_CHARS + 5} characters)"
    assert line["name_"] == "?\x00"


def test_secret_extra_fields_are_hidden_by_their_name(stream):
    configure("INFO", "json", stream=stream)
    log.info("x", extra={"api_key": "plain", "password": "p w", "authorization": "Bearer abcdef"})
    [line] = lines(stream)
    assert [line["api_key"], line["password"], line["authorization"]] == ["[redacted]"] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key ek_live_AbC-123_xyz used", "key ek_live_[redacted] used"),
        ("ek_test_AbC-123", "ek_test_[redacted]"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "whsec_[redacted]"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: [redacted]"),
        (
            '{"Authorization": "Token token=y_NbAkKc66ryYTWUXYEu", "x": 1}',
            '{"Authorization": [redacted], "x": 1}',
        ),
        ("{'authorization': 'Basic dXNlcjpwdw==', 'a': 1}", "{'authorization': [redacted], 'a': 1}"),
        ("sent bearer abcdefghijkl to them", "sent bearer [redacted] to them"),
        ("password=hunter2&user=a", "password=[redacted]&user=a"),
        ("client_secret=abc", "client_secret=[redacted]"),
        ("postgresql://hub:s3cret@db/hub", "postgresql://[redacted]@db/hub"),
        ("redis://:s3cret@queue:6379/0", "redis://[redacted]@queue:6379/0"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "jwt [redacted] end"),
        ("Cookie: session=abcdef", "Cookie: [redacted]"),
        ("preimage=" + "ab" * 32, "preimage=" + "ab" * 32),
        ("payment_hash " + "cd" * 32, "payment_hash " + "cd" * 32),
        (
            "task 019f3c2e-0000-7000-8000-000000000000 posted",
            "task 019f3c2e-0000-7000-8000-000000000000 posted",
        ),
        ("https://hub.example/tasks?cursor=abc", "https://hub.example/tasks?cursor=abc"),
        ("the token bucket is empty", "the token bucket is empty"),
        ("basic checks and the bearer of news", "basic checks and the bearer of news"),
        ("Authorization: Token token=y_NbAkKc66ryYTWUXYEu", "Authorization: [redacted]"),
    ],
)
def test_redact(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "password=" * 10_000,
        "ek_live_" * 10_000,
        "://" * 30_000,
        "_secret" * 10_000,
        "a-" * 50_000,
        "a=" * 50_000,
        "-" * 50_000,
    ],
)
def test_redaction_takes_linear_time_on_hostile_text(text):
    assert grows_linearly(redact, text)


def test_unknown_level_and_form():
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud")
    with pytest.raises(ValueError, match="xml"):
        configure("INFO", "xml")
