"""Nothing in a receipt can be changed unseen: every member, the order, the key, the signature; by our own verifier and by
the forty lines of the README, run as they stand there."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import receipts
from core.receipts import signature
from core.receipts.canonical import digest
from core.receipts.model import (
    GENESIS,
    KeySet,
    Kind,
    Payment,
    PublicKey,
    Receipt,
    Said,
    Signed,
    TaskPart,
    Verification,
)
from core.receipts.verify import answers_differ, judge
from core.secret import Secret

PRIVATE = signature.new_private()
PREIMAGE = "11" * 32
PAYMENT_HASH = "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc"  # SHA-256 of it
ANSWER = {"eligible": True, "notes": "Ärger", "account": 12345678901234567890}


def key(private: Secret = PRIVATE, *, retired_at: str | None = None) -> PublicKey:
    return PublicKey(
        kid="k1",
        x=signature.public_of(private),
        created_at="2026-11-30T00:00:00.000Z",
        retired_at=retired_at,
    )


KEYS = KeySet(keys=[key()])
TASK = TaskPart(id="t", organisation="org_1", environment="live", type="refund", risk_tier="high")


def signed(receipt: Receipt, private: Secret = PRIVATE) -> Signed:
    said = msgspec.to_builtins(receipt)
    return Signed(receipt=said, signature=signature.sign(private, said))


def pair() -> list[Signed]:
    """Receipt 7 of a verified answer, and receipt 8 of the payment for it."""
    first = Receipt(
        version=1,
        id="rct_7",
        kind=Kind.VERIFIED,
        hub="https://hub.test",
        number=7,
        previous="ab" * 32,
        key="k1",
        issued_at="2026-11-30T10:00:00.000Z",
        task=TASK,
        verification=Verification(
            answer_digest=digest(ANSWER),
            verified_at="2026-11-30T09:59:59.000Z",
            workers=2,
            agreed=1,
            verdicts=[
                Said(answer=1, stage="schema", outcome="fail"),
                Said(answer=2, stage="schema", outcome="pass"),
            ],
        ),
    )
    hashed = digest(msgspec.to_builtins(first))
    second = msgspec.structs.replace(
        first,
        id="rct_8",
        kind=Kind.SETTLED,
        number=8,
        previous=hashed,
        issued_at="2026-11-30T10:00:01.000Z",
        verification=None,
        payment=Payment(
            id="pay_1",
            state="settled",
            amount="0.50",
            currency="USD",
            amount_msat="500000",
            rail="lnd",
            payment_hash=PAYMENT_HASH,
            preimage=PREIMAGE,
            reference=None,
            transfers=["payout:pay_1:settle"],
            at="2026-11-30T10:00:01.000Z",
            verified=hashed,
        ),
    )
    return [signed(first), signed(second)]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value that is no container."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))
    else:
        yield path


PLACES = [(n, place) for n, one in enumerate(pair()) for place in places(one.receipt)]
OTHER = {"verified": "settled", "settled": "verified"}


def changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value in OTHER:
            return OTHER[value]
        case str():
            return value[:-1] + ("0" if value[-1] != "0" else "1")
        case _:
            return "x"


def test_good_receipts_are_good() -> None:
    assert judge(pair(), KEYS) == []
    assert answers_differ(pair(), ANSWER) == []


@pytest.mark.parametrize(("which", "place"), PLACES, ids=str)
def test_a_changed_member_is_seen(which: int, place: tuple[str | int, ...]) -> None:
    receipts = pair()
    said = copy.deepcopy(receipts[which].receipt)
    holder: Any = said
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = changed(holder[place[-1]])
    receipts[which] = Signed(receipt=said, signature=receipts[which].signature)
    assert judge(receipts, KEYS) != []


@pytest.mark.parametrize(("which", "place"), PLACES, ids=str)
def test_a_missing_member_is_seen(which: int, place: tuple[str | int, ...]) -> None:
    receipts = pair()
    said = copy.deepcopy(receipts[which].receipt)
    holder: Any = said
    for step in place[:-1]:
        holder = holder[step]
    del holder[place[-1]]
    receipts[which] = Signed(receipt=said, signature=receipts[which].signature)
    assert judge(receipts, KEYS) != []


def test_a_member_that_was_put_in_is_seen() -> None:
    [first, second] = pair()
    more = Signed(receipt=first.receipt | {"note": "x"}, signature=first.signature)
    assert [fault.receipt for fault in judge([more], KEYS)] == ["rct_7"]
    assert judge([second], KEYS) == []


def said_of(found: list[Any]) -> str:
    return "; ".join(map(str, found))


def test_faults_are_named() -> None:
    [first, second] = pair()
    other = signature.new_private()
    assert "none of the given keys" in said_of(judge([first], KeySet(keys=[])))
    assert "another key signed" in said_of(judge([first], KeySet(keys=[key(other)])))
    for wrong in ("", "AAAA", first.signature + "=", second.signature, "é" * 86):
        forged = Signed(receipt=first.receipt, signature=wrong)
        assert "the signature does not fit" in said_of(judge([forged], KEYS))
    late = KeySet(keys=[key(retired_at="2026-11-30T10:00:00.500Z")])
    assert judge([first], late) == []
    assert "outside the time" in said_of(judge([second], late))
    assert "does not come after" in said_of(judge([second, first], KEYS))
    assert "are missing" in said_of(judge([first], KEYS, whole=True))
    assert "the answer is not the one" in said_of(
        answers_differ([first], ANSWER | {"account": 12345678901234567891})
    )


def rebuilt(one: Signed, **values: Any) -> Signed:
    """Signed anew, by the key's owner, with other content: what the signature alone would let pass."""
    return signed(msgspec.structs.replace(msgspec.convert(one.receipt, Receipt), **values))


def test_a_hub_cannot_contradict_itself() -> None:
    [first, second] = pair()
    assert "the hashes differ" in said_of(judge([first, rebuilt(second, previous="cd" * 32)], KEYS))
    payment = msgspec.structs.replace(msgspec.convert(second.receipt, Receipt).payment, preimage="22" * 32)
    assert "does not prove" in said_of(judge([first, rebuilt(second, payment=payment)], KEYS))
    payment = msgspec.structs.replace(payment, preimage=PREIMAGE, verified="ef" * 32)
    assert "names another receipt" in said_of(judge([first, rebuilt(second, payment=payment)], KEYS))
    assert "does not belong to the kind" in said_of(judge([rebuilt(first, kind=Kind.SETTLED)], KEYS))
    assert "version 2" in said_of(judge([rebuilt(first, version=2)], KEYS))
    start = rebuilt(first, number=1, previous=GENESIS)
    after = rebuilt(second, number=2, previous=digest(start.receipt))
    assert judge([start, after], KEYS, whole=True) == []


def test_what_is_no_receipt_is_told_so() -> None:
    for odd in ({}, {"id": 7}, {"id": "x", "number": float("nan")}, {"id": "\ud800"}):
        assert judge([Signed(receipt=odd, signature="")], KEYS) != []


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the README."""
    text = (Path(receipts.__path__[0]) / "README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.splitlines()) <= 40
    path = tmp_path_factory.mktemp("readme") / "verify_receipt.py"
    path.write_text(code)
    return path


def test_the_forty_lines_of_the_readme(printed: Path, tmp_path: Path) -> None:
    def run(found: list[Signed], keys: KeySet = KEYS) -> tuple[int, list[str]]:
        (tmp_path / "receipt.json").write_bytes(msgspec.json.encode({"receipts": found}))
        (tmp_path / "keys.json").write_bytes(msgspec.json.encode(keys))
        done = subprocess.run(
            [sys.executable, printed, tmp_path / "receipt.json", tmp_path / "keys.json"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    [first, second] = pair()
    assert run([first, second]) == (0, ["rct_7 verified good", "rct_8 settled good"])
    assert run([])[0] == 1
    text = json.dumps(first.receipt).replace('"agreed": 1', '"agreed": 2')
    forged = Signed(receipt=json.loads(text), signature=first.signature)
    assert run([forged, second]) == (
        1,
        ["rct_7 verified changed after it was signed", "rct_8 settled does not follow the receipt before"],
    )
    assert run([first], KeySet(keys=[key(retired_at="2026-11-30T09:00:00.000Z")]))[0] == 1
    assert run([first], KeySet(keys=[]))[0] == 1
