"""The ledger against a dictionary: whatever is posted, repeated or refused, both give the same balances.
On SQLite; the same statements run on PostgreSQL in `tests/integration/test_ledger.py`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from core.db.engine import Database
from core.db.migrate import upgrade
from core.db.unit_of_work import UnitOfWork
from core.errors import Conflict
from core.ledger import accounts
from core.ledger.accounts import WITH_FLOOR, Account
from core.ledger.balances import trial_balance
from core.ledger.check import check
from core.ledger.post import Transfer, balances, post

ACCOUNTS = (
    accounts.capital("live"),
    accounts.prefund("org_1", "live"),
    accounts.reserved("org_1", "live"),
    accounts.prefund("org_2", "live"),
    accounts.payable("per_1"),
    accounts.fees("live"),
    accounts.exchange("live"),
)
AMOUNTS = st.one_of(st.integers(0, 20), st.integers(0, 2_100_000_000_000_000))


class Model:
    """What a ledger is: balances, and what each name stands for."""

    def __init__(self) -> None:
        self.balances = {account.id: 0 for account in ACCOUNTS}
        self.known: dict[str, tuple[str, str, int]] = {}

    def post(self, transfers: list[Transfer]) -> str:
        """All or nothing: `ok`, or the code of the refusal."""
        balances_, known = dict(self.balances), dict(self.known)
        fresh: list[Transfer] = []
        for one in transfers:
            content = (one.debit.id, one.credit.id, one.amount_msat)
            if one.amount_msat == 0 or known.get(one.id) == content:
                continue
            if one.id in known:
                return "transfer_differs"
            fresh.append(one)
        for one in fresh:
            known[one.id] = (one.debit.id, one.credit.id, one.amount_msat)
            balances_[one.debit.id] -= one.amount_msat
            if one.debit.kind in WITH_FLOOR and balances_[one.debit.id] < 0:
                return "insufficient_funds"
            balances_[one.credit.id] += one.amount_msat
        self.balances, self.known = balances_, known
        return "ok"


def pairs() -> st.SearchStrategy[tuple[Account, Account]]:
    return st.permutations(ACCOUNTS).map(lambda order: (order[0], order[1]))


class LedgerMachine(RuleBasedStateMachine):
    template: Path
    posted = Bundle("posted")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "hub.db"
        shutil.copy(self.template, path)
        self.database = Database(f"sqlite:///{path}")
        self.work = UnitOfWork(self.database)
        self.model = Model()
        self.count = 0

    def teardown(self) -> None:
        assert self.runner.run(self._breaches()) == set()
        self.runner.run(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(target=posted, sides=st.lists(st.tuples(pairs(), AMOUNTS), min_size=1, max_size=4))
    def several_in_one_transaction(self, sides: list[tuple[tuple[Account, Account], int]]):
        transfers = [self._new(debit, credit, amount) for (debit, credit), amount in sides]
        self._both(transfers)
        return multiple(*transfers)

    @rule(amount=st.integers(1, 1_000_000))
    def pay_in(self, amount: int) -> None:
        self._both([self._new(ACCOUNTS[0], ACCOUNTS[1], amount)])

    @rule(one=posted)
    def repeat(self, one: Transfer) -> None:
        self._both([one])

    @rule(one=posted, amount=AMOUNTS)
    def same_name_other_amount(self, one: Transfer, amount: int) -> None:
        self._both(
            [
                Transfer(
                    id=one.id,
                    debit=one.debit,
                    credit=one.credit,
                    amount_msat=amount,
                    kind=one.kind,
                    subject=one.subject,
                )
            ]
        )

    @invariant()
    def both_give_the_same_balances(self) -> None:
        assert self.runner.run(self._balances()) == self.model.balances

    def _new(self, debit: Account, credit: Account, amount: int) -> Transfer:
        self.count += 1
        return Transfer(
            id=f"t{self.count}", debit=debit, credit=credit, amount_msat=amount, kind="test", subject="s"
        )

    def _both(self, transfers: list[Transfer]) -> None:
        expected = self.model.post(transfers)
        assert self.runner.run(self._post(transfers)) == expected

    async def _post(self, transfers: list[Transfer]) -> str:
        try:
            async with self.work.begin("test.post") as tx:
                await post(tx, transfers)
        except Conflict as refused:
            return refused.code
        return "ok"

    async def _balances(self) -> dict[str, int]:
        async with self.work.begin("test.look") as tx:
            held = await balances(tx, [account.id for account in ACCOUNTS])
        return {account.id: held.get(account.id, 0) for account in ACCOUNTS}

    async def _breaches(self) -> set[str]:
        """Rules of the ledger alone; there are no tasks and payouts here that the balances could agree with."""
        async with self.work.read() as session:
            totals = await trial_balance(session)
            found = {problem.rule for problem in await check(session)}
        assert totals.debits_msat == totals.credits_msat
        return found - {"reserved", "payable"}


def test_the_ledger_is_a_dictionary_with_rules(tmp_path: Path) -> None:
    LedgerMachine.template = tmp_path / "template.db"

    async def migrate() -> None:
        database = Database(f"sqlite:///{LedgerMachine.template}")
        await upgrade(database)
        await database.close()  # the last connection folds the log back into the file

    asyncio.run(migrate())
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=25, stateful_step_count=15, deadline=None)
    )
