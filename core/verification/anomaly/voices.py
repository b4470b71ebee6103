"""Which of several answers count as independent. Pure; asked by the fold before it weighs them, and by the benchmark."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.verification.anomaly.suspicion import MarkKind


def voices(doubts: Mapping[str, Collection[str]]) -> set[str]:
    """Of the workers who answered one task, those whose answers may vouch for each other. `doubts` is what is held against
    each (kinds of open marks, signs of this answer; empty for nothing). Who is doubted is judged by the others, paid when
    right, and vouches for nobody. Where everybody is doubted all count, but of those marked as a pair only one: what two
    agreed on beforehand is one answer."""
    clean = {worker for worker, kinds in doubts.items() if not kinds}
    if clean:
        return clean
    together = sorted(worker for worker, kinds in doubts.items() if MarkKind.PAIR in kinds)
    return set(doubts) - set(together[1:])
