"""Asks the directory who may take a task: the rules of `core/routing/eligible.py` as intersections of bitmaps, in the same
order, with how many fall at each. Pure. Called by `core/routing/shortlist.py`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from pyroaring import BitMap

from core.routing.directory.bitmaps import Directory, slowness
from core.routing.eligible import Refusal
from core.routing.model import Question
from core.routing.score import Row

_NOBODY = BitMap()
_Keep = Callable[[Directory, Question, int, BitMap], BitMap]


class Selection(NamedTuple):
    """`rows` are the best by rank and some drawn from the others; `able` is how many may take the task, `falls` how
    many of `total` fall at each rule, in the order of the rules. When nobody may, `without` says for each rule how many
    could if it alone were not there."""

    rows: list[Row]
    total: int
    able: int
    falls: dict[Refusal, int]
    without: dict[Refusal, int]


def select(
    directory: Directory,
    question: Question,
    now_ms: int,
    seconds_left: float,
    most: int,
    *,
    with_asked: bool = True,
) -> Selection:
    """At most `most` candidates. `with_asked`: a worker to whom this process is just giving something counts as loaded with
    it."""
    falls: dict[Refusal, int] = {}
    able = _able(directory, question, now_ms, falls)
    order = _in_order(directory, able, question, seconds_left, most)
    late: dict[Refusal, int] = {}
    found = list(islice(_passing(directory, question, order, late, with_asked), most))
    for reason, count in late.items():
        falls[reason] = falls.get(reason, 0) + count
    without: dict[Refusal, int] = {}
    if not found:
        for reason in list(falls):
            count = len(_able(directory, question, now_ms, {}, waived=reason))
            if count:
                without[reason] = count
    rows = _rows(directory, question, found, now_ms)
    return Selection(rows, len(directory), len(able) - sum(late.values()), falls, without)


def _rows(directory: Directory, question: Question, ranks: Sequence[int], now_ms: int) -> list[Row]:
    """What a score reads of them. A column at a time, because sixty are read for each offer."""
    if not ranks:
        return []
    known = directory.known.of(question.environment, question.task_type)
    asked, load, right = directory.asked, _of(directory.load, ranks), _of(directory.reliability, ranks)
    if asked:
        load = [held + asked[rank] for held, rank in zip(load, ranks, strict=True)]
    if known.of_workers:
        predictions = [known.prediction(rank) for rank in ranks]
    else:
        predictions = [known.kind] * len(ranks)
    if known.right:
        right = [
            own if (at_type := known.at_type(rank, own)) is None else at_type
            for rank, own in zip(ranks, right, strict=True)
        ]
    return list(
        zip(  # tuples in the order of a `Row`, which would take as long to make as all of this
            directory.names(ranks),
            right,
            _of(directory.price, ranks),
            load,
            _of(directory.usual_seconds, ranks),
            predictions,
            [(now_ms - since) / 1000 for since in _of(directory.idle_since, ranks)],
            _of(directory.offers_taken, ranks),
            _of(directory.offers_missed, ranks),
            _of(directory.answers, ranks),
            strict=True,
        )
    )


def _of(column: Sequence[Any], ranks: Sequence[int]) -> Sequence[Any]:
    return itemgetter(*ranks)(column) if len(ranks) > 1 else [column[ranks[0]]]


def count_free(directory: Directory, environment: str) -> int:
    """How many people of the environment have a hand free."""
    present = directory.environment.get(environment, _NOBODY) & directory.available
    return present.intersection_cardinality(directory.free)


def feasible(directory: Directory, question: Question, now_ms: int) -> bool:
    """Whether anybody may take the task."""
    order = iter(_able(directory, question, now_ms, {}))
    return next(_passing(directory, question, order, {}), None) is not None


def _able(
    directory: Directory,
    question: Question,
    now_ms: int,
    falls: dict[Refusal, int],
    waived: Refusal | None = None,
) -> BitMap:
    """All who may take it, but for what `_passing` looks at; `falls` is filled. A new set each time: to intersect in place
    is to copy the first one, and takes longer. A rule that has nothing to say gives back what it was given."""
    left, rules = directory.present, _RULES
    if waived is None:
        left, rules = _of_kind(directory, question, falls)
    before = len(left)
    for reason, keep in rules.items():
        if reason is not waived and before:
            left = keep(directory, question, now_ms, left)
            after = len(left)
            if after < before:
                falls[reason] = before - after
            before = after
    return left


def _of_kind(
    directory: Directory, question: Question, falls: dict[Refusal, int]
) -> tuple[BitMap, dict[Refusal, _Keep]]:
    """The rules about the kind of the task, whose sets are kept ready, and the rules that are left. That of the price is
    among them unless one that comes before it has something to say."""
    environment, skills, tier = question.environment, question.skills, max(question.minimum_tier, 0)
    left = directory.there(environment, skills, tier)
    steps = [
        len(directory.present),
        len(directory.environment.get(environment, _NOBODY)),
        len(directory.there(environment, frozenset(), 0)),
        len(directory.there(environment, skills, 0)),
        len(left),
    ]
    named, rules = _KIND, _OF_THE_MOMENT
    if (
        question.language is None
        and question.experts_from is None
        and not question.allow_listed
        and question.organisation_id not in directory.block
    ):
        left = directory.there(environment, skills, tier, question.payout_msat)
        steps.append(len(left))
        named, rules = (*_KIND, Refusal.PRICE), _AFTER_THE_PRICE
    for reason, (before, after) in zip(named, pairwise(steps), strict=True):
        if after < before:
            falls[reason] = before - after
    return left, rules


def _environment(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    return left & directory.environment.get(question.environment, _NOBODY)


def _available(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    return left & directory.available


def _skilled(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    for skill in question.skills:
        left = left & directory.skill.get(skill, _NOBODY)
    return left


def _trusted(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    return left & directory.from_tier(question.minimum_tier) if question.minimum_tier > 0 else left


def _speaking(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    if question.language is None:
        return left
    return left & directory.language.get(question.language, _NOBODY)


def _expert(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    if question.experts_from is None:
        return left
    return left & (directory.experts | directory.from_tier(question.experts_from))


def _allowed(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    if not question.allow_listed:
        return left
    return left & directory.allow.get(question.organisation_id, _NOBODY)


def _not_blocked(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    blocked = directory.block.get(question.organisation_id)
    return left - blocked if blocked else left


def _affordable(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    return directory.affordable(left, question.payout_msat)


def _rested(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    if not directory.cooling:
        return left
    return left - BitMap([rank for rank, until in directory.cooling.items() if until > now_ms])


def _with_a_hand_free(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    return left & directory.free


def _new_to_it(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    ranks = [rank for one in question.had if (rank := directory.rank_of.get(one)) is not None]
    return left - BitMap(ranks) if ranks else left


def _of_another_cluster(directory: Directory, question: Question, now_ms: int, left: BitMap) -> BitMap:
    for cluster in question.clusters:
        left = left - directory.cluster.get(cluster, _NOBODY)
    return left


# In the order of `core.routing.eligible.RULES`, whose last one `_passing` keeps.
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
    Refusal.COOL_OFF: _rested,
    Refusal.CAPACITY: _with_a_hand_free,
    Refusal.HAD_IT: _new_to_it,
    Refusal.SAME_CLUSTER: _of_another_cluster,
}
_KIND = (Refusal.ENVIRONMENT, Refusal.UNAVAILABLE, Refusal.SKILLS, Refusal.TIER)
_OF_THE_MOMENT = {reason: keep for reason, keep in _RULES.items() if reason not in _KIND}
_AFTER_THE_PRICE = dict(islice(_RULES.items(), list(_RULES).index(Refusal.PRICE) + 1, None))


def _in_order(
    directory: Directory, able: BitMap, question: Question, seconds_left: float, most: int
) -> Iterator[int]:
    """Who is likely to be in time before who is not; of each the best by rank, but one of four candidates drawn from all
    the others by the task's name, so that nobody able is never looked at."""
    late = [some for at, some in directory.slow.items() if at > slowness(max(1, int(seconds_left)))]
    if not late:
        return _mixed(able, question.task_id, most)
    slow = BitMap().union(*late)
    return chain(_mixed(able - slow, question.task_id, most), _mixed(able & slow, question.task_id, most))


def _mixed(some: BitMap, task_id: str, most: int) -> Iterator[int]:
    count = len(some)
    if count <= most:
        return iter(some)
    first = most - most // 4
    at = first + zlib.crc32(task_id.encode()) % (count - first)
    drawn = some[at : at + most // 4]
    return chain(islice(some, first), drawn, (one for one in islice(some, first, None) if one not in drawn))


def _passing(
    directory: Directory,
    question: Question,
    order: Iterable[int],
    falls: dict[Refusal, int],
    with_asked: bool = True,
) -> Iterator[int]:
    """What is looked at one by one: whose payout address somebody had who had the task, and who is being given something
    by this very process."""
    addresses = {hash(address) for address in question.addresses}
    if not addresses and not (with_asked and directory.asked):
        yield from order  # the bitmap of who is free has said the rest
        return
    for rank in order:
        if addresses and directory.address[rank] in addresses:
            falls[Refusal.SAME_ADDRESS] = falls.get(Refusal.SAME_ADDRESS, 0) + 1
        elif with_asked and directory.asked[rank] + directory.load[rank] >= directory.capacity[rank]:
            falls[Refusal.CAPACITY] = falls.get(Refusal.CAPACITY, 0) + 1
        else:
            yield rank
