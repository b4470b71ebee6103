"""Looks at one answer: too fast for what it holds, a copy, a repetition, pasted. Pure; called by the stage. Sources of the
limits: robust z of log seconds and the floor of reading and typing, measured on 24,032 real assignments (below -2.5 only
.07 % of honest ones)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar, cast

from core.verification.anomaly.model import (
    KEPT,
    MOST_CHOICES,
    OTHER,
    Behaviour,
    Device,
    Found,
    Memory,
    Pool,
    Signal,
)
from core.verification.anomaly.statistics import robust
from core.verification.anomaly.text import choice, free_text, near, normalised, simhash

T = TypeVar("T")

FAST_Z = -2.5
LEAST_SPREAD = 0.25  # of log seconds; people are not more regular than that
ENOUGH_TIMES = 20  # before them the pool's pace is not known
READ_PER_SECOND = 25.0  # characters of the question
TYPE_SECONDS = 0.08  # a key
MOST_FLOOR = 60.0  # seconds: a long document is not read to the end for a short answer
TYPED_PER_SECOND = 15.0  # characters; faster was not typed
SHRINK = 2.0
_LONG = 200  # characters that nobody types without a key press


def found(payload: dict[str, Any], seen: Behaviour) -> list[Found]:
    """Everything odd, in a fixed order."""
    return [*_speed(payload, seen), *_copies(payload, seen), *_device(seen)]


def floor_seconds(payload: dict[str, Any], answer: Any, device: Device | None = None) -> float:
    """The least that an honest answer takes: half the time to read the question, or the time to type what was written (not
    what was pasted)."""
    reading = 0.5 * min(MOST_FLOOR, _characters(payload) / READ_PER_SECOND)
    written = len(free_text(answer)) - (device.pasted if device else 0)
    return max(reading, min(MOST_FLOOR, max(0, written) * TYPE_SECONDS * 0.5))


def _speed(payload: dict[str, Any], seen: Behaviour) -> Iterator[Found]:
    """Both must say so: the pace of this type of task, and what reading and typing take. The worker's own pace counts
    where it is known and slower than the others'."""
    seconds = seen.given.seconds
    if seconds is None or not seen.timed or len(seen.pool.log_seconds) < ENOUGH_TIMES:
        return
    times = seen.pool.log_seconds
    centre, spread = robust(times, least=LEAST_SPREAD)
    z = (math.log(max(seconds, 0.001)) - centre) / spread
    least = floor_seconds(payload, seen.given.answer, seen.given.device)
    if z < FAST_Z and seconds < least:
        yield Found(
            signal=Signal.TOO_FAST,
            words=f"answered in {seconds:.1f} s; reading and typing take at least {least:.0f} s, "
            f"and half of all need {math.exp(centre):.0f} s or more",
            evidence={
                "seconds": round(seconds, 3),
                "z": round(z, 2),
                "floor": round(least, 1),
                "times": len(times),
            },
        )


def _copies(payload: dict[str, Any], seen: Behaviour) -> Iterator[Found]:
    text = free_text(seen.given.answer)
    if not text:
        return
    own = simhash(text)
    again = sum(1 for before in seen.memory.texts if before and near(own, before))
    if again:
        yield Found(
            signal=Signal.REPEATED,
            words=f"nearly the same text as {again} of this worker's last {len(seen.memory.texts)} answers",
            evidence={"alike": again, "of": len(seen.memory.texts), "characters": len(text)},
        )
    theirs = [one.worker for one in seen.others if _same_text(own, text, one.answer)]
    if theirs:
        yield Found(
            signal=Signal.COPIED,
            words=f"nearly the same text as {len(theirs)} other answer to this task"
            if len(theirs) == 1
            else f"nearly the same text as {len(theirs)} other answers to this task",
            evidence={"workers": sorted(theirs)[:9], "characters": len(text)},
        )
    prompts = [normalised(part) for part in _texts_of(payload)]
    if any(near(own, simhash(part)) for part in prompts if len(part) >= len(text) // 2 and part):
        yield Found(
            signal=Signal.PROMPT,
            words="the question itself was given as the answer",
            evidence={"characters": len(text)},
        )


def _same_text(own: int, text: str, other: Any) -> bool:
    theirs = free_text(other)
    return bool(theirs) and (theirs == text or near(own, simhash(theirs)))


def _device(seen: Behaviour) -> Iterator[Found]:
    device, text = seen.given.device, free_text(seen.given.answer)
    if device is None or not text:
        return
    typed = max(0, len(text) - device.pasted)
    pace = typed * 1000 / device.typing_ms if device.typing_ms > 0 else 0.0
    untyped = len(text) >= _LONG and device.keys == 0
    if device.pasted >= len(text) // 2 or pace > TYPED_PER_SECOND or untyped:
        yield Found(
            signal=Signal.PASTED,
            words=f"{device.pasted} of {len(text)} characters were pasted, {device.keys} keys pressed, "
            f"the page left {device.blurs} times",
            evidence={
                "pasted": device.pasted,
                "keys": device.keys,
                "blurs": device.blurs,
                "pace": round(pace, 1),
            },
        )


def remembered(memory: Memory, seen: Behaviour, odd: list[Found]) -> Memory:
    """The memory with this answer in it."""
    text, seconds = free_text(seen.given.answer), seen.given.seconds
    chosen = choice(seen.given.answer)
    return Memory(
        answers=memory.answers + 1,
        log_seconds=_kept(memory.log_seconds, math.log(max(seconds, 0.001)) if seconds is not None else None),
        texts=_kept(memory.texts, simhash(text) if text else 0),
        choices=_kept(memory.choices, chosen),
        likely=_kept(memory.likely, None if chosen is None else likely(chosen, seen)),
        odd=_kept(memory.odd, [one.signal for one in odd]),
    )


def likely(chosen: str, seen: Behaviour) -> float:
    """How likely somebody was to choose this: the others at this question, shrunk by two answers of everybody's."""
    others = [choice(one.answer) for one in seen.others]
    return (others.count(chosen) + SHRINK * usual_share(seen.pool, chosen)) / (len(others) + SHRINK)


def usual_share(pool: Pool, chosen: str) -> float:
    """Everybody's share of this choice, with one imagined answer for each that is known."""
    return (pool.choices.get(chosen, 0.0) + 1) / (sum(pool.choices.values()) + max(2, len(pool.choices)))


def pooled(pool: Pool, seen: Behaviour) -> Pool:
    """The pool (one shard of it) with this answer in it. Choices forget by half when they reach 500."""
    seconds, chosen = seen.given.seconds, choice(seen.given.answer)
    times = list(pool.log_seconds)
    if seconds is not None and seen.timed:
        times = _kept(times, math.log(max(seconds, 0.001)))
    counts = dict(pool.choices)
    if chosen is not None:
        name = chosen if chosen in counts or len(counts) < MOST_CHOICES else OTHER
        counts[name] = counts.get(name, 0.0) + 1
        if sum(counts.values()) >= 500:
            counts = {key: value / 2 for key, value in counts.items() if value >= 1}
    return Pool(log_seconds=times, choices=counts)


def merged(shards: dict[str, Pool]) -> Pool:
    """Everybody at one task type."""
    times: list[float] = []
    choices: dict[str, float] = {}
    for _, shard in sorted(shards.items()):
        times += shard.log_seconds[-KEPT:]
        for name, count in shard.choices.items():
            kept = name if name in choices or len(choices) < MOST_CHOICES else OTHER
            choices[kept] = choices.get(kept, 0.0) + count
    return Pool(log_seconds=times, choices=choices)


def _kept(values: list[T], value: T | None) -> list[T]:
    return list(values) if value is None else [*values, value][-KEPT:]


def _characters(payload: dict[str, Any]) -> int:
    return sum(len(text) for text in _texts_of(payload))


def _texts_of(value: Any) -> Iterator[str]:
    stack: list[Any] = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            stack.extend(cast("dict[str, Any]", one).values())
        elif isinstance(one, list):
            stack.extend(cast("list[Any]", one))
