"""A demo worker's wallet, reached by its Lightning address and paid by the sandbox: the whole way, without a socket."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.rails import bolt11
from connectors.rails.lightning_address import LightningAddresses
from connectors.rails.sandbox import SandboxRail
from connectors.rails.sandbox_wallets import SandboxWallets
from core.errors import Rejected
from core.payouts.rail import Outcome

BASE = "http://127.0.0.1:8000"


@pytest.fixture
def wallets(tmp_path: Path) -> SandboxWallets:
    return SandboxWallets(tmp_path / "sandbox.sqlite3")


def site(wallets: SandboxWallets) -> LightningAddresses:
    """The routes that the hub serves, as one function."""

    async def fetch(url: str) -> bytes:
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == BASE
        name, _, rest = parts.path.removeprefix("/.well-known/lnurlp/").partition("/")
        if rest == "callback":
            query = parse_qs(parts.query)
            answer = await wallets.callback(name, int(query["amount"][0]), query.get("comment", [""])[0])
        else:
            answer = wallets.lnurlp(name, BASE)
        return json.dumps(answer).encode()

    return LightningAddresses(fetch, network="bcrt", domains={"sandbox.test": BASE})


def test_the_first_answer_is_lud_06_and_lud_16(wallets: SandboxWallets) -> None:
    assert wallets.lnurlp("careful", f"{BASE}/") == {
        "tag": "payRequest",
        "callback": f"{BASE}/.well-known/lnurlp/careful/callback",
        "minSendable": 1_000,
        "maxSendable": 10_000_000_000,
        "metadata": '[["text/plain","TEST MONEY for careful@sandbox.test"],["text/identifier","careful@sandbox.test"]]',
        "commentAllowed": 140,
    }


async def test_the_second_answer_is_a_signed_regtest_invoice(wallets: SandboxWallets) -> None:
    answer = await wallets.callback("careful", 500_000, "thanks")
    assert answer["routes"] == []
    decoded = bolt11.decode(str(answer["pr"]))
    metadata = str(wallets.lnurlp("careful", BASE)["metadata"])
    assert (decoded.network, decoded.amount_msat, decoded.expiry_s) == ("bcrt", 500_000, 3600)
    assert decoded.description_hash == hashlib.sha256(metadata.encode()).hexdigest()
    again = bolt11.decode(str((await wallets.callback("careful", 500_000))["pr"]))
    assert again.payment_hash != decoded.payment_hash
    assert again.payment_secret != decoded.payment_secret


@pytest.mark.parametrize(
    ("name", "amount_msat", "comment", "reason"),
    [
        ("Careful", 500_000, "", "no such wallet"),
        ("../x", 500_000, "", "no such wallet"),
        ("careful", 999, "", "from 1000 to 10000000000"),
        ("careful", 10_000_000_001, "", "from 1000 to 10000000000"),
        ("careful", 500_000, "x" * 141, "at most 140"),
    ],
)
async def test_what_cannot_be_done_is_said_in_lud_01s_form(
    wallets: SandboxWallets, name: str, amount_msat: int, comment: str, reason: str
) -> None:
    answer = await wallets.callback(name, amount_msat, comment)
    assert answer["status"] == "ERROR"
    assert reason in str(answer["reason"])


async def test_from_an_address_to_a_paid_wallet(tmp_path: Path, wallets: SandboxWallets) -> None:
    rail = SandboxRail(tmp_path / "sandbox.sqlite3")
    addresses = site(wallets)
    for amount_msat in (500_000, 1_234_000):
        invoice = await addresses.invoice_for(
            "careful@sandbox.test", amount_msat=amount_msat, comment="task 42"
        )
        assert (await rail.pay(invoice, max_fee_msat=0)).outcome is Outcome.SETTLED
    assert await wallets.balance("careful") == 1_734_000
    assert await wallets.balance("hasty") == 0


async def test_a_wallets_refusal_reaches_the_payer(wallets: SandboxWallets) -> None:
    with pytest.raises(Rejected) as caught:
        await site(wallets).invoice_for("careful@sandbox.test", amount_msat=20_000_000_000, comment="")
    assert caught.value.code == "amount_out_of_range"
