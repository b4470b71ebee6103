"""Whether something takes time in proportion to its input: for guards against patterns that explode. Counts the CPU time
of this thread, so that a busy machine changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable


def grows_linearly(work: Callable[[str], object], text: str) -> bool:
    """Four times the text may take eight times as long and a little; what is quadratic takes sixteen times."""
    small = min(_seconds(work, text[: len(text) // 4]) for _ in range(3))
    return _seconds(work, text) < 8 * small + 0.05


def _seconds(work: Callable[[str], object], text: str) -> float:
    begun = time.thread_time()
    work(text)
    return time.thread_time() - begun
