"""The lab of the rail `electrum`: the rail over TLS to a faked daemon with state. Two real ones are in `tests/lightning`."""

from __future__ import annotations

from connectors.rails.electrum import ElectrumRail
from tests.contract.rails.labs_nodes import NodeLab
from tests.fakes.electrum import USER, FakeElectrum


class ElectrumLab(NodeLab):
    node: FakeElectrum

    async def __aenter__(self) -> ElectrumLab:
        lab = self.start(FakeElectrum(self.data_dir / "node"), "password")
        lab.options["user"] = USER
        lab.rail = lab.restarted()
        return lab

    def restarted(self) -> ElectrumRail:
        return ElectrumRail.from_options(self.options)
