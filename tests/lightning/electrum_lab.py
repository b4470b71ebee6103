"""Two real Lightning nodes for tests: alice, whom the rail `electrum` pays from, and bob, who is paid. What they say of
themselves is the oracle, never the hub's tables. By hand:  python -m tests.lightning.electrum_lab --keep FOLDER"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from connectors.rails import bolt11
from connectors.rails.electrum import ElectrumRail
from core.payouts.rail import Invoice
from hub.demo.lightning.electrum_node import USER, ElectrumNode
from hub.demo.lightning.network import Network
from tests.wait import wait_until

SENT, RECEIVED = 0, 1


class ElectrumLab:
    """`async with ElectrumLab(empty_folder) as lab`: about fifteen seconds. Ports are free ones, so that two labs can
    run side by side. No event loop is kept: one lab serves the tests of a session."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.network = Network(folder)
        self._frozen = False

    @property
    def alice(self) -> ElectrumNode:
        return self.network.alice

    @property
    def bob(self) -> ElectrumNode:
        return self.network.bob

    async def __aenter__(self) -> ElectrumLab:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        try:
            await self.network.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.network.stop()

    def options(self, node: ElectrumNode | None = None) -> dict[str, object]:
        """What stands under `rails.options.electrum` for a hub that pays from `node`."""
        node = node or self.alice
        secret = self.folder / f"{node.name}.password"
        # Once: while it is written again it is empty, and a child that starts just then finds no secret.
        if not secret.exists():
            secret.write_text(node.password)
        return {"url": node.rpc.url, "user": USER, "password": f"file:{secret}", "network": "bcrt"}

    def alice_address(self) -> tuple[str, int]:
        """Where alice's daemon listens for its JSON-RPC."""
        where = urlsplit(self.alice.rpc.url)
        assert where.hostname
        assert where.port
        return where.hostname, where.port

    def rail(self, node: ElectrumNode | None = None, **options: object) -> ElectrumRail:
        """A new client of a daemon, alice's unless told otherwise, as a restarted hub has it."""
        return ElectrumRail.from_options(self.options(node) | options)

    async def invoice(self, amount_msat: int, memo: str = "careful work", expiry: int = 3600) -> Invoice:
        """An invoice of bob's."""
        sats, rest = divmod(amount_msat, 1000)
        assert rest == 0
        return invoice_of(await self.bob.invoice(sats, memo, expiry))

    def freeze_bob(self) -> None:
        self._frozen = True
        self.bob.freeze()

    def thaw_bob(self) -> None:
        self._frozen = False
        self.bob.thaw()

    async def quiet(self) -> None:
        """Until both nodes have the same commitments: a payment made just before may still be settling its last one,
        and until then alice signs no other."""
        before: list[Any] = []

        async def agreed() -> bool:
            counts = [
                [
                    (channel["local_ctn"], channel["remote_ctn"])
                    for channel in await node.rpc.call("list_channels")
                ]
                for node in (self.alice, self.bob)
            ]
            same = counts == before and counts[0] == [(mine, theirs) for theirs, mine in counts[1]]
            before[:] = counts
            return same

        await wait_until(agreed, every=0.1)

    @contextlib.asynccontextmanager
    async def bob_frozen(self) -> AsyncGenerator[None]:
        """Bob stands still from a quiet moment on, unless he is thawed before."""
        await self.quiet()
        self.freeze_bob()
        try:
            yield
        finally:
            if self._frozen:
                self.thaw_bob()

    def kill_alice(self) -> None:
        self.alice.kill()

    async def restart_alice(self) -> None:
        await self.alice.start()

    async def connected(self) -> None:
        """Until both nodes can use the channel again."""
        await self.network.connected()

    async def bob_received(self, payment_hash: str) -> int:
        """Millisatoshi that bob has for good for this hash; more than the invoice says is a double payment."""
        return sum(entry["amount_msat"] for entry in await self._history(self.bob, payment_hash, RECEIVED))

    async def bob_total(self) -> int:
        entries = await self.bob.rpc.call("lightning_history")
        return sum(entry["amount_msat"] for entry in entries if entry["type"] == "payment")

    async def alice_paid(self, payment_hash: str) -> int:
        """Millisatoshi that left alice for good for this hash, with its fee."""
        return -sum(entry["amount_msat"] for entry in await self._history(self.alice, payment_hash, SENT))

    async def alice_status(self, payment_hash: str) -> int | None:
        """The status of the invoice in alice's wallet (invoices.py), None when she does not have it."""
        invoices = await self.alice.rpc.call("list_invoices")
        return next((one["status"] for one in invoices if one["invoice_id"] == payment_hash), None)

    def alice_log(self) -> LogTail:
        """What alice's daemon writes to its log from now on."""
        return LogTail(self.folder / "alice" / "regtest" / "logs")

    async def _history(self, node: ElectrumNode, payment_hash: str, direction: int) -> list[dict[str, Any]]:
        entries = await node.rpc.call("lightning_history")
        return [
            entry
            for entry in entries
            if entry["type"] == "payment"
            and (entry["payment_hash"], entry["direction"]) == (payment_hash, direction)
        ]


class LogTail:
    def __init__(self, folder: Path):
        self._path = max(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        self._from = self._path.stat().st_size

    def has(self, *words: str) -> bool:
        """All of them, one after another."""
        with self._path.open("rb") as file:
            file.seek(self._from)
            text = file.read().decode(errors="replace")
        for word in words:
            _, found, text = text.partition(word)
            if not found:
                return False
        return True


def invoice_of(text: str) -> Invoice:
    decoded = bolt11.decode(text)
    assert decoded.amount_msat is not None
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_msat=decoded.amount_msat,
        expires_at_ms=decoded.expires_at_ms,
    )


async def keep(folder: Path) -> None:
    """Two nodes until interrupted; one line of JSON tells where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with ElectrumLab(folder) as lab:
        nodes = {
            node.name: {"url": node.rpc.url, "user": USER, "password": node.password}
            for node in (lab.alice, lab.bob)
        }
        seconds = {"boot": lab.network.boot_seconds, "channel": lab.network.channel_seconds}
        told = {"pid": os.getpid(), "network": "bcrt", "seconds": seconds, **nodes}
        print(msgspec.json.encode(told).decode(), flush=True)
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--keep", metavar="FOLDER", type=Path, required=True, help="an empty folder for their files"
    )
    asyncio.run(keep(parser.parse_args().keep))
