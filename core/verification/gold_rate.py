"""How often a worker gets a question whose answer is known, and the dice. Pure; asked by `gold.py` after each answer, and
again by `replay.py`."""

from __future__ import annotations

import hashlib
import math

import msgspec

from core.verification.policy import Gold, Level

EARLY_RATE = 0.75  # not 1: nobody shall know that the next one is gold
MOST_OPTIONS = 6  # of which each has its own early items
AFTER_ALARM_DAYS = 14
MILLION = 1_000_000
JITTER_MS = 20_000


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """One throw for one answer: `chance` and `number` are of a million, and `gold` when the number is below. `delay_ms`: how
    much later the turn is offered; `pick` chooses among the items that fit."""

    chance: int
    number: int
    delay_ms: int
    pick: int

    @property
    def gold(self) -> bool:
        return self.number < self.chance


def thrown(seed: str, chance: float) -> Draw:
    """The same for the same seed. The seed is the id of the answer's run: 62 random bits that no worker is shown, so that
    nobody can tell what is drawn, and every draw can be made again."""
    digits = hashlib.sha256(f"gold:{seed}".encode()).digest()
    parts = [int.from_bytes(digits[start : start + 8], "big") for start in (0, 8, 16)]
    return Draw(
        chance=round(chance * MILLION),
        number=parts[0] % MILLION,
        delay_ms=parts[1] % JITTER_MS,
        pick=parts[2],
    )


def rate(
    gold: Gold,
    level: Level,
    *,
    lower_bound: float,
    gold_seen: int,
    since_gold: int,
    alarmed: bool,
    marked: float = 0.0,
    options: int = 2,
) -> float:
    """The chance that a worker's next turn is gold: `clip(highest * exp(-slope * (l - .5)), floor, highest)` with `l` the
    lower bound (5 %) of the chance that they are right. Three quarters until they have seen `early` items for each of the
    `options` of the type's widest choice (two at least, six at most): the first items are worth most, for every later answer
    is weighed by them. 1 after `longest_gap` answers without any, the highest for two weeks after an alarm, and never less than
    `marked` (the policy's rate for a worker with an open mark, else 0)."""
    if since_gold >= gold.longest_gap:
        return 1.0
    if gold_seen < gold.early * min(MOST_OPTIONS, max(2, options)):
        return max(EARLY_RATE, marked)
    if alarmed:
        return max(gold.highest, marked)
    falling = gold.highest * math.exp(-gold.slope * (lower_bound - 0.5))
    return max(min(max(falling, level.gold_floor), gold.highest), marked)
