"""Who comes while a round goes on shares the next one; a round that fails is nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from core.routing.rounds import Rounds


class Place:
    """What rounds belong to, and those that have begun."""

    def __init__(self) -> None:
        self.rounds: Rounds[Place] = Rounds()
        self.begun: list[str] = []
        self.go_on = asyncio.Event()

    async def come(self, name: str, under: str = "test", *, fails: bool = False) -> str | None:
        async def act() -> str:
            self.begun.append(name)
            await self.go_on.wait()
            if fails:
                raise RuntimeError(name)
            return name

        return await self.rounds.joined(self, under, act)

    async def enter(self, name: str, under: str = "test", *, fails: bool = False) -> asyncio.Task[str | None]:
        coming = asyncio.create_task(self.come(name, under, fails=fails))
        await asyncio.sleep(0)
        return coming


async def test_all_who_come_meanwhile_share_the_next() -> None:
    place = Place()
    coming = [await place.enter(name) for name in "abcde"]
    assert place.begun == ["a"]  # which began before the others were there
    place.go_on.set()
    assert await asyncio.gather(*coming) == ["a", "b", None, None, None]
    assert place.begun == ["a", "b"]
    assert await place.come("f") == "f"  # with nobody at it, at once


async def test_another_name_is_another_round() -> None:
    place = Place()
    coming = [await place.enter("a", "test"), await place.enter("b", "live")]
    assert place.begun == ["a", "b"]
    place.go_on.set()
    assert await asyncio.gather(*coming) == ["a", "b"]


async def test_those_whose_round_failed_have_another() -> None:
    place = Place()
    coming = [await place.enter(name, fails=name in "ab") for name in "abcd"]
    place.go_on.set()
    told = await asyncio.gather(*coming, return_exceptions=True)
    assert [str(one) if isinstance(one, Exception) else one for one in told] == ["a", "b", "c", "d"]
    assert place.begun == ["a", "b", "c", "d"]


async def test_who_is_stopped_while_waiting_leaves_the_turn_to_the_others() -> None:
    place = Place()
    first, second, third = [await place.enter(name) for name in "abc"]
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    place.go_on.set()
    assert await asyncio.gather(first, third) == ["a", "c"]
