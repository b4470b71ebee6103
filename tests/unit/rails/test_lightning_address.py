"""Lightning addresses against servers that behave, err, and cheat."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import coincurve
import pytest

from connectors.rails.bolt11_encode import NewInvoice, encode
from connectors.rails.lightning_address import LightningAddresses
from core import clock
from core.errors import HubError, Misconfigured, Rejected, Retryable
from core.payouts.rail import Invoice

KEY = hashlib.sha256(b"a wallet's node").digest()
NODE = coincurve.PrivateKey(KEY).public_key.format().hex()
HASH = "ab" * 32
AMOUNT = 500_000
METADATA = '[["text/plain","for Ann"],["text/identifier","ann@wallet.example"]]'
ROOT = "https://wallet.example"


def invoice(**changes: Any) -> str:
    values: dict[str, Any] = {
        "network": "bc",
        "payment_hash": HASH,
        "payment_secret": "11" * 32,
        "timestamp": clock.unix(),
        "amount_msat": AMOUNT,
        "description_hash": hashlib.sha256(METADATA.encode()).hexdigest(),
        "expiry_s": 600,
    }
    return encode(NewInvoice(**values | changes), KEY)


class Server:
    """A wallet's server: its two answers, and what it was asked."""

    def __init__(self, *, first: Any = None, second: Any = None, **changes: Any):
        request = {
            "tag": "payRequest",
            "callback": f"{ROOT}/cb/7",
            "minSendable": 1_000,
            "maxSendable": 10_000_000,
            "metadata": METADATA,
        }
        self.first = request | changes if first is None else first
        self.second = {"pr": invoice(), "routes": []} if second is None else second
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        answer = self.second if len(self.asked) == 2 else self.first
        if isinstance(answer, HubError):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def pay(self, address: str = "ann@wallet.example", comment: str = "", **options: Any) -> Invoice:
        addresses = LightningAddresses(self.fetch, **{"network": "bc"} | options)
        return await addresses.invoice_for(address, amount_msat=AMOUNT, comment=comment)


async def test_an_address_becomes_an_invoice_for_the_exact_amount() -> None:
    server = Server()
    got = await server.pay()
    assert server.asked == [f"{ROOT}/.well-known/lnurlp/ann", f"{ROOT}/cb/7?amount=500000"]
    assert got.payment_hash == HASH
    assert got.amount_msat == AMOUNT
    assert got.bolt11 == server.second["pr"]
    assert 598_000 < got.expires_at_ms - clock.now_ms() <= 600_000


async def test_the_callbacks_own_query_goes_back_unchanged_but_for_the_amount() -> None:
    server = Server(callback=f"{ROOT}/cb?k=%ff%20a+b&amount=1&empty=&flag", commentAllowed=12)
    await server.pay(comment="thank you & good night")
    assert server.asked[1] == f"{ROOT}/cb?k=%ff%20a+b&empty=&flag&amount=500000&comment=thank%20you%20%26%20"


@pytest.mark.parametrize("allowed", [0, None, -3])
async def test_no_comment_goes_to_a_wallet_that_wants_none(allowed: int | None) -> None:
    server = Server(commentAllowed=allowed)
    await server.pay(comment="thanks")
    assert parse_qs(urlsplit(server.asked[1]).query) == {"amount": ["500000"]}


@pytest.mark.parametrize(
    "text",
    [
        "ann",
        "ann@",
        "@wallet.example",
        "Ann@wallet.example",
        " ann@wallet.example",
        "ann@wallet.example\n",
        "ann@wallet",
        "ann@localhost",
        "ann@wallet.example:9200",
        "ann@127.0.0.1",
        "ann@169.254.169.254",
        "ann@2130706433",
        "ann@0x7f.1",
        "ann@0x7f000001",
        "ann@[::1]",
        "ann@wallet.example.",
        "ann@-wallet.example",
        "ann@wallet..example",
        "ann@bob@wallet.example",
        "a@127.0.0.1:9200/_cluster/health#",
        "ann/../x@wallet.example",
        "änn@wallet.example",
        "ann@wället.example",
        "ann@" + "a" * 64 + ".example",
        "a" * 65 + "@wallet.example",
        "lightning:lnbc1whatever",
        "lnurl1dp68gurn8ghj7",
        pytest.param(invoice(), id="an invoice"),
        "",
    ],
)
async def test_what_is_no_address_is_refused_before_any_call(text: str) -> None:
    server = Server()
    with pytest.raises(Rejected) as caught:
        await server.pay(text)
    assert caught.value.code == ("not_an_address" if text.startswith("l") else "bad_address")
    assert server.asked == []


@pytest.mark.parametrize(
    "text", ["a.b-c_d+tag@wallet.example", "0@xn--wllet-gra.example", "ann@pay.wallet.co.uk"]
)
async def test_what_is_an_address_is_asked_for(text: str) -> None:
    server = Server()
    await server.pay(text)
    user, _, domain = text.partition("@")
    assert server.asked[0] == f"https://{domain}/.well-known/lnurlp/{user}"


@pytest.mark.parametrize(
    ("server", "error", "code"),
    [
        (Server(first={"status": "ERROR", "reason": "unknown\x1b[31m user"}), Rejected, "wallet_refused"),
        (Server(first={"status": "error"}), Rejected, "wallet_refused"),
        (Server(first=b"<html>hello</html>"), Rejected, "not_a_wallet"),
        (Server(first=b'{"tag":' + b"[" * 60_000), Rejected, "not_a_wallet"),
        (Server(first=[]), Rejected, "not_a_wallet"),
        (Server(first=b""), Rejected, "not_a_wallet"),
        (Server(first=Retryable("timeout", "no answer")), Retryable, "timeout"),
        (Server(first=Rejected("not_found", "404")), Rejected, "not_found"),
        (Server(tag="withdrawRequest"), Rejected, "not_a_wallet"),
        (Server(metadata="for Ann"), Rejected, "not_a_wallet"),
        (Server(metadata='[["text/identifier","ann@wallet.example"]]'), Rejected, "not_a_wallet"),
        (Server(metadata='[["text/plain",7],[]]'), Rejected, "not_a_wallet"),
        (Server(minSendable="1000"), Rejected, "not_a_wallet"),
        (Server(minSendable=AMOUNT + 1), Rejected, "amount_out_of_range"),
        (Server(maxSendable=AMOUNT - 1), Rejected, "amount_out_of_range"),
        (Server(second={"status": "ERROR", "reason": "node is down"}), Retryable, "wallet_busy"),
        (Server(second=Retryable("timeout", "no answer")), Retryable, "timeout"),
        (Server(second={"pr": ""}), Rejected, "bad_invoice"),
        (Server(second={"pr": None}), Rejected, "not_a_wallet"),
        (Server(second={}), Rejected, "bad_invoice"),
        (Server(second={"pr": invoice()[:-1] + "!"}), Rejected, "bad_invoice"),
        (Server(second={"pr": invoice(network="bcrt")}), Rejected, "wrong_network"),
        (Server(second={"pr": invoice(network="tb")}), Rejected, "wrong_network"),
        (Server(second={"pr": invoice(amount_msat=AMOUNT + 1)}), Rejected, "wrong_amount"),
        (Server(second={"pr": invoice(amount_msat=None)}), Rejected, "wrong_amount"),
        (Server(second={"pr": invoice(expiry_s=30)}), Rejected, "short_invoice"),
        (Server(second={"pr": invoice(timestamp=1_500_000_000)}), Rejected, "short_invoice"),
        (Server(second={"pr": invoice(timestamp=clock.unix() + 864_000)}), Rejected, "future_invoice"),
        (Server(second={"pr": invoice(min_final_cltv=2016, expiry_s=86_400)}), Rejected, "long_hold"),
    ],
)
async def test_a_server_that_errs_or_cheats_gets_nothing(
    server: Server, error: type[HubError], code: str
) -> None:
    with pytest.raises(error) as caught:
        await server.pay()
    assert type(caught.value) is error
    assert caught.value.code == code


async def test_a_strangers_reason_is_kept_apart_and_tamed() -> None:
    with pytest.raises(Rejected) as caught:
        await Server(first={"status": "ERROR", "reason": "no\x1b[31m\n" + "x" * 900}).pay()
    assert caught.value.facts == {"reason": "no[31m" + "x" * 192}
    assert "no[31m" not in caught.value.message


@pytest.mark.parametrize(
    "callback",
    [
        "",
        "/cb",
        "http://wallet.example/cb",
        "https://127.0.0.1/cb",
        "https://[::1]/cb",
        "https://2130706433/cb",
        "https://localhost/cb",
        "https://user:pw@wallet.example/cb",
        "https://wallet.example:9200/cb",
        "https://wallet.example:99999/cb",
        "https://wallet.example\\@evil.example/cb",
        "https://wallet.example/c b",
        "https://wallet.example/\x00",
        "file:///etc/passwd",
        "https://wallet.example/" + "x" * 2048,
    ],
)
async def test_a_callback_that_we_would_not_call_by_ourselves_is_not_called(callback: str) -> None:
    server = Server(callback=callback)
    with pytest.raises(Rejected) as caught:
        await server.pay()
    assert caught.value.code == "bad_callback"
    assert len(server.asked) == 1


async def test_a_listed_domain_may_be_local_and_only_itself() -> None:
    base = "http://127.0.0.1:8000"
    listed = {"network": "bc", "domains": {"sandbox.test": f"{base}/"}}
    server = Server(callback=f"{base}/cb")
    await server.pay("ann@sandbox.test", **listed)
    assert server.asked == [f"{base}/.well-known/lnurlp/ann", f"{base}/cb?amount=500000"]
    for other in ("http://127.0.0.1:8001/cb", "http://127.0.0.1/cb", "https://127.0.0.1:8000/cb"):
        with pytest.raises(Rejected):
            await Server(callback=other).pay("ann@sandbox.test", **listed)
    with pytest.raises(Rejected):  # the exception is the domain's, not everybody's
        await Server(callback=f"{base}/cb").pay("ann@wallet.example", **listed)


@pytest.mark.parametrize("url", ["ftp://a.example", "127.0.0.1:8000", "http://", "https://a.example/?x=1"])
def test_a_listed_domain_needs_a_usable_base(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"sandbox\.test"):
        LightningAddresses(Server().fetch, network="bcrt", domains={"sandbox.test": url})


async def test_our_own_nodes_invoice_and_a_known_hash_are_refused() -> None:
    with pytest.raises(Rejected) as caught:
        await Server().pay(own_nodes={NODE})
    assert caught.value.code == "own_invoice"

    async def known(payment_hash: str) -> bool:
        return payment_hash == HASH

    with pytest.raises(Rejected) as caught:
        await Server().pay(known_hash=known)
    assert caught.value.code == "used_invoice"


async def test_a_description_hash_that_does_not_match_is_no_reason_to_refuse() -> None:
    got = await Server(second={"pr": invoice(description_hash="00" * 32)}).pay()
    assert got.payment_hash == HASH


async def test_an_upper_case_invoice_is_kept_in_lower_case_and_an_endless_one_ends_in_a_year() -> None:
    server = Server(second={"pr": invoice(expiry_s=2**50 - 1).upper()})
    got = await server.pay()
    assert got.bolt11 == server.second["pr"].lower()
    assert got.expires_at_ms <= clock.now_ms() + 365 * 86_400_000
