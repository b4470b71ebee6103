"""The receiving side of the sandbox: a wallet for any demo worker's name, spoken to by LNURL-pay (LUD-06, LUD-16).
The hub serves `lnurlp` and `callback` over HTTP in a demo; tests take invoices and balances from here. TEST MONEY."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from pathlib import Path

import msgspec

from connectors.rails import sandbox_book
from connectors.rails.bolt11_encode import NewInvoice, encode
from connectors.rails.sandbox_book import NewInvoiceRow
from connectors.rails.sandbox_file import SandboxFile
from core import clock

MIN_SENDABLE_MSAT = 1_000
MAX_SENDABLE_MSAT = 10_000_000_000  # a tenth of a bitcoin
COMMENT_LENGTH = 140  # LUD-12
EXPIRY_S = 3_600
FINAL_CLTV = 18

_NAME = re.compile(r"[a-z0-9._+-]{1,64}")


class SandboxWallets:
    """Wallets over the sandbox rail's own file (`path` is the rail's). `domain` is what stands after the @."""

    def __init__(self, path: Path, *, domain: str = "sandbox.test"):
        self._file = SandboxFile(path)
        self._domain = domain

    def lnurlp(self, name: str, base_url: str) -> dict[str, object]:
        """The answer to `GET {base_url}/.well-known/lnurlp/{name}`. Its callback is that address plus `/callback`."""
        if not _NAME.fullmatch(name):
            return _error("there is no such wallet")
        return {
            "tag": "payRequest",
            "callback": f"{base_url.rstrip('/')}/.well-known/lnurlp/{name}/callback",
            "minSendable": MIN_SENDABLE_MSAT,
            "maxSendable": MAX_SENDABLE_MSAT,
            "metadata": self._metadata(name),
            "commentAllowed": COMMENT_LENGTH,
        }

    async def callback(self, name: str, amount_msat: int, comment: str = "") -> dict[str, object]:
        """The answer to `GET …/callback?amount=<msat>&comment=<text>`: a fresh invoice, or LUD-06's error."""
        if not _NAME.fullmatch(name):
            return _error("there is no such wallet")
        if not MIN_SENDABLE_MSAT <= amount_msat <= MAX_SENDABLE_MSAT:
            return _error(f"amount must be from {MIN_SENDABLE_MSAT} to {MAX_SENDABLE_MSAT} millisatoshi")
        if len(comment) > COMMENT_LENGTH:
            return _error(f"comment may have at most {COMMENT_LENGTH} characters")
        return {"pr": await self.invoice(name, amount_msat, comment=comment), "routes": []}

    async def invoice(
        self,
        name: str,
        amount_msat: int,
        *,
        comment: str = "",
        made_at_s: int | None = None,
        network: str = "bcrt",
    ) -> str:
        """A fresh signed invoice for `name`, good for an hour. Tests age it with `made_at_s` (UTC seconds) or put it
        on another network, which the rail then refuses."""
        return await asyncio.to_thread(self._invoice, name, amount_msat, comment, made_at_s, network)

    async def balance(self, name: str) -> int:
        """What the wallet has received, in msat."""

        def ask() -> int:
            with self._file.read() as db:
                return sandbox_book.received_msat(db, name)

        return await asyncio.to_thread(ask)

    def _invoice(self, name: str, amount_msat: int, comment: str, made_at_s: int | None, network: str) -> str:
        return make_invoice(
            self._file,
            name,
            amount_msat,
            network=network,
            description_hash=hashlib.sha256(self._metadata(name).encode()).hexdigest(),  # LUD-06
            comment=comment,
            made_at_s=made_at_s,
        )

    def _metadata(self, name: str) -> str:
        """LUD-06's JSON in a string; the same text whenever asked, since invoices carry its hash."""
        address = f"{name}@{self._domain}"
        return msgspec.json.encode(
            [["text/plain", f"TEST MONEY for {address}"], ["text/identifier", address]]
        ).decode()


def make_invoice(
    file: SandboxFile,
    wallet: str,
    amount_msat: int,
    *,
    network: str,
    description: str | None = None,
    description_hash: str | None = None,
    comment: str = "",
    made_at_s: int | None = None,
    expires_seconds: int = EXPIRY_S,
) -> str:
    """A fresh invoice, signed by the sandbox's key and written into its book; the rail makes its own with this too.
    Blocking."""
    now_ms = clock.now_ms()
    timestamp = now_ms // 1000 if made_at_s is None else made_at_s
    preimage = secrets.token_bytes(32)
    payment_hash = hashlib.sha256(preimage).hexdigest()
    text = encode(
        NewInvoice(
            network=network,
            amount_msat=amount_msat,
            timestamp=timestamp,
            payment_hash=payment_hash,
            payment_secret=secrets.token_hex(32),
            description=description,
            description_hash=description_hash,
            expiry_s=expires_seconds,
            min_final_cltv=FINAL_CLTV,
        ),
        file.private_key,
    )
    row = NewInvoiceRow(
        payment_hash=payment_hash,
        wallet=wallet,
        preimage=preimage.hex(),
        amount_msat=amount_msat,
        bolt11=text,
        comment=comment,
        expires_at_ms=(timestamp + expires_seconds) * 1000,
    )
    with file.write() as db:
        sandbox_book.add_invoice(db, row, now_ms)
    return text


def _error(reason: str) -> dict[str, object]:
    return {"status": "ERROR", "reason": reason}
