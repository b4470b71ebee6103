"""Who may take a task, of all in a directory: the rules of `core/routing/eligible.py` as operations on bitmaps, in the same
order, with how many fall at each. Pure. Asked by `select.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec
from pyroaring import BitMap

from core.routing.directory.bitmaps import Directory
from core.routing.eligible import Refusal
from core.routing.model import Question

NOBODY = BitMap()
_Keep = Callable[[Directory, Question, BitMap], BitMap]


class Able(msgspec.Struct, frozen=True):
    """Those of `some` but for `out`, who are all among them: `some` is large and kept ready, `out` is small, and to take it out
    would be to copy the large one."""

    some: BitMap
    out: BitMap

    def __len__(self) -> int:
        return len(self.some) - len(self.out)

    def each(self, first: int = 0) -> Iterator[int]:
        """From the rank `first` on."""
        some, out = self.some, self.out
        ranks = some.iter_equal_or_larger(first) if first else iter(some)
        return (rank for rank in ranks if rank not in out) if out else ranks

    def at(self, place: int) -> int:
        """The rank in that place. In `some` it stands so many places further on as are out up to there."""
        here, further = -1, place
        while further > here:
            here, further = further, place + self.out.rank(self.some[further])
        return self.some[here]


def able(
    directory: Directory,
    question: Question,
    now_ms: int,
    falls: dict[Refusal, int],
    waived: Refusal | None = None,
) -> Able:
    """All who may take it, but for what `_passing` looks at; `falls` is filled."""
    left, rules = directory.present, _RULES
    if waived is None:
        left, rules = _of_kind(directory, question, falls)
    for reason, keep in rules.items():
        if reason is not waived and left:
            kept = keep(directory, question, left)
            if kept is not left:
                fell = len(left) - len(kept)
                if fell:
                    falls[reason] = fell
                left = kept
    out = NOBODY
    for reason, refused in _OF_THE_MOMENT.items():
        some = refused(directory, question, now_ms)
        if some and reason is not waived:
            some = left & some
            if out:
                some = some - out
            if some:
                falls[reason] = len(some)
                out = some | out if out else some
    return Able(left, out)


def _of_kind(
    directory: Directory, question: Question, falls: dict[Refusal, int]
) -> tuple[BitMap, dict[Refusal, _Keep]]:
    """The rules about the kind of the task, whose sets are kept ready, and the rules that are left. That of the price is
    among them unless one that comes before it has something to say."""
    with_price = (
        question.language is None
        and question.experts_from is None
        and not question.allow_listed
        and question.organisation_id not in directory.block
    )
    tier, most = max(question.minimum_tier, 0), question.payout_msat if with_price else None
    key = (question.environment, question.skills, tier, most)
    counted = directory.counted.get(key)
    if counted is None:
        counted = directory.counted[key] = _counted(directory, *key)
    falls.update(counted[1])
    return counted[0], {} if with_price else _NOT_OF_THE_KIND


def _counted(
    directory: Directory, environment: str, skills: frozenset[str], tier: int, most: int | None
) -> tuple[BitMap, dict[Refusal, int]]:
    nobody = frozenset[str]()
    steps = [
        directory.present,
        directory.environment.get(environment, NOBODY),
        directory.there(environment, nobody, 0),
        directory.there(environment, skills, 0),
        directory.there(environment, skills, tier),
        directory.there(environment, skills, tier, most),
    ]
    return steps[-1], {
        reason: fell
        for reason, (before, after) in zip(_KIND, pairwise(steps), strict=True)
        if (fell := len(before) - len(after))
    }


def _environment(directory: Directory, question: Question, left: BitMap) -> BitMap:
    return left & directory.environment.get(question.environment, NOBODY)


def _available(directory: Directory, question: Question, left: BitMap) -> BitMap:
    return left & directory.available


def _skilled(directory: Directory, question: Question, left: BitMap) -> BitMap:
    for skill in question.skills:
        left = left & directory.skill.get(skill, NOBODY)
    return left


def _trusted(directory: Directory, question: Question, left: BitMap) -> BitMap:
    return left & directory.from_tier(question.minimum_tier) if question.minimum_tier > 0 else left


def _speaking(directory: Directory, question: Question, left: BitMap) -> BitMap:
    if question.language is None:
        return left
    return left & directory.language.get(question.language, NOBODY)


def _expert(directory: Directory, question: Question, left: BitMap) -> BitMap:
    if question.experts_from is None:
        return left
    return left & (directory.experts | directory.from_tier(question.experts_from))


def _allowed(directory: Directory, question: Question, left: BitMap) -> BitMap:
    if not question.allow_listed:
        return left
    return left & directory.allow.get(question.organisation_id, NOBODY)


def _not_blocked(directory: Directory, question: Question, left: BitMap) -> BitMap:
    blocked = directory.block.get(question.organisation_id)
    return left - blocked if blocked else left


def _affordable(directory: Directory, question: Question, left: BitMap) -> BitMap:
    return directory.affordable(left, question.payout_msat)


def _resting(directory: Directory, question: Question, now_ms: int) -> BitMap:
    cooling = directory.cooling
    return BitMap([rank for rank, until in cooling.items() if until > now_ms]) if cooling else NOBODY


def _busy(directory: Directory, question: Question, now_ms: int) -> BitMap:
    return directory.busy


def _had_it(directory: Directory, question: Question, now_ms: int) -> BitMap:
    ranks = [rank for one in question.had if (rank := directory.rank_of.get(one)) is not None]
    return BitMap(ranks) if ranks else NOBODY


def _of_their_cluster(directory: Directory, question: Question, now_ms: int) -> BitMap:
    if not question.clusters:
        return NOBODY
    return BitMap().union(*(directory.cluster.get(one, NOBODY) for one in question.clusters))


# All in the order of `core.routing.eligible.RULES`, whose last one `_passing` keeps. First who stays, then who goes.
_RULES: dict[Refusal, _Keep] = {
    Refusal.ENVIRONMENT: _environment,
    Refusal.UNAVAILABLE: _available,
    Refusal.SKILLS: _skilled,
    Refusal.TIER: _trusted,
    Refusal.LANGUAGE: _speaking,
    Refusal.EXPERTS: _expert,
    Refusal.NOT_ALLOWED: _allowed,
    Refusal.BLOCKED: _not_blocked,
    Refusal.PRICE: _affordable,
}
_OF_THE_MOMENT: dict[Refusal, Callable[[Directory, Question, int], BitMap]] = {
    Refusal.COOL_OFF: _resting,
    Refusal.CAPACITY: _busy,
    Refusal.HAD_IT: _had_it,
    Refusal.SAME_CLUSTER: _of_their_cluster,
}
_KIND = (Refusal.ENVIRONMENT, Refusal.UNAVAILABLE, Refusal.SKILLS, Refusal.TIER, Refusal.PRICE)
_NOT_OF_THE_KIND = {
    reason: keep for reason, keep in _RULES.items() if reason not in _KIND or reason is Refusal.PRICE
}
