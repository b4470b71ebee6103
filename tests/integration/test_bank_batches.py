"""Payments that people send to a bank, on both databases: frozen by one person, confirmed by another, and ended by what the
bank answers alone. Never in two files, never to an account that was taken away."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from connectors.rails.bank import BankOptions, BankRail
from core.bank import actions, queries
from core.bank.answers import import_answers
from core.bank.details import Typed
from core.bank.tables import BankBatch
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.payouts.address import remove_bank_account, set_bank_account
from core.payouts.prepare import Means
from core.payouts.rail import BankKind
from core.payouts.tables import Payout
from core.payouts.target import Dollars
from core.rates.model import fixed
from core.secret import Secret
from tests.factories import balance, held
from tests.payout_lab import Lab

ANA, BEN = "person:per_ana", "person:per_ben"
RATE = fixed("100000", date(2026, 11, 24))  # a dollar is 1,000 sat
ACCOUNT = Typed(
    kind=BankKind.ACH,
    holder="Ana Smith",
    account_number=Secret("000123456789"),
    routing_number="021000021",
    account_type="CHECKING",
)
OTHER = Typed(
    kind=BankKind.ACH,
    holder="Ana Smith",
    account_number=Secret("000987654321"),
    routing_number="021000021",
    account_type="CHECKING",
)


def seal(text: str) -> str:
    return text[::-1]


class BankLab(Lab):
    def __init__(self, work: UnitOfWork, folder: Path):
        super().__init__(work, folder)
        self.bank = BankRail(BankOptions(test=True))
        self.rails = {"bank": self.bank}

    @property
    def means(self) -> Means:
        return Means(
            rails=self.rails,
            addresses=self.wallets,
            orders=self.orders,
            dollars=Dollars(rate_of=lambda: RATE, unseal=seal),
        )

    async def give(self, payout: Payout, account: Typed = ACCOUNT) -> None:
        async with self.work.begin("workers.bank_account") as tx:
            await set_bank_account(tx, payout.worker_id, account, actor=ANA, seal=seal)

    async def waits(self) -> Payout:
        """A payout of half a dollar that waits for the next batch."""
        payout = await self.earned(address=None)
        await self.give(payout)
        while await self.waiting("payout.reserved"):
            await self.pay()
        assert (await self.case(payout)).payout.state == "unknown"
        return payout

    async def freeze(self, operator: str = ANA) -> BankBatch | None:
        async with self.work.begin("bank.make") as tx:
            return await actions.make_batch(
                tx, operator, unseal=seal, capabilities=self.bank.capabilities, limits=self.limits
            )

    async def make(self, operator: str = ANA) -> BankBatch:
        batch = await self.freeze(operator)
        assert batch is not None
        return batch

    async def confirm(self, batch: BankBatch, operator: str) -> None:
        async with self.work.begin("bank.confirm") as tx:
            await actions.confirm(tx, batch.id, operator)

    async def export(self, batch: BankBatch) -> str:
        async with self.work.begin("bank.export") as tx:
            return await actions.export(tx, batch.id, ANA, unseal=seal)

    async def answered(self, *lines: str) -> list[str]:
        text = "\r\n".join(("reference,status,reason", *lines))
        async with self.work.begin("bank.import") as tx:
            told = await import_answers(
                tx, text, ANA, capabilities=self.bank.capabilities, limits=self.limits
            )
        return [one.outcome for one in told]

    async def books(self) -> None:
        await self.assert_books(rails_without_preimage=["bank"])


@pytest.fixture
def lab(work: UnitOfWork, tmp_path: Path) -> BankLab:
    return BankLab(work, tmp_path)


async def test_one_person_freezes_another_confirms_and_the_bank_ends_it(lab: BankLab) -> None:
    payout = await lab.waits()
    reference = (await lab.case(payout)).sent.reference
    batch = await lab.make()
    assert (batch.payments, batch.cents) == (1, 50)
    with pytest.raises(Conflict, match="can be read once it is confirmed"):
        await lab.export(batch)
    with pytest.raises(Conflict, match="cannot confirm it"):
        await lab.confirm(batch, ANA)
    assert await lab.answered(f"{reference},paid,") == ["refused"]  # it is in no file yet
    await lab.confirm(batch, BEN)
    with pytest.raises(Conflict):
        await lab.confirm(batch, BEN)
    text = await lab.export(batch)
    assert text.splitlines()[1] == (
        f"{reference},0.50,USD,ach,Ana Smith,person,CHECKING,021000021,000123456789"
    )
    assert await lab.export(batch) == text
    with pytest.raises(Conflict):  # the file may be at the bank
        async with lab.work.begin("bank.dissolve") as tx:
            await actions.dissolve(tx, batch.id, ANA)
    await lab.books()
    assert await lab.answered(f"{reference.lower()},Paid,", f"{reference},paid,") == ["done", "refused"]
    assert await lab.answered(f"{reference},paid,") == ["already"]
    assert (await lab.case(payout)).payout.state == "settled"
    assert await balance(lab.work, "rail:bank") == 500_000
    assert await held(lab.work) == 0
    await lab.books()


async def test_what_the_bank_returns_is_owed_again(lab: BankLab) -> None:
    payout = await lab.waits()
    reference = (await lab.case(payout)).sent.reference
    await lab.confirm(await lab.make(), BEN)
    assert await lab.answered(f"{reference},paid,", f"{reference},rejected,") == ["done", "refused"]
    assert await lab.answered(f"{reference},returned,R03 no account") == ["done"]
    assert await lab.answered(f"{reference},returned,R03 no account") == ["already"]
    assert (await lab.case(payout)).payout.state == "reversed"
    assert await balance(lab.work, f"{payout.worker_id}:payable") == 500_000
    assert await balance(lab.work, "rail:bank") == 0
    await lab.books()


async def test_what_the_bank_rejects_goes_into_another_batch_with_another_reference(lab: BankLab) -> None:
    payout = await lab.waits()
    first = (await lab.case(payout)).sent
    await lab.confirm(await lab.make(), BEN)
    assert await lab.answered(f"{first.reference},rejected,R02 account closed") == ["done"]
    await lab.pay()
    second = (await lab.case(payout)).sent
    assert (second.number, second.state, second.reference != first.reference) == (2, "unknown", True)
    assert await lab.answered(f"{first.reference},paid,") == ["refused"]  # perhaps paid twice: a person asks
    assert (await lab.make()).payments == 1
    await lab.books()


async def test_two_who_freeze_at_once_make_one_batch(lab: BankLab) -> None:
    for _ in range(3):
        await lab.waits()
    made = await asyncio.gather(lab.freeze(ANA), lab.freeze(BEN))
    assert sorted((one.payments, one.cents) if one else (0, 0) for one in made) == [(0, 0), (3, 150)]
    await lab.books()


async def test_an_account_that_was_taken_away_is_not_paid(lab: BankLab) -> None:
    """It is certainly unsent: owed again, also when nothing else waits for a batch."""
    payout = await lab.waits()
    async with lab.work.begin("workers.bank_account") as tx:
        await remove_bank_account(tx, payout.worker_id, actor=ANA)
    assert await lab.freeze() is None
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.state) == ("reserved", "failed")
    assert await held(lab.work) == 0
    await lab.books()


async def test_an_account_that_changed_after_the_freeze_stops_the_batch(lab: BankLab) -> None:
    payout = await lab.waits()
    batch = await lab.make()
    await lab.give(payout, OTHER)
    with pytest.raises(Conflict, match="has changed the bank account"):
        await lab.confirm(batch, BEN)
    async with lab.work.begin("bank.dissolve") as tx:
        await actions.dissolve(tx, batch.id, BEN)
    other = await lab.waits()
    assert (await lab.make()).payments == 1  # the other's; the changed one is withdrawn, and owed again
    case = await lab.case(payout)
    assert (case.payout.state, case.sent.state) == ("reserved", "failed")
    assert (await lab.case(other)).sent.batch_id is not None
    await lab.pay()
    assert (await lab.case(payout)).sent.address == "•••• 4321"
    await lab.books()


@pytest.mark.parametrize(
    "line", ["AAAAAAAAAA,paid,", "\0A,paid,", "=1+1,paid,", ",paid,", "AAAAAAAAAA,nonsense,x"]
)
async def test_a_line_about_nothing_of_ours_does_nothing(lab: BankLab, line: str) -> None:
    payout = await lab.waits()
    assert await lab.answered(line) == ["refused"]
    assert (await lab.case(payout)).payout.state == "unknown"
    async with lab.work.read() as session:
        assert len(await queries.waiting(session)) == 1
