"""What is remembered of a worker at one task type, what is known of one answer, and what is found odd: data of bounded
size. Kept by `book.py`, judged by `detect.py` and `review.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

KEPT = 50  # answers that are remembered of one worker, and times of one shard of the pool
RECENT = 10  # answers in which a run of odd ones is looked for
SHARDS = 8  # rows over which a task type's pool is spread, so that judges do not wait for each other
MOST_CHOICES = 64  # different choices that a pool counts; what is rarer goes under OTHER
OTHER = ""


class Signal(StrEnum):
    """What may be odd about one answer."""

    TOO_FAST = "too_fast"
    REPEATED = "repeated"  # nearly one of the same worker's last answers
    COPIED = "copied"  # nearly another worker's answer to the same task
    PROMPT = "prompt"  # nearly the question itself
    PASTED = "pasted"  # evidence only: good workers paste too


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What the form noticed, as it is declared to the worker; none of it is needed to answer. `pastes` and `pasted` count
    pastes and their characters, `blurs` how often the page was left, `keys` key presses, `typing_ms` the time between
    them. `id` is a digest of the browser's cookie."""

    pastes: int = 0
    pasted: int = 0
    blurs: int = 0
    keys: int = 0
    typing_ms: int = 0
    id: str | None = None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One answer with what was seen around it. `seconds` from accepting to answering, None when that is not known."""

    worker: str
    answer: Any
    seconds: float | None = None
    device: Device | None = None


class Memory(msgspec.Struct, kw_only=True):
    """One worker at one task type: the last `KEPT` answers. `log_seconds`, `texts` (simhashes, 0 for no text) and
    `choices` have one entry an answer, `odd` its signals; `likely` is, for each choice, how likely the others who had
    answered the same question, and everybody at others, made it."""

    answers: int = 0
    log_seconds: list[float] = []
    texts: list[int] = []
    choices: list[str] = []
    likely: list[float] = []
    odd: list[list[Signal]] = []


class Pool(msgspec.Struct, kw_only=True):
    """Everybody at one task type: times of the last answers, and how often each choice was made (halved now and then,
    so that it follows)."""

    log_seconds: list[float] = []
    choices: dict[str, float] = {}


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What the stage looks at: this answer, what is remembered, and the other answers to the task. `live` is False for
    simulated people, of whom nobody could look; `timed` when the seconds say nothing, as theirs. `marked` are the kinds of
    the worker's open marks, `shard` the part of the pool that this worker's answers go into."""

    given: Given
    memory: Memory
    pool: Pool
    others: list[Given] = []
    live: bool = True
    timed: bool = True
    marked: list[str] = []
    shard: Pool = msgspec.field(default_factory=Pool)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One odd thing about one answer, in words, with the numbers behind them."""

    signal: Signal
    words: str
    evidence: dict[str, Any]
