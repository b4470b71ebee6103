"""Group commit (`core/db/group_commit.py`) on real databases: who waits together is written together, in order; one
poisoned item leaves its neighbours alone; whoever goes away undoes nothing; a database that is away tells everybody."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from core import clock
from core.audit.tables import AuditEntry
from core.db.engine import Database
from core.db.group_commit import GroupCommit
from core.db.unit_of_work import UnitOfWork
from core.errors import Invalid, Unavailable
from core.intake.envelope import InboundDelivery
from hub.lanes import IntakeLane
from tests.wait import wait_until


class Lane:
    """A group commit that writes one audit entry for each item, and remembers its batches. The item `poison` breaks a
    constraint, `bad` is an ordinary bug, `refused` is refused alone. `gate` holds the writing back."""

    def __init__(self, work: UnitOfWork, batch: int = 200, lanes: int = 1):
        self.work = work
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.commit = GroupCommit(self._write, batch, lanes)

    async def _write(self, items: list[str]) -> list[str | Exception]:
        await self.gate.wait()
        self.batches.append(items)
        results: list[str | Exception] = []
        async with self.work.begin("test.batch") as tx:
            for item in items:
                if item == "bad":
                    raise KeyError(item)
                if item == "refused":
                    results.append(Invalid("refused", "not this one"))
                    continue
                action = None if item == "poison" else "test"
                tx.session.add(
                    AuditEntry(id=item, at=clock.now(), actor="test", action=action, subject=item, detail={})
                )
                results.append(f"wrote {item}")
        return results

    async def submit_all(self, *items: str) -> list[str | BaseException]:
        return await asyncio.gather(*(self.commit.submit(item) for item in items), return_exceptions=True)

    async def written(self) -> list[str]:
        async with self.work.read() as session:
            return sorted(await session.scalars(select(AuditEntry.id)))


@pytest.fixture
def lane(work: UnitOfWork) -> Lane:
    return Lane(work)


async def test_one_item_is_written_at_once(lane: Lane) -> None:
    assert await lane.commit.submit("a") == "wrote a"
    assert lane.batches == [["a"]]


async def test_who_waits_together_is_written_together_in_order(lane: Lane) -> None:
    items = [f"{number:03}" for number in range(50)]
    assert await lane.submit_all(*items) == [f"wrote {item}" for item in items]
    assert lane.batches == [items]
    assert await lane.written() == items


async def test_who_comes_meanwhile_is_in_the_next_batch(lane: Lane) -> None:
    lane.gate.clear()
    first = asyncio.create_task(lane.commit.submit("a"))
    await asyncio.sleep(0)  # the first batch is on its way
    await asyncio.sleep(0)
    rest = [asyncio.create_task(lane.commit.submit(item)) for item in ("b", "c", "d")]
    await asyncio.sleep(0)
    lane.gate.set()
    assert await asyncio.gather(first, *rest) == ["wrote a", "wrote b", "wrote c", "wrote d"]
    assert lane.batches == [["a"], ["b", "c", "d"]]


async def test_a_batch_is_bounded(work: UnitOfWork) -> None:
    lane = Lane(work, batch=3)
    assert await lane.submit_all(*"abcdefg") == [f"wrote {item}" for item in "abcdefg"]
    assert lane.batches == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


async def test_a_second_lane_goes_when_a_full_batch_waits(work: UnitOfWork) -> None:
    """Until then who comes waits for the first, so that they go together."""
    lane = Lane(work, batch=4, lanes=2)
    lane.gate.clear()
    waiting: list[asyncio.Task[str]] = []

    async def submit(items: str) -> int:
        waiting.extend(asyncio.create_task(lane.commit.submit(item)) for item in items)
        for _ in range(3):  # into the lane, and on its way
            await asyncio.sleep(0)
        return lane.commit.waiting

    assert await submit("a") == 0
    assert await submit("bcd") == 3
    assert await submit("e") == 0
    assert await submit("fghijk") == 6  # there is no third
    lane.gate.set()
    assert await asyncio.gather(*waiting) == [f"wrote {item}" for item in "abcdefghijk"]
    assert sorted(map(len, lane.batches)) == [1, 2, 4, 4]
    assert sorted(item for batch in lane.batches for item in batch) == list("abcdefghijk")
    assert await lane.commit.submit("l") == "wrote l"


async def test_an_item_that_is_refused_leaves_its_neighbours_alone(lane: Lane) -> None:
    first, second, third = await lane.submit_all("a", "refused", "c")
    assert (first, third) == ("wrote a", "wrote c")
    assert isinstance(second, Invalid)
    assert lane.batches == [["a", "refused", "c"]]
    assert await lane.written() == ["a", "c"]


@pytest.mark.parametrize(("item", "error"), [("poison", "IntegrityError"), ("bad", "KeyError")])
async def test_a_poisoned_item_leaves_its_neighbours_alone(lane: Lane, item: str, error: str) -> None:
    first, second, third = await lane.submit_all("a", item, "c")
    assert (first, third) == ("wrote a", "wrote c")
    assert type(second).__name__ == error
    assert lane.batches == [["a", item, "c"], ["a"], [item], ["c"]]
    assert await lane.written() == ["a", "c"]


async def test_the_lane_goes_on_after_a_poisoned_item(lane: Lane) -> None:
    await lane.submit_all("bad")
    assert await lane.commit.submit("a") == "wrote a"


async def test_whoever_goes_away_undoes_nothing(lane: Lane) -> None:
    lane.gate.clear()
    waiters = [asyncio.create_task(lane.commit.submit(item)) for item in ("a", "b", "c")]
    await asyncio.sleep(0)
    waiters[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiters[1]
    lane.gate.set()
    assert await waiters[0] == "wrote a"
    assert await waiters[2] == "wrote c"
    assert await lane.written() == ["a", "b", "c"]


async def test_whoever_goes_away_alone_is_written_all_the_same(lane: Lane) -> None:
    lane.gate.clear()
    waiter = asyncio.create_task(lane.commit.submit("a"))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    lane.gate.set()
    assert await wait_until(lane.written) == ["a"]


async def test_a_thousand_at_once_are_each_answered_once(lane: Lane) -> None:
    items = [f"{number:04}" for number in range(1000)]
    assert await lane.submit_all(*items) == [f"wrote {item}" for item in items]
    assert [item for batch in lane.batches for item in batch] == items
    assert len(lane.batches) == 5
    assert await lane.written() == items


async def test_a_database_that_is_away_tells_everybody() -> None:
    """On the lane that the web process uses; nobody listens on port 1."""
    database = Database("postgresql://nobody:nothing@127.0.0.1:1/none")
    lane = IntakeLane(UnitOfWork(database))
    deliveries = [
        InboundDelivery(delivery_id=str(number), event_type="test", body=b"{}", headers={}, verified_by=0)
        for number in range(5)
    ]
    answers = await asyncio.gather(
        *(lane.receive("oncall", [one]) for one in deliveries), return_exceptions=True
    )
    await database.close()
    assert [type(answer) for answer in answers] == [Unavailable] * 5
