"""What the tests of the two Strike rails ask of a lab, beyond what every rail's suite asks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.rails.strike import StrikeRail
from core.errors import HubError
from tests.contract.rails.labs_strike import ANN, StrikeBankLab, StrikeLab

AMOUNT = 500_000
FEE = 5_000


def rail_of(lab: StrikeLab) -> StrikeRail:
    assert isinstance(lab.rail, StrikeRail)
    return lab.rail


async def refusal(lab: StrikeLab, amount_msat: int = AMOUNT, *, max_fee_msat: int = FEE) -> HubError:
    """What a quote is refused with; nothing is executed."""
    with pytest.raises(HubError) as caught:
        await lab.quoted(amount_msat, max_fee_msat=max_fee_msat)
    assert lab.account.executions() == 0
    return caught.value


async def bank_refusal(lab: StrikeBankLab, cents: int = 1_250, **changes: Any) -> HubError:
    """The same of a payout to a bank, with some of the payee's details changed; nothing is sent."""
    payee = msgspec.structs.replace(ANN, **changes)
    with pytest.raises(HubError) as caught:
        await lab.quoted(cents, payee)
    assert lab.account.payouts.sent == {}
    return caught.value
