"""Who is odd over many answers: p-values for each worker, and which of them may be called found. Pure; called by
`review.py` with what is remembered and what the workers' records say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from core.verification.anomaly.detect import usual_share
from core.verification.anomaly.model import RECENT, Memory, Pool, Signal
from core.verification.anomaly.statistics import binomial_tail, cauchy, discovered, poisson_binomial_tail
from core.workers.reliability import beta_share

FALSE_SHARE = 0.05  # of the workers whom a day's soft actions meet
SHOWN_P = 0.01  # a mark is opened for what says so by itself, once the worker is found
CONSTANT_P = 1e-6  # a mark of one choice: a few questions in a row may well have one answer
LEAST_CHOICES = 15
ONE_CHOICE = (
    0.9  # of the other choices that the questions ask for are not made; who leans to one choice makes some
)
COMMON_CHOICE = 0.05  # share from which a choice counts among those that a guess is made of
LEAST_WEIGHT = 13.0  # of right and wrong, before a lack of skill is spoken of
CROWD = 3.0  # answers like everybody's that a worker is imagined to have given: a few bad ones at the start are no proof
SKILL_P = 0.07  # chance of the least skill, below which somebody is marked for the lack of it
LEAST_ACCUSED, MANY = 4, 0.25  # so many, and this share of all, before they may be acquitted together
LEAST_GOLD = 8  # answers of the accused together, before gold speaks for them
KAPPA = 0.35  # less than this share of the way from chance to always right is no skill,
UPPER = 0.25
MISTAKEN = (
    0.05  # chance that the accused are no better than `least_accuracy`, below which gold acquits them all
)
USUAL_KAPPA = 0.8  # nor what is not even this share of the way from chance to what is usual at the task type
# How often an honest worker's answer is so, generously; measured .0007 for too fast.
USUAL_SHARE = {Signal.TOO_FAST: 0.01, Signal.REPEATED: 0.08, Signal.COPIED: 0.005, Signal.PROMPT: 0.005}


class MarkKind(StrEnum):
    """What a mark says. None of them refuses an answer by itself."""

    FAST = "fast"  # a run of answers that nobody could have read and typed
    REPEATS = "repeats"  # the same text again and again
    COPIES = "copies"  # other people's text, or the question's
    CONSTANT = "constant"  # one choice, whatever was asked
    UNSKILLED = "unskilled"  # hardly better than chance, by gold and consensus
    TURNED = "turned"  # was good, and is not any more (CUSUM)
    PAIR = "pair"  # agrees with somebody more than the questions explain
    SHARED = "shared"  # a payout address or a device that somebody else has as well


POSTERIOR = frozenset(
    {MarkKind.UNSKILLED}
)  # its p is a posterior, which stays one however often it is asked for
BY_OPINION = frozenset({MarkKind.UNSKILLED, MarkKind.TURNED})  # rest on what the others answered


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in words, with its p-value and the numbers behind it."""

    kind: MarkKind
    p: float
    words: str
    evidence: dict[str, Any]


def of_memory(memory: Memory, pool: Pool) -> list[Suspicion]:
    """From what one worker did at one task type."""
    return [one for one in (_fast(memory), *_texts(memory), _constant(memory, pool)) if one is not None]


def of_skill(good: float, bad: float, classes: int = 2, usual: float = 1.0) -> Suspicion | None:
    """From soft counts of right and wrong: the chance that this worker has the least skill. `usual` is the accuracy of
    everybody at the task type: where the questions are hard, less is asked."""
    if good + bad < LEAST_WEIGHT:
        return None
    chance, least = 1 / max(2, classes), least_accuracy(classes, usual)
    p = 1 - beta_share(least, 1 + CROWD * usual + good, 1 + CROWD * (1 - usual) + bad)
    return Suspicion(
        kind=MarkKind.UNSKILLED,
        p=p,
        words=f"right in {good:.0f} of {good + bad:.0f} known answers; by chance it would be {chance:.0%}",
        evidence={"right": round(good, 2), "of": round(good + bad, 2), "chance": round(chance, 3)},
    )


def least_accuracy(classes: int, usual: float) -> float:
    """Below it there is no skill."""
    chance = 1 / max(2, classes)
    return chance + min(KAPPA * (1 - chance), USUAL_KAPPA * max(0.0, usual - chance))


def borne_out(
    reasons: Mapping[str, list[Suspicion]], gold: Mapping[str, tuple[float, float]], least: float
) -> dict[str, list[Suspicion]]:
    """Without what rests on the others' opinion where gold shows that the others are mistaken. A consensus that has turned
    over (each bad answer vouching for the next) accuses the good workers one and all, a quarter of everybody at least; `gold`
    (right, seen) of the accused together, surely above `least`, says so, and then nobody of them is marked for it. A few
    accused are not acquitted so: who turned bad has good gold of before."""
    accused = [
        worker
        for worker, said in sorted(reasons.items())
        if any(one.kind in BY_OPINION and one.p < _limit(one.kind) for one in said)
    ]
    right = sum(gold.get(worker, (0.0, 0.0))[0] for worker in accused)
    seen = sum(gold.get(worker, (0.0, 0.0))[1] for worker in accused)
    few = len(accused) < max(LEAST_ACCUSED, MANY * len(reasons))
    if few or seen < LEAST_GOLD or beta_share(least, 1 + right, 1 + seen - right) > MISTAKEN:
        return dict(reasons)
    return {
        worker: [one for one in said if one.kind not in BY_OPINION] if worker in accused else said
        for worker, said in reasons.items()
    }


def classes_of(pool: Pool) -> int:
    """How many different answers a guess would be among: the choices that at least one in twenty makes, two at least."""
    total = sum(pool.choices.values())
    common = sum(count >= COMMON_CHOICE * total for count in pool.choices.values())
    return max(2, common)


def usual_accuracy(records: Iterable[tuple[float, float]]) -> float:
    """What is usual at a task type, from (right, all) of each worker: the accuracy that a quarter of the evidence is above,
    each worker's shrunk by two answers of three in four. Not the mean: those who do not do the work would lower what is
    asked of them. 1 for nobody."""
    ranked = sorted(((right + 1.5) / (weight + 2), weight) for right, weight in records if weight > 0)
    left = UPPER * sum(weight for _, weight in ranked)
    for accuracy, weight in reversed(ranked):
        left -= weight
        if left <= 0:
            return accuracy
    return 1.0


def found(workers: Mapping[str, list[Suspicion]]) -> dict[str, list[Suspicion]]:
    """The workers who may be called found (Benjamini-Hochberg at 5 % over all of them, each with the Cauchy combination
    of their p-values), with the reasons that hold by themselves."""
    tested = {
        worker: [one.p for one in said if one.kind not in POSTERIOR] for worker, said in workers.items()
    }
    names = discovered({worker: cauchy(p) for worker, p in tested.items() if p}, FALSE_SHARE)
    shown = {
        worker: [
            one for one in said if one.p < _limit(one.kind) and (one.kind in POSTERIOR or worker in names)
        ]
        for worker, said in sorted(workers.items())
    }
    return {worker: reasons for worker, reasons in shown.items() if reasons}


def _limit(kind: MarkKind) -> float:
    return {MarkKind.CONSTANT: CONSTANT_P, MarkKind.UNSKILLED: SKILL_P}.get(kind, SHOWN_P)


def _fast(memory: Memory) -> Suspicion | None:
    return _run(memory, Signal.TOO_FAST, MarkKind.FAST, "answered faster than anybody can read and type")


def _texts(memory: Memory) -> list[Suspicion | None]:
    return [
        _run(memory, Signal.REPEATED, MarkKind.REPEATS, "gave a text that they had given before"),
        _run(memory, Signal.COPIED, MarkKind.COPIES, "gave another worker's text"),
        _run(memory, Signal.PROMPT, MarkKind.COPIES, "gave the question as the answer"),
    ]


def _run(memory: Memory, signal: Signal, kind: MarkKind, what: str) -> Suspicion | None:
    """One odd answer is a sign, a run is an alarm: the last ten, or all that are remembered, whichever says more."""
    best: Suspicion | None = None
    for odd in (memory.odd[-RECENT:], memory.odd):
        times = sum(signal in one for one in odd)
        if not times:
            continue
        p = min(1.0, 2 * binomial_tail(times, len(odd), USUAL_SHARE[signal]))
        if best is None or p < best.p:
            words = f"{times} of the last {len(odd)} answers: {what}"
            best = Suspicion(kind=kind, p=p, words=words, evidence={"times": times, "of": len(odd)})
    return best


def _constant(memory: Memory, pool: Pool) -> Suspicion | None:
    """How often the commonest choice was made, against how likely it was at the same questions, for each choice that it
    might have been. Against everybody's share alone, a row of questions with one right answer would accuse the diligent."""
    n = len(memory.choices)
    if n < LEAST_CHOICES or sum(pool.choices.values()) < LEAST_CHOICES:
        return None
    [(chosen, times)] = Counter(memory.choices).most_common(1)
    usual = usual_share(pool, chosen)
    chances = [
        min(0.98, likely if made == chosen else usual)
        for made, likely in zip(memory.choices, memory.likely, strict=True)
    ]
    if times - sum(chances) < ONE_CHOICE * (n - sum(chances)):
        return None
    return Suspicion(
        kind=MarkKind.CONSTANT,
        p=min(1.0, max(2, len(pool.choices)) * poisson_binomial_tail(times, chances)),
        words=f"the same choice in {times} of {n} answers; the questions explain {sum(chances):.0f}",
        evidence={"times": times, "of": n, "explained": round(sum(chances), 1)},
    )
