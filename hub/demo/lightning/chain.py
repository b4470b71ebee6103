"""A Bitcoin chain of one's own (regtest) with an Electrum server before it: bcoin, the proxy that completes it, ElectrumX.
Used by `network.py`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from connectors.rails import bech32
from hub.demo.lightning.json_rpc import JsonRpc
from hub.demo.lightning.processes import BCOIN, ELECTRUMX, Program, free_ports, until

NOBODY = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"  # BIP-173's example: coins sent there are gone
SEGWIT_ACTIVE = 432  # blocks; bcoin's regtest turns segwit on by BIP-9
COINBASE_MATURES = 101  # blocks
READY_SECONDS = 90.0


class Chain:
    def __init__(self, folder: Path):
        key = secrets.token_hex(16)
        bcoin, proxy, self.electrum_port = free_ports(3)
        self._rpc = JsonRpc(url=f"http://127.0.0.1:{bcoin}/", user="x", password=key)
        self._bcoin = Program(
            "bcoin",
            [
                "node",
                BCOIN,
                "--network=regtest",
                "--memory=true",
                f"--prefix={folder / 'bcoin'}",
                f"--api-key={key}",
                "--http-host=127.0.0.1",
                f"--http-port={bcoin}",
                "--listen=false",
                "--workers=false",
                "--max-outbound=1",  # it takes no zero; nobody listens there
                "--only=127.0.0.1:1",
                "--index-tx=true",
                "--no-wallet=true",
            ],
            folder,
            {"NODE_BACKEND": "js", "BCRYPTO_FORCE_JS": "1"},
        )
        self._proxy = Program(
            "chain_proxy",
            [sys.executable, Path(__file__).with_name("chain_proxy.py"), self._rpc.url, str(proxy)],
            folder,
            {"BCOIN_KEY": key},
        )
        self._server = Program(
            "electrumx",
            [ELECTRUMX.with_name("python"), ELECTRUMX],  # a venv's script is not always executable
            folder,
            {
                "COIN": "Bitcoin",
                "NET": "regtest",
                "DAEMON_URL": f"http://x:{key}@127.0.0.1:{proxy}/",
                "DB_ENGINE": "leveldb",
                "DB_DIRECTORY": str(folder / "electrumx"),
                "SERVICES": f"tcp://127.0.0.1:{self.electrum_port}",
                "ALLOW_ROOT": "1",
                "PEER_DISCOVERY": "off",
                "COST_SOFT_LIMIT": "0",
                "COST_HARD_LIMIT": "0",
            },
        )
        self._folder = folder

    async def start(self) -> None:
        """Raises NotReady."""
        for name in ("bcoin", "electrumx"):
            (self._folder / name).mkdir()
        self._bcoin.start()
        self._proxy.start()
        await until("bcoin", self._answers, seconds=READY_SECONDS)

    async def serve(self) -> None:
        """Start the Electrum server: after the first blocks, since it follows later ones but every five seconds."""
        self._server.start()
        await until("electrumx", self._serves, seconds=READY_SECONDS)

    async def mine(self, blocks: int, address: str = NOBODY) -> None:
        """Never in a tight loop: ElectrumX tells its clients nothing while the tip moves."""
        _, groups = bech32.decode(address)
        await self._rpc.call(
            "generatetoaddress", blocks, bech32.encode("rb", groups)
        )  # bcoin's prefix for regtest

    async def waiting(self) -> bool:
        """Is a transaction waiting to be mined?"""
        return bool(await self._rpc.call("getrawmempool"))

    def stop(self) -> None:
        for program in (self._server, self._proxy, self._bcoin):
            program.stop()

    async def _answers(self) -> bool:
        self._bcoin.check()
        self._proxy.check()
        return await self._rpc.call("getblockcount") == 0

    async def _serves(self) -> bool:
        self._server.check()
        return "TCP server listening" in self._server.log
