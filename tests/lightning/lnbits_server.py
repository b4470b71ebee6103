"""A real LNbits server with its FakeWallet (no Lightning behind it), from the venv of `install_lnbits.sh`, on a loopback
port with an empty database; and two wallets on it, the hub's with money and a worker's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.wait import wait_until

VENV = Path(__file__).parent / ".venv-lnbits"
LOGIN = {"username": "admin", "password": "only-for-tests", "password_repeat": "only-for-tests"}
FUNDS_SATS = 100_000


class Server(msgspec.Struct, kw_only=True):
    """`hub` and `worker` are wallets as LNbits shows them: `id`, `adminkey`, `inkey`."""

    url: str
    http: httpx.AsyncClient
    hub: dict[str, Any] = {}
    worker: dict[str, Any] = {}

    async def invoice(self, amount_sats: int, *, wallet: str = "worker") -> str:
        key = {"hub": self.hub, "worker": self.worker}[wallet]["inkey"]
        body = {"out": False, "amount": amount_sats, "memo": "a verified answer"}
        answer = await self._ask("POST", "/api/v1/payments", {"X-Api-Key": key}, body)
        return answer["bolt11"]

    async def balance_msat(self, wallet: dict[str, Any]) -> int:
        answer = await self._ask("GET", "/api/v1/wallet", {"X-Api-Key": wallet["adminkey"]})
        return answer["balance"]

    async def set_up(self) -> None:
        admin = await self._ask("PUT", "/api/v1/auth/first_install", {}, LOGIN)
        user = await self._ask("POST", "/api/v1/auth/register", {}, LOGIN | {"username": "hub"})
        self.http.cookies.clear()
        self.hub = await self._ask("POST", "/api/v1/wallet", _bearer(user), {"name": "hub"})
        self.worker = await self._ask("POST", "/api/v1/wallet", _bearer(user), {"name": "worker"})
        funds = {"id": self.hub["id"], "amount": FUNDS_SATS}
        await self._ask("PUT", "/users/api/v1/balance", _bearer(admin), funds)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        response = await self.http.request(method, self.url + path, headers=headers, json=body)
        assert response.is_success, response.text
        return response.json()


@asynccontextmanager
async def lnbits_server(folder: Path) -> AsyncIterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Its static files are found from the folder that holds the package.
    packages = next(VENV.glob("lib/python3*/site-packages"))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LNBITS_DATA_FOLDER": str(folder / "data"),
        "LNBITS_BACKEND_WALLET_CLASS": "FakeWallet",
        "LNBITS_ADMIN_UI": "true",
        "LNBITS_EXTENSIONS_DEFAULT_INSTALL": "",
    }
    with (folder / "lnbits.log").open("wb") as log:
        process = subprocess.Popen(
            [VENV / "bin" / "lnbits", "--host", "127.0.0.1", "--port", str(port)],
            cwd=packages,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it serves from a child, which outlives its parent
        )
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
                server = Server(url=f"http://127.0.0.1:{port}", http=http)

                async def up() -> bool:
                    assert process.poll() is None, (folder / "lnbits.log").read_text()[-2000:]
                    try:
                        return (await http.get(f"{server.url}/api/v1/health")).status_code < 500
                    except httpx.TransportError:
                        return False

                await wait_until(up, timeout=40, every=0.2)
                await server.set_up()
                yield server
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # an empty database is nothing to close in order
            await asyncio.to_thread(process.wait)


def _bearer(login: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {login['access_token']}"}
