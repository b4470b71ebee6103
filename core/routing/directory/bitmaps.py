"""The workers in memory: a bitmap of ranks for everything that a task can ask for, and columns for what a score needs.
`follow.py` fills it and keeps it up to date; `able.py` and `select.py` ask it. Knows no database.

A rank is a worker's place in the order of reliability when the directory was built; who came later stands behind. A
stale rank changes only who is looked at first."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pyroaring import BitMap

from core.routing.directory.entry import Entry
from core.routing.directory.known import Known
from core.routing.directory.price import Prices, fine

_lists = msgspec.json.Decoder(list[str])
_words = msgspec.json.Decoder(list[tuple[str, str]])
_EMPTY = len("[]")
_Kind = tuple[str, frozenset[str], int, int | None]
_KEPT = 512  # sets of `there` that are kept: each takes 128 kB for a million workers at most
_PLACES = ("environment", "flag", "skill", "language", "tier", "price")


def slowness(seconds: int) -> int:
    """Buckets of `usual_seconds`: a quarter of a doubling each."""
    bits = seconds.bit_length()
    return seconds if bits < 3 else bits * 4 + (seconds >> (bits - 3)) - 4


def _places() -> dict[str, dict[Any, list[int]]]:
    return {name: defaultdict(list) for name in _PLACES}


class Directory:
    """Attributes are read by `able.py` and `select.py`; changed by `put`, `drop` and `loaded` alone. `moved` counts the changes that
    left somebody in a rank that is not theirs any more."""

    def __init__(self, kept: int = _KEPT) -> None:
        self.rank_of: dict[str, int] = {}
        self._ids: tuple[
            str, ...
        ] = ()  # of the building; the garbage collector walks through a list, not through this
        self._later: list[str] = []
        self.reliability = array("d")
        self.price = array("q")
        self.tier = array("B")
        self.capacity = array("H")
        self.load = array("H")
        self.idle_since = array("q")
        self.address = array("q")  # hashes: who shares one is looked at by the database
        self.usual_seconds = array("i")
        self.offers_taken = array("i")
        self.offers_missed = array("i")
        self.answers = array("i")
        self.present = BitMap()
        self.environment: dict[str, BitMap] = {}
        self.available = BitMap()
        self.busy = (
            BitMap()
        )  # few: to take them out of many is many times quicker than to cut those with all others
        self.experts = BitMap()
        self.skill: dict[str, BitMap] = {}
        self.language: dict[str, BitMap] = {}
        self.tier_from: list[BitMap] = [BitMap()]
        self.prices = Prices()
        self.allow: dict[str, BitMap] = {}
        self.block: dict[str, BitMap] = {}
        self.cluster: dict[str, BitMap] = {}
        self.slow: dict[int, BitMap] = {}
        self.cooling: dict[int, int] = {}
        self.asked: Counter[int] = Counter()  # claims of this process that the database has not answered yet
        self.known = Known()
        self.moved = 0
        # What `able.py` has counted of the kinds of tasks, until somebody is another: who is busy plays no part.
        self.counted: dict[_Kind, tuple[BitMap, dict[Any, int]]] = {}
        self._there: dict[_Kind, BitMap] = {}
        self._kept = kept
        self._places = _places()

    def __len__(self) -> int:
        return len(self.rank_of)

    def fill(self, entries: Iterable[Entry]) -> None:
        """Some of all workers, in the order of their ranks, into a directory that is being built; then `filled`."""
        places = self._places
        environment, flag, skill, language, tier, price = (places[name] for name in _PLACES)
        for entry in entries:
            rank = self._column(entry)
            environment[entry.environment].append(rank)
            if entry.available:
                flag["available"].append(rank)
            if entry.load >= entry.capacity:
                flag["busy"].append(rank)
            if entry.skills and len(entry.skills) > _EMPTY:
                for name in _lists.decode(entry.skills):
                    skill[name].append(rank)
            if len(entry.languages) > _EMPTY:
                for name in _lists.decode(entry.languages):
                    language[name].append(rank)
            tier[entry.tier].append(rank)
            price[fine(entry.price_floor_msat)].append(rank)
            self._rare(rank, entry)

    def filled(self) -> None:
        """The bitmaps from what `fill` has gathered."""
        places = self._places
        self._ids, self._later = (*self._ids, *self._later), []
        self.present = BitMap(range(len(self._ids)))
        self.environment = {str(name): BitMap(ranks) for name, ranks in places["environment"].items()}
        self.available = BitMap(places["flag"]["available"])
        self.busy = BitMap(places["flag"]["busy"])
        self.skill = {str(name): BitMap(ranks) for name, ranks in places["skill"].items()}
        self.language = {str(name): BitMap(ranks) for name, ranks in places["language"].items()}
        by_tier = {int(tier): BitMap(ranks) for tier, ranks in places["tier"].items()}
        for tier in range(max(by_tier, default=0) + 1):
            self._room_for(tier)
            self.tier_from[tier] = BitMap().union(*(some for at, some in by_tier.items() if at >= tier))
        self.prices.fill({int(number): ranks for number, ranks in places["price"].items()})
        self._places = _places()

    def put(self, entry: Entry) -> None:
        """A worker who is new or was changed."""
        rank = self.rank_of.get(entry.worker_id)
        self.counted.clear()
        if rank is None:
            rank = self._column(entry)
            self.moved += 1
        else:
            self.moved += entry.reliability != self.reliability[rank]
            self._forget(rank)
            self._column(entry, rank)
        self.present.add(rank)
        self.environment.setdefault(entry.environment, BitMap()).add(rank)
        if entry.available:
            self.available.add(rank)
        if entry.load >= entry.capacity:
            self.busy.add(rank)
        skills = _lists.decode(entry.skills or "[]")
        for skill in skills:
            self.skill.setdefault(skill, BitMap()).add(rank)
        if entry.available:
            for (environment, wanted, tier, most), some in self._there.items():
                if (
                    entry.environment == environment
                    and entry.tier >= tier
                    and wanted.issubset(skills)
                    and (most is None or entry.price_floor_msat <= most)
                ):
                    some.add(rank)
        for language in _lists.decode(entry.languages):
            self.language.setdefault(language, BitMap()).add(rank)
        self._room_for(entry.tier)
        for tier in range(entry.tier + 1):
            self.tier_from[tier].add(rank)
        self.prices.add(rank, entry.price_floor_msat)
        self._rare(rank, entry)

    def drop(self, worker_id: str) -> None:
        """A worker who is no more. Their rank stays empty."""
        rank = self.rank_of.get(worker_id)
        if rank is not None:
            self.counted.clear()
            self._forget(rank)
            del self.rank_of[worker_id]

    def loaded(
        self, worker_id: str, load: int, idle_since: int, taken: int, missed: int, answers: int
    ) -> None:
        """What routing itself counts of a worker has changed."""
        rank = self.rank_of.get(worker_id)
        if rank is None:
            return
        self.load[rank] = load
        self.idle_since[rank] = idle_since
        self.offers_taken[rank], self.offers_missed[rank], self.answers[rank] = taken, missed, answers
        (self.busy.discard if load < self.capacity[rank] else self.busy.add)(rank)

    def took(self, worker_id: str) -> None:
        """This process has just given them something: known here before the database's own note of it comes round."""
        rank = self.rank_of.get(worker_id)
        if rank is not None:
            self.load[rank] = min(self.load[rank] + 1, self.capacity[rank])
            if self.load[rank] >= self.capacity[rank]:
                self.busy.add(rank)

    def rest(self, now_ms: int) -> None:
        """Whose cool-off is over is asked again."""
        for rank in [rank for rank, until in self.cooling.items() if until <= now_ms]:
            del self.cooling[rank]

    def name(self, rank: int) -> str:
        """The worker's id."""
        built = len(self._ids)
        return self._ids[rank] if rank < built else self._later[rank - built]

    def names(self, ranks: Sequence[int]) -> list[str]:
        """The workers' ids."""
        ids, built = self._ids, len(self._ids)
        return [ids[rank] if rank < built else self._later[rank - built] for rank in ranks]

    def there(
        self, environment: str, skills: frozenset[str], tier: int, most_msat: int | None = None
    ) -> BitMap:
        """Who is available there, has those skills and that trust and works for that payout: what a kind of task asks for,
        which the next of the kind asks again. Kept for those that were asked for lately, and up to date."""
        key = (environment, skills, tier, most_msat)
        found = self._there.pop(key, None)
        if found is None:
            if most_msat is not None:
                found = self.affordable(self.there(environment, skills, tier), most_msat)
            elif tier:
                found = self.there(environment, skills, 0) & self.from_tier(tier)
            elif skills:
                found = self.there(environment, frozenset(), 0)
                for skill in skills:
                    found = found & self.skill.get(skill, BitMap())
            else:
                found = self.environment.get(environment, BitMap()) & self.available
            if len(self._there) >= self._kept:
                del self._there[next(iter(self._there))]
                self.counted.clear()
        self._there[key] = found
        return found

    def affordable(self, some: BitMap, most_msat: int) -> BitMap:
        """Those of them who ask no more than that."""
        left, edge, price = some & self.prices.within(most_msat), self.prices.edge(most_msat), self.price
        dear = [rank for rank in left & edge if price[rank] > most_msat] if edge else None
        return left - BitMap(dear) if dear else left

    def from_tier(self, tier: int) -> BitMap:
        """All of that trust or more."""
        return self.tier_from[tier] if tier < len(self.tier_from) else BitMap()

    def _column(self, entry: Entry, rank: int | None = None) -> int:
        address = 0 if entry.payout_address is None else hash(entry.payout_address)
        values: list[tuple[Any, Any]] = [
            (self.reliability, entry.reliability),
            (self.price, entry.price_floor_msat),
            (self.tier, entry.tier),
            (self.capacity, entry.capacity),
            (self.load, entry.load),
            (self.idle_since, entry.idle_since),
            (self.address, address),
            (self.usual_seconds, entry.usual_seconds or 0),
            (self.offers_taken, entry.offers_taken),
            (self.offers_missed, entry.offers_missed),
            (self.answers, entry.answers),
        ]
        if rank is None:
            rank = len(self.reliability)
            self._later.append(entry.worker_id)
            self.rank_of[entry.worker_id] = rank
            for column, value in values:
                column.append(value)
        else:
            for column, value in values:
                column[rank] = value
        return rank

    def _rare(self, rank: int, entry: Entry) -> None:
        if entry.expert:
            self.experts.add(rank)
        if entry.cluster_id is not None:
            self.cluster.setdefault(entry.cluster_id, BitMap()).add(rank)
        if entry.usual_seconds:
            self.slow.setdefault(slowness(entry.usual_seconds), BitMap()).add(rank)
        if entry.cool_off_until is not None:
            self.cooling[rank] = entry.cool_off_until
        if entry.words and len(entry.words) > 2:
            for organisation, word in _words.decode(entry.words):
                (self.allow if word == "allow" else self.block).setdefault(organisation, BitMap()).add(rank)

    def _room_for(self, tier: int) -> None:
        while len(self.tier_from) <= tier:
            self.tier_from.append(BitMap())

    def _forget(self, rank: int) -> None:
        for some in (
            self.present, *self.environment.values(), self.available, self.busy, self.experts, *self.skill.values(),
            *self.language.values(), *self.tier_from, *self.cluster.values(), *self.slow.values(), *self._there.values(),
        ):  # fmt: skip
            some.discard(rank)
        for lists in (self.allow, self.block):
            for organisation in [name for name, some in lists.items() if rank in some]:
                lists[organisation].discard(rank)
                if not lists[organisation]:
                    del lists[organisation]
        self.prices.discard(rank, self.price[rank])
        self.cooling.pop(rank, None)
