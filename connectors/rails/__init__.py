"""The rails that a hub can pay with, by name. `hub/wiring.py` builds one from its block in the configuration; the
contract suite (`tests/contract/rails`) runs against every line of RAILS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from connectors.rails.bank import BankRail
from connectors.rails.cln import ClnRail
from connectors.rails.electrum import ElectrumRail
from connectors.rails.lnbits import LnbitsRail
from connectors.rails.lnd import LndRail
from connectors.rails.phoenixd import PhoenixdRail
from connectors.rails.sandbox import SandboxRail
from connectors.rails.strike import StrikeRail
from connectors.rails.strike_bank import StrikeBankRail
from core.payouts.rail import Rail


class RailConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One rail's block. `data_dir` is where a rail may keep files; `options` are the rail's own."""

    name: str
    data_dir: Path
    options: dict[str, object] = {}


# Name -> builder; a builder raises Misconfigured for options that it cannot use.
RAILS: dict[str, Callable[[RailConfig], Rail]] = {
    "bank": lambda config: BankRail.from_options(config.options),
    "cln": lambda config: ClnRail.from_options(config.options),
    "electrum": lambda config: ElectrumRail.from_options(config.options),
    "lnd": lambda config: LndRail.from_options(config.options),
    "sandbox": lambda config: SandboxRail.from_options(config.data_dir, config.options),
    "phoenixd": lambda config: PhoenixdRail.from_options(config.options),
    "lnbits": lambda config: LnbitsRail.from_options(config.options),
    "strike": lambda config: StrikeRail.from_options(config.data_dir, config.options),
    "strike_bank": lambda config: StrikeBankRail.from_options(config.options),
}
