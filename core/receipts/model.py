"""What a receipt says, as data. Built by `compose.py`, signed by `actions.py`, judged by `verify.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

VERSION = 1
GENESIS = "0" * 64  # what stands before receipt 1


class Kind(StrEnum):
    """`verified`: the answer passed; `settled`: one worker was paid for it; `reversed`: a bank took that back."""

    VERIFIED = "verified"
    SETTLED = "settled"
    REVERSED = "reversed"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage said of one answer. `answer` counts the task's judged answers from 1, in the order they came in:
    the people behind them are not named."""

    answer: int
    stage: str
    outcome: str


class TaskPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    organisation: str
    environment: str
    type: str
    risk_tier: str


class Verification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`workers` answered, `agreed` of them gave what became the result and are paid."""

    answer_digest: str
    verified_at: str
    workers: int
    agreed: int
    verdicts: list[Said]


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One payout, as its rail proved it. `amount` is a decimal text in `currency`, `amount_msat` whole millisatoshi as
    text. On Lightning SHA-256 of `preimage` is `payment_hash`; elsewhere `preimage` is null and `reference` is the
    rail's own name of the payment. `transfers` are the ledger's. `verified` is the hash of the task's first receipt,
    null for an answer that was paid without becoming a result."""

    id: str
    state: str
    amount: str
    currency: str
    amount_msat: str
    rail: str
    payment_hash: str
    preimage: str | None
    reference: str | None
    transfers: list[str]
    at: str
    verified: str | None


class Receipt(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The signed text. `number` counts the hub's receipts from 1; `previous` is the hash of the one before; `key` is
    the id of the public key that verifies the signature."""

    version: int
    id: str
    kind: Kind
    hub: str
    number: int
    previous: str
    key: str
    issued_at: str
    task: TaskPart
    verification: Verification | None = None
    payment: Payment | None = None


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as it is handed out. `receipt` is the parsed text, `signature` Ed25519 over its RFC 8785 form, in
    unpadded base64url."""

    receipt: dict[str, Any]
    signature: str


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /v1/tasks/{id}/receipt` gives and `hub receipt verify` reads: a task's receipts, oldest first."""

    receipts: list[Signed]


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One key of the well-known file, a JWK (RFC 8037). It signed from `created_at` to `retired_at`, if that is set."""

    kid: str
    x: str
    created_at: str
    retired_at: str | None = None
    kty: str = "OKP"
    crv: str = "Ed25519"
    alg: str = "EdDSA"
    use: str = "sig"


class KeySet(msgspec.Struct, frozen=True, kw_only=True):
    keys: list[PublicKey]
