"""How often a worker gets a question whose answer is known. Pure; asked by `gold.py` after each answer."""

from __future__ import annotations

import math

from core.verification.policy import Gold, Level

EARLY_RATE = 0.5
AFTER_ALARM_DAYS = 14


def rate(
    gold: Gold,
    level: Level,
    *,
    lower_bound: float,
    gold_seen: int,
    since_gold: int,
    alarmed: bool,
    marked: float = 0.0,
) -> float:
    """The chance that a worker's next turn is gold: `clip(highest * exp(-slope * (l - .5)), floor, highest)` with `l` the
    lower bound (5 %) of the chance that they are right. One half until they have seen `early` items of the type, 1 after
    `longest_gap` answers without any, the highest for two weeks after an alarm, and never less than
    `marked` (the policy's rate for a worker with an open mark, else 0)."""
    if since_gold >= gold.longest_gap:
        return 1.0
    if gold_seen < gold.early:
        return max(EARLY_RATE, marked)
    if alarmed:
        return max(gold.highest, marked)
    falling = gold.highest * math.exp(-gold.slope * (lower_bound - 0.5))
    return max(min(max(falling, level.gold_floor), gold.highest), marked)
