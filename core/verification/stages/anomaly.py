"""Stage `anomaly`: how the answer came about. It refuses nothing: what is odd is written down, and what is odd beyond
doubt (a copy of another answer to this task, a run of answers that nobody could have read, an open mark against the
worker) makes it unsure, which the policy turns into another answer or a reviewer."""

from __future__ import annotations

from core.verification.anomaly.detect import found
from core.verification.anomaly.model import RECENT, Behaviour, Found, Signal
from core.verification.stage import Evidence, Outcome, Reason, Verdict

RUN = 4  # of the last ten
STRONG = frozenset({Signal.COPIED, Signal.PROMPT})
# What each sign takes off the score; they are not added up.
WEIGHT = {
    Signal.PASTED: 0.1,
    Signal.REPEATED: 0.3,
    Signal.TOO_FAST: 0.4,
    Signal.COPIED: 0.8,
    Signal.PROMPT: 0.8,
}
MARKED = 0.5


class AnomalyStage:
    name = "anomaly"

    def judge(self, evidence: Evidence) -> Verdict:
        """Passes without a word when nothing is known around the answer (a replay of an old one). In the test environment
        nobody is there who could look, and simulated people copy: it only writes down."""
        seen = evidence.behaviour
        if seen is None:
            return Verdict(stage=self.name, outcome=Outcome.PASS)
        odd = found(evidence.payload, seen)
        doubts = _doubts(seen, odd) if seen.live else []
        score = 1 - max([*(WEIGHT[one.signal] for one in odd), MARKED if seen.marked else 0.0, 0.0])
        return Verdict(
            stage=self.name,
            outcome=Outcome.UNSURE if doubts else Outcome.PASS,
            reasons=doubts,
            score=round(score, 3),
            evidence={
                "signs": {str(one.signal): {"words": one.words, **one.evidence} for one in odd},
                "marked": seen.marked,
                "seconds": seen.given.seconds,
            },
        )


def _doubts(seen: Behaviour, odd: list[Found]) -> list[Reason]:
    """Why somebody should look, in words that the worker may read: they name no other worker and no limit."""
    reasons: list[Reason] = []
    for one in odd:
        before = sum(one.signal in signs for signs in seen.memory.odd[-(RECENT - 1) :])
        if one.signal in STRONG or (one.signal is not Signal.PASTED and before + 1 >= RUN):
            reasons.append(Reason(code=f"anomaly_{one.signal}", message=_SAID[one.signal]))
    if seen.marked:
        reasons.append(
            Reason(code="anomaly_marked", message="Your recent answers are looked at more closely")
        )
    return reasons


_SAID = {
    Signal.TOO_FAST: "Several answers came faster than they can be read and typed",
    Signal.REPEATED: "The same text was given several times",
    Signal.COPIED: "The text is nearly that of another answer to this question",
    Signal.PROMPT: "The text is nearly that of the question itself",
}
