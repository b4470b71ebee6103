"""The rail `bank` moves no money and knows nothing: whatever it is asked, only the bank's own answer ends a payment.
Batches and answers are in `tests/integration/test_bank_batches.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.rails import RAILS, RailConfig
from core.errors import Misconfigured
from core.payouts.rail import Funded, Invoice, Outcome, Rail, Receiving, Recording, Target
from tests.contract.rails.labs import BANK_RAILS, LABS


def rail(**options: object) -> Rail:
    return RAILS["bank"](RailConfig(name="bank", data_dir=Path(), options=options))


def test_every_rail_is_in_one_suite_or_the_other() -> None:
    assert set(LABS) | BANK_RAILS == set(RAILS)
    assert not set(LABS) & BANK_RAILS
    assert {name for name in BANK_RAILS if (Path(__file__).parent / f"test_{name}.py").exists()} == BANK_RAILS


def test_it_says_what_it_is() -> None:
    bank = rail()
    assert (bank.name, bank.capabilities.pays, bank.capabilities.slow) == ("bank", Target.BANK, True)
    assert bank.capabilities.real_money
    assert not rail(test=True).capabilities.real_money
    assert not bank.capabilities.proves_by_preimage
    assert not isinstance(bank, Funded | Recording | Receiving)  # it has no books of its own


async def test_it_never_says_settled_nor_failed_nor_unseen() -> None:
    invoice = Invoice(bolt11="", payment_hash="ab" * 32, amount_msat=1, expires_at_ms=0, cents=50)
    for _ in range(2):
        assert (await rail().pay(invoice, max_fee_msat=0)).outcome is Outcome.IN_FLIGHT
        found = await rail().look_up(invoice.payment_hash)
        assert found is not None
        assert found.outcome is Outcome.IN_FLIGHT


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(Misconfigured, match="tests"):
        rail(tests=True)
