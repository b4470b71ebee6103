"""Labs of the rails `strike` and `strike_bank`: the rail over HTTP to a simulated account with state, which is served while
the lab is entered."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from connectors.rails import RAILS, RailConfig, bolt11
from connectors.rails.strike import StrikeRail
from core import clock
from core.payouts.rail import Invoice, Rail
from tests.fakes.strike import API_KEY, Strike, strike
from tests.fakes.wallet_faults import Fault


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


def _invoice(text: str) -> Invoice:
    decoded = bolt11.decode(text)
    assert decoded.amount_msat is not None
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )
