"""Two Lightning nodes, alice who pays and bob who is paid, with a channel between them. `hub demo --lightning electrum`
and `tests/lightning` start it."""

from __future__ import annotations

from pathlib import Path

from core import clock
from hub.demo.lightning.chain import COINBASE_MATURES, SEGWIT_ACTIVE, Chain
from hub.demo.lightning.electrum_node import ElectrumNode
from hub.demo.lightning.processes import until

CHANNEL_BTC = "0.15"  # about the most that a node without "wumbo" takes: hundreds of payments
OPEN = [("OPEN", "GOOD")]
ALICE_COINBASES = 2
CHANNEL_SECONDS = 120.0
MINE_EVERY = 15.0  # seconds; see Chain.mine


class Network:
    """Its files, logs among them, lie in `folder`, which must be empty. `boot_seconds` and `channel_seconds` tell how
    long `start` took."""

    def __init__(self, folder: Path):
        self._chain = Chain(folder)
        self.alice = ElectrumNode("alice", folder, self._chain.electrum_port)
        self.bob = ElectrumNode("bob", folder, self._chain.electrum_port)
        self.boot_seconds = self.channel_seconds = 0.0
        self._mined_at = 0.0

    async def start(self) -> None:
        """About fifteen seconds. Raises NotReady, OSError; stop it then too."""
        began = clock.monotonic()
        await self._chain.start()
        for node in (self.alice, self.bob):
            node.create()
        await self._chain.mine(SEGWIT_ACTIVE)
        await self._chain.mine(ALICE_COINBASES, self.alice.address())
        await self._chain.mine(COINBASE_MATURES)
        await self._chain.serve()
        for node in (self.alice, self.bob):
            await node.start()
        await until("alice's coins", self._funded, seconds=CHANNEL_SECONDS)
        booted = clock.monotonic()
        await self._open_channel()
        self.boot_seconds, self.channel_seconds = booted - began, clock.monotonic() - booted

    def stop(self) -> None:
        for node in (self.alice, self.bob):
            node.stop()
        self._chain.stop()

    async def connected(self) -> None:
        """Wait until both can use the channel, as after a crash. Raises NotReady."""
        await until("the channel", self._usable, seconds=CHANNEL_SECONDS)

    async def _open_channel(self) -> None:
        bob = await self.bob.rpc.call("nodeid")
        await self.alice.rpc.call("open_channel", connection_string=bob, amount=CHANNEL_BTC)
        await until("the funding transaction", self._chain.waiting, seconds=CHANNEL_SECONDS)
        await self._chain.mine(6)
        self._mined_at = clock.monotonic()
        await until("the new channel", self._opened, seconds=CHANNEL_SECONDS)

    async def _opened(self) -> bool:
        if await self._usable():
            return True
        if clock.monotonic() - self._mined_at > MINE_EVERY:
            self._mined_at = clock.monotonic()
            await self._chain.mine(1)
        return False

    async def _usable(self) -> bool:
        return all([await node.channel_states() == OPEN for node in (self.alice, self.bob)])

    async def _funded(self) -> bool:
        balance = await self.alice.rpc.call("getbalance")
        return float(balance.get("confirmed", 0)) > 0
