"""One Electrum daemon with a wallet and a Lightning node in it, on the chain of `chain.py`. Used by `network.py`."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path
from typing import Any

import msgspec

from core.money import SAT_PER_BTC
from hub.demo.lightning.json_rpc import JsonRpc
from hub.demo.lightning.processes import ELECTRUM, Program, free_ports, until

USER = "hub"
READY_SECONDS = 90.0


class ElectrumNode:
    """`rpc` speaks to its daemon; `password` goes with USER. It listens for other nodes on `lightning_port`."""

    def __init__(self, name: str, folder: Path, electrum_port: int):
        self.name = name
        self.password = secrets.token_hex(16)
        rpc_port, self.lightning_port = free_ports(2)
        self.rpc = JsonRpc(url=f"http://127.0.0.1:{rpc_port}/", user=USER, password=self.password)
        self._folder = folder
        self._data = folder / name
        self._settings: dict[str, Any] = {
            "config_version": 3,  # without it Electrum turns the server into one with TLS
            "server": f"127.0.0.1:{electrum_port}:t",
            "use_gossip": True,  # else it pays over trampoline nodes of the public network
            "lightning_to_self_delay": 144,
            "lightning_listen": f"127.0.0.1:{self.lightning_port}",
            "bolt11_fallback": False,  # an invoice that could be paid on the chain too might be paid twice
            "rpcuser": USER,
            "rpcpassword": self.password,
            "rpchost": "127.0.0.1",
            "rpcport": rpc_port,
            "log_to_file": True,
        }
        self._daemon = self._program("daemon", "--oneserver")

    def create(self) -> None:
        """Make its wallet and its configuration. Raises NotReady."""
        self._program("create", "--offline").run()
        (self._data / "regtest" / "config").write_bytes(msgspec.json.encode(self._settings))

    def address(self) -> str:
        """Where it can be sent coins; asked of the wallet file, before the daemon runs."""
        return self._program("getunusedaddress", "--offline").run()

    async def start(self) -> None:
        """Also after a crash. Raises NotReady."""
        (self._data / "regtest" / "daemon").unlink(
            missing_ok=True
        )  # the lock that a killed daemon leaves behind
        self._daemon.start()
        await until(self.name, self._answers, seconds=READY_SECONDS)
        await self.rpc.call("load_wallet")
        await until(f"{self.name}'s wallet", self._synchronized, seconds=READY_SECONDS)

    async def node_id(self) -> str:
        return (await self.rpc.call("nodeid")).partition("@")[0]

    async def invoice(self, sats: int, memo: str, expiry_seconds: int) -> str:
        """A new invoice of this node's. `force`: each takes an address, and after twenty unpaid ones none would be left."""
        amount = f"{sats // SAT_PER_BTC}.{sats % SAT_PER_BTC:08d}"
        made = await self.rpc.call(
            "add_request", amount=amount, memo=memo, expiration=expiry_seconds, force=True
        )
        return made["lightning_invoice"]

    async def channel_states(self) -> list[tuple[str, str]]:
        channels = await self.rpc.call("list_channels")
        return [(channel["state"], channel["peer_state"]) for channel in channels]

    def freeze(self) -> None:
        self._daemon.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._daemon.signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9: it has no time to write anything."""
        self._daemon.signal(signal.SIGKILL)

    def stop(self) -> None:
        self._daemon.stop()

    async def _answers(self) -> bool:
        self._daemon.check()
        return bool(await self.rpc.call("getinfo"))

    async def _synchronized(self) -> bool:
        return bool(await self.rpc.call("is_synchronized"))

    def _program(self, *words: str) -> Program:
        argv = [ELECTRUM, "--regtest", "-D", self._data, *words]
        return Program(f"electrum-{self.name}", argv, self._folder)
