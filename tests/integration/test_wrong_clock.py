"""A machine whose clock is an hour off pays nobody and loses nothing: worker and operator read why, and the payout goes out
when the clock is right. On both databases, with the real sandbox."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core import clock
from core.db.unit_of_work import UnitOfWork
from core.outbox.rows import Lease
from core.payouts import actions, alarms, desk
from core.payouts.queries import payouts_of
from core.payouts.words import STUCK
from core.repairs.queries import still_open
from tests.factories import SAT, balance, held
from tests.payout_lab import Lab

HOUR_MS = 3_600_000
AMOUNT = 500 * SAT


class OffLab(Lab):
    """`ahead_ms`: by how much this machine's clock is ahead of the database's, as the payout machine reads both."""

    ahead_ms = 0

    async def run_pay(self, lease: Lease) -> None:
        off = msgspec.structs.replace(lease, until_ms=lease.until_ms - self.ahead_ms)
        await actions.pay(self.work, off, self.means, self.limits)

    async def watch_clocks(self) -> list[str]:
        async with self.work.begin("payouts.watch") as tx:
            await alarms.clocks(tx, clock.now_ms() + self.ahead_ms)
        async with self.work.read() as session:
            return [item.message for item in await still_open(session) if item.kind == "clock"]


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, -HOUR_MS], ids=["ahead", "behind"])
async def test_a_clock_an_hour_off(work: UnitOfWork, tmp_path: Path, ahead_ms: int) -> None:
    lab = OffLab(work, tmp_path)
    payout = await lab.earned()
    lab.ahead_ms = ahead_ms
    await lab.run_job()

    async with work.read() as session:
        [line] = (await payouts_of(session, payout.worker_id)).items
        trail = await desk.trail(session, payout.id)
    assert (line.words, line.note) == (
        STUCK,
        "Payouts wait until a clock of ours is set right; nothing is lost meanwhile",
    )
    assert trail.note is not None
    assert f"{ahead_ms // 1000:+d} s from the database's: set both by NTP" in trail.note
    [told] = await lab.watch_clocks()
    assert f"{ahead_ms // 1000:+d} s from the database's" in told
    assert (await lab.case(payout)).state == "reserved"
    assert await balance(work, f"{payout.worker_id}:payable") == AMOUNT
    assert (await held(work), lab.really_paid()) == (0, [])

    lab.ahead_ms = 0
    await lab.run_job()
    assert await lab.watch_clocks() == []
    assert (await lab.case(payout)).state == "settled"
    assert lab.really_paid() == [1]
    await lab.assert_books()
