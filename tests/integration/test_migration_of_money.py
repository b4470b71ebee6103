"""An installation with a payout in each state, its books as the version before two-phase transfers wrote them, is upgraded:
the books are right afterwards, and what was on its way settles, fails or is looked up by the present machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from core.db.engine import Database
from core.db.migrate import downgrade, upgrade
from core.db.unit_of_work import UnitOfWork
from core.ledger.seal import seal_all
from core.payouts.case import load
from tests.factories import balance, held
from tests.former_installation import (
    BEFORE,
    FEE,
    FEE_LIMIT,
    HOUR_S,
    MSAT,
    ON_THEIR_WAY,
    Former,
    Installation,
)
from tests.payout_lab import Lab


@pytest.fixture
async def former(database_url: str, tmp_path: Path) -> AsyncGenerator[Installation]:
    """A database at the revision before, with one organisation."""
    database = Database(database_url)
    await upgrade(database, BEFORE)
    installation = Installation(database, Lab(UnitOfWork(database), tmp_path))
    await installation.begin()
    yield installation
    await database.close()


async def upgraded(former: Installation) -> Lab:
    """Upgraded, sealed as `hub ledger check` does first, and with right books."""
    await upgrade(former.database)
    await seal_all(former.lab.work)
    await former.lab.assert_books()
    return former.lab


async def state_of(lab: Lab, payout: Former) -> tuple[str, str, int]:
    async with lab.work.read() as session:
        case = await load(session, payout.payout_id)
        return case.payout.state, case.sent.state, case.sent.number


@pytest.mark.parametrize("state", ON_THEIR_WAY)
async def test_the_first_payout_of_all_is_on_its_way(former: Installation, state: str) -> None:
    """Nothing has settled yet, so that the account of the network's fees was never opened."""
    payout = await former.payout(state, [state], paid=state != "ready")
    lab = await upgraded(former)
    assert await held(lab.work) == MSAT + FEE_LIMIT
    assert await balance(lab.work, f"{payout.worker_id}:payable") == 0  # all of it is held
    assert await balance(lab.work, "hub:live:clearing") == 0
    await (lab.pay() if state == "ready" else lab.check())
    assert await state_of(lab, payout) == ("settled", "settled", 1)
    assert lab.really_paid() == [1]
    assert await balance(lab.work, "rail:sandbox") == MSAT + FEE
    assert await balance(lab.work, "hub:live:network_fees") == -FEE
    assert await held(lab.work) == 0
    await lab.assert_books()


async def test_a_payout_in_each_state(former: Installation) -> None:
    """Beside one another, after failed attempts too, and in both environments."""
    owed = await former.payout("reserved")
    again = await former.payout("reserved", ["failed"])
    given_up = await former.payout("failed", ["failed"] * 5)
    settled = await former.payout("settled", ["failed", "settled"])
    ready = await former.payout("ready", ["failed", "ready"])
    sending = await former.payout("sending", ["sending"], paid=True)
    unknown = await former.payout("unknown", ["failed", "failed", "unknown"], paid=True)
    test = await former.payout("unknown", ["unknown"], environment="test", paid=True)
    lab = await upgraded(former)
    assert await held(lab.work) == 3 * (MSAT + FEE_LIMIT)
    assert await held(lab.work, "hub:test:clearing") == MSAT + FEE_LIMIT
    for _ in range(3):
        await lab.pay()
    await lab.check_all()
    await seal_all(lab.work)
    await lab.assert_books()
    for payout, number in ((again, 2), (settled, 2), (ready, 2), (sending, 1), (unknown, 3), (test, 1)):
        assert await state_of(lab, payout) == ("settled", "settled", number)
        assert await balance(lab.work, f"{payout.worker_id}:payable") == 0
    assert await state_of(lab, owed) == ("settled", "settled", 1)
    assert await state_of(lab, given_up) == ("failed", "failed", 5)
    assert await balance(lab.work, f"{given_up.worker_id}:payable") == MSAT
    assert lab.really_paid() == [1] * 7
    assert await balance(lab.work, "rail:sandbox") == 7 * (MSAT + FEE)
    assert await held(lab.work) == await held(lab.work, "hub:test:clearing") == 0


@pytest.mark.parametrize("state", ["sending", "unknown"])
async def test_what_never_left_fails_and_is_paid_anew(former: Installation, state: str) -> None:
    """The rail has never seen it and its invoice is long over: the money is the worker's, then a new invoice is paid."""
    payout = await former.payout(state, ["failed", state], sent_s_ago=48 * HOUR_S)
    lab = await upgraded(former)
    await lab.check()
    assert await state_of(lab, payout) == ("reserved", "failed", 2)
    assert await balance(lab.work, f"{payout.worker_id}:payable") == MSAT
    assert await held(lab.work) == 0
    await lab.assert_books()
    await lab.pay()
    assert await state_of(lab, payout) == ("settled", "settled", 3)
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def test_a_ready_payout_whose_invoice_ended_meanwhile(former: Installation) -> None:
    payout = await former.payout("ready", ["ready"], sent_s_ago=48 * HOUR_S)
    lab = await upgraded(former)
    await lab.pay()
    assert await state_of(lab, payout) == ("reserved", "failed", 1)
    await lab.pay()
    assert await state_of(lab, payout) == ("settled", "settled", 2)
    assert lab.really_paid() == [1]
    await lab.assert_books()


async def test_there_is_no_way_back_once_a_payout_was_held(former: Installation) -> None:
    """The former ledger would take a pend, and what resolves it, for two movements."""
    payout = await former.payout("ready", ["ready"])
    lab = await upgraded(former)
    await lab.pay()
    with pytest.raises(RuntimeError, match="no way back"):
        await downgrade(former.database, BEFORE)
    assert await state_of(lab, payout) == ("settled", "settled", 1)
    await lab.assert_books()
