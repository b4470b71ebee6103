"""Labs of the rails `strike` and `strike_bank`: the rail over HTTP to a simulated account with state, which is served while
the lab is entered."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from connectors.rails import RAILS, RailConfig, bolt11
from connectors.rails.strike import StrikeRail
from connectors.rails.strike_bank import StrikeBankRail
from core import clock
from core.payouts.rail import BankAccount, BankKind, Invoice, PostalAddress, Rail
from core.secret import Secret
from tests.fakes.strike import API_KEY, Strike, strike
from tests.fakes.wallet_faults import Fault

ANN = BankAccount(
    kind=BankKind.ACH,
    holder="Ann Example",
    account_number=Secret("000123456789"),
    routing_number="021000021",
    account_type="CHECKING",
    bank_name="First Example Bank",
    bank_address=PostalAddress(
        country="US", state="NY", city="New York", post_code="10001", line1="1 Main Street"
    ),
)


class StrikeLab:
    """Pays from the bitcoin balance, of an account whose list of payments is known to be complete."""

    name = "strike"
    account: Strike
    rail: Rail

    def __init__(self, data_dir: Path):
        self._data_dir = data_dir
        self._stack = AsyncExitStack()
        self.options: dict[str, object] = {}

    async def __aenter__(self) -> StrikeLab:
        self.account = await self._stack.enter_async_context(strike())
        self.options = {
            "url": self.account.url,
            "api_key": self.secret(API_KEY),
            "network": "bcrt",
            "source_currency": "BTC",
            "payment_list_complete": True,
            "answer_timeout": 1,
        }
        self.rail = self.restarted()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def secret(self, value: str) -> str:
        path = self._data_dir / "strike-key"
        path.write_text(value)
        return f"file:{path}"

    def restarted(self) -> Rail:
        return RAILS[self.name](RailConfig(name=self.name, data_dir=self._data_dir, options=self.options))

    def with_options(self, **changes: object) -> StrikeRail:
        self.options |= changes
        self.rail = self.restarted()
        assert isinstance(self.rail, StrikeRail)
        return self.rail

    async def invoice(self, amount_msat: int) -> Invoice:
        return _invoice(self.account.payee.invoice(amount_msat))

    async def quoted(self, amount_msat: int, *, max_fee_msat: int = 5_000) -> Invoice:
        """An invoice whose quote is committed with it, as `prepare` does it."""
        assert isinstance(self.rail, StrikeRail)
        invoice = await self.invoice(amount_msat)
        quote = await self.rail.quote(invoice, max_fee_msat=max_fee_msat)
        return msgspec.structs.replace(invoice, reference=quote.reference)

    async def expired_invoice(self, amount_msat: int) -> Invoice:
        return _invoice(self.account.payee.invoice(amount_msat, made_at_s=clock.unix() - 3601))

    async def foreign_invoice(self, amount_msat: int) -> Invoice:
        return _invoice(self.account.payee.invoice(amount_msat, network="bc"))

    def next_fails(self) -> None:
        self.account.fates.append("fail")

    def next_hangs(self) -> None:
        self.account.fates.append("hang")

    def next_loses_its_answer(self) -> None:
        self.account.faults.payments.append(Fault.RESET_AFTER)

    def next_is_unreachable(self) -> None:
        self.account.faults.payments.append(Fault.RESET_BEFORE)

    def next_look_up_is_unreachable(self) -> None:
        self.account.faults.others.append(Fault.RESET_BEFORE)

    def release(self, *, settle: bool) -> None:
        self.account.release(settle=settle)

    async def received_msat(self) -> int:
        payee = self.account.payee
        assert len(payee.settlements) == len(set(payee.settlements))
        return sum(payee.received.values())


class StrikeBankLab:
    """Pays banks from the dollar balance."""

    name = "strike_bank"
    account: Strike
    rail: StrikeBankRail

    def __init__(self, data_dir: Path):
        self._data_dir = data_dir
        self._stack = AsyncExitStack()
        self.options: dict[str, object] = {}

    async def __aenter__(self) -> StrikeBankLab:
        self.account = await self._stack.enter_async_context(strike())
        key = self._data_dir / "strike-key"
        key.write_text(API_KEY)
        self.options = {
            "url": self.account.url,
            "api_key": f"file:{key}",
            "sandbox": True,
            "answer_timeout": 1,
        }
        self.rail = self.restarted()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def restarted(self, **changes: object) -> StrikeBankRail:
        self.options |= changes
        rail = RAILS[self.name](RailConfig(name=self.name, data_dir=self._data_dir, options=self.options))
        assert isinstance(rail, StrikeBankRail)
        self.rail = rail
        return rail

    def invoice(self, cents: int, payee: BankAccount = ANN) -> Invoice:
        """What `core/payouts` makes for a bank: the digest of its own reference in the place of a payment hash. A cent is
        worth 15,000 msat."""
        return Invoice(
            bolt11="",
            payment_hash=secrets.token_hex(32),
            amount_msat=cents * 15_000,
            expires_at_ms=clock.now_ms() + 86_400_000,
            reference="A2B3C4D5E6",
            cents=cents,
            payee=payee,
        )

    async def quoted(self, cents: int, payee: BankAccount = ANN) -> Invoice:
        """Quoted, and as it comes back from the database: without the bank details."""
        invoice = self.invoice(cents, payee)
        quote = await self.rail.quote(invoice, max_fee_msat=5_000)
        return msgspec.structs.replace(invoice, reference=quote.reference, payee=None)


def _invoice(text: str) -> Invoice:
    decoded = bolt11.decode(text)
    assert decoded.amount_msat is not None
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )
