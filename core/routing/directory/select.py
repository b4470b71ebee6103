"""Asks the directory who is looked at for a task: of all who may take it (`able.py`) the best by rank and some others, in
columns for the score. Pure. Called by `core/routing/shortlist.py`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, NamedTuple

from pyroaring import BitMap

from core.routing.directory.able import NOBODY, Able, able
from core.routing.directory.bitmaps import Directory, slowness
from core.routing.eligible import Refusal
from core.routing.lineup import Lineup
from core.routing.model import Question


class Selection(NamedTuple):
    """`people` are the best by rank and some drawn from the others; `able` is how many may take the task, `falls` how
    many of `total` fall at each rule, in the order of the rules. When nobody may, `without` says for each rule how many
    could if it alone were not there."""

    people: Lineup
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
    free = able(directory, question, now_ms, falls)
    order = _in_order(directory, free, question, seconds_left, most)
    late: dict[Refusal, int] = {}
    found = list(islice(_passing(directory, question, order, late, with_asked), most))
    for reason, count in late.items():
        falls[reason] = falls.get(reason, 0) + count
    without: dict[Refusal, int] = {}
    if not found:
        for reason in list(falls):
            count = len(able(directory, question, now_ms, {}, waived=reason))
            if count:
                without[reason] = count
    people = _lineup(directory, question, found, now_ms)
    return Selection(people, len(directory), len(free) - sum(late.values()), falls, without)


def _lineup(directory: Directory, question: Question, ranks: Sequence[int], now_ms: int) -> Lineup:
    """What a score reads of them, a column at a time."""
    if not ranks:
        return Lineup()
    known, of = directory.known.of(question.environment, question.task_type), _picking(ranks)
    asked, load, right = directory.asked, of(directory.load), of(directory.reliability)
    if asked:
        load = [held + asked[rank] for held, rank in zip(load, ranks, strict=True)]
    if known.right:
        right = [
            own if (at_type := known.at_type(rank, own)) is None else at_type
            for rank, own in zip(ranks, right, strict=True)
        ]
    return Lineup(
        worker_ids=directory.names(ranks),
        right=right,
        price_floor_msat=of(directory.price),
        load=load,
        usual_seconds=of(directory.usual_seconds),
        speeds=[known.speed(rank) for rank in ranks] if known.of_workers else [known.kind] * len(ranks),
        idle_seconds=[(now_ms - since) / 1000 for since in of(directory.idle_since)],
        offers_taken=of(directory.offers_taken),
        offers_missed=of(directory.offers_missed),
        answers=of(directory.answers),
    )


def _picking(ranks: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Takes those ranks out of a column."""
    if len(ranks) == 1:
        return lambda column: [column[ranks[0]]]
    return itemgetter(*ranks)


def count_free(directory: Directory, environment: str) -> int:
    """How many people of the environment have a hand free."""
    present = directory.environment.get(environment, NOBODY) & directory.available
    return len(present) - present.intersection_cardinality(directory.busy)


def feasible(directory: Directory, question: Question, now_ms: int) -> bool:
    """Whether anybody may take the task."""
    order = able(directory, question, now_ms, {}).each()
    return next(_passing(directory, question, order, {}), None) is not None


def _in_order(
    directory: Directory, free: Able, question: Question, seconds_left: float, most: int
) -> Iterator[int]:
    """Who is likely to be in time before who is not; of each the best by rank, but one of four candidates drawn from all
    the others by the task's name, so that nobody able is never looked at."""
    late = [some for at, some in directory.slow.items() if at > slowness(max(1, int(seconds_left)))]
    if not late:
        return _mixed(free, question.task_id, most)
    slow = free.some & BitMap().union(*late)
    return chain(
        _mixed(Able(free.some, free.out | slow), question.task_id, most),
        _mixed(Able(slow, free.out & slow), question.task_id, most),
    )


def _mixed(free: Able, task_id: str, most: int) -> Iterator[int]:
    count, order = len(free), free.each()
    if count <= most:
        return order
    first = most - most // 4
    at = first + zlib.crc32(task_id.encode()) % (count - first)
    drawn = list(islice(free.each(free.at(at)), most // 4))
    return chain(islice(order, first), drawn, (one for one in order if one not in drawn))


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
    full = _full(directory) if with_asked and directory.asked else ()
    if not addresses and not full:
        yield from order  # the bitmap of who is free has said the rest
        return
    for rank in order:
        if addresses and directory.address[rank] in addresses:
            falls[Refusal.SAME_ADDRESS] = falls.get(Refusal.SAME_ADDRESS, 0) + 1
        elif rank in full:
            falls[Refusal.CAPACITY] = falls.get(Refusal.CAPACITY, 0) + 1
        else:
            yield rank


def _full(directory: Directory) -> set[int]:
    """Whose hands are full with what this process is giving them at this moment."""
    load, capacity = directory.load, directory.capacity
    return {rank for rank, more in directory.asked.items() if load[rank] + more >= capacity[rank]}
