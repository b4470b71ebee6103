"""The sandbox rail on a real file: across processes, across crashes, and what is the sandbox's alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from connectors.rails import RAILS, RailConfig, bolt11
from connectors.rails.sandbox import SandboxOptions, SandboxRail
from connectors.rails.sandbox_book import Fault
from connectors.rails.sandbox_controls import SandboxControls
from connectors.rails.sandbox_wallets import SandboxWallets
from core.errors import Misconfigured
from core.payouts.rail import Invoice, Outcome, PaymentResult
from tests.contract.rails.labs import invoice_of
from tests.wait import wait_until

ROOT = Path(__file__).parents[2]
AMOUNT = 500_000

PAYER = """
import asyncio, json, sys
from pathlib import Path
import msgspec
from connectors.rails.sandbox import SandboxRail
from core.payouts.rail import Invoice
invoice = msgspec.json.decode(sys.argv[2], type=Invoice)
rail = SandboxRail(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(msgspec.json.encode(asyncio.run(rail.pay(invoice, max_fee_msat=0))).decode(), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "sandbox.sqlite3"


async def fresh(path: Path, amount_msat: int = AMOUNT, name: str = "careful") -> Invoice:
    return invoice_of(await SandboxWallets(path).invoice(name, amount_msat))


async def start_payer(path: Path, invoice: Invoice) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PAYER, str(path), msgspec.json.encode(invoice).decode()),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


def go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def test_three_processes_paying_one_hash_settle_it_once(path: Path) -> None:
    rail = SandboxRail(path)
    for _ in range(3):
        invoice = await fresh(path)
        payers = await asyncio.gather(*(start_payer(path, invoice) for _ in range(3)))
        for payer in payers:
            go(payer)
        answers = [json.loads((await payer.communicate())[0]) for payer in payers]
        outcomes = sorted(answer["outcome"] for answer in answers)
        assert outcomes == ["settled", "unknown", "unknown"]
    assert [record.settled_count for record in await rail.history()] == [1, 1, 1]
    assert await SandboxWallets(path).balance("careful") == 3 * AMOUNT


async def test_a_payment_goes_on_when_its_process_is_killed(path: Path) -> None:
    controls = SandboxControls(path)
    controls.add_fault(Fault.DELAY, seconds=2.0)
    invoice = await fresh(path)
    payer = await start_payer(path, invoice)
    go(payer)
    await wait_until(controls.payments)
    payer.kill()
    assert (await payer.communicate())[0] == b""
    rail = SandboxRail(path)
    assert await rail.look_up(invoice.payment_hash) == PaymentResult(outcome=Outcome.IN_FLIGHT)

    async def settled() -> bool:
        result = await rail.look_up(invoice.payment_hash)
        return result is not None and result.outcome is Outcome.SETTLED

    await wait_until(settled)
    assert [record.settled_count for record in await rail.history()] == [1]


async def test_many_at_once_in_one_process(path: Path) -> None:
    rail = SandboxRail(path)
    invoices = [await fresh(path) for _ in range(10)]
    results = await asyncio.gather(*(rail.pay(invoice, max_fee_msat=0) for invoice in invoices * 2))
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    assert {outcome: count for outcome, count in counts.items() if count} == {
        Outcome.SETTLED: 10,
        Outcome.UNKNOWN: 10,
    }
    assert {record.settled_count for record in await rail.history()} == {1}


async def test_the_node_has_one_key_that_its_owner_alone_can_read(path: Path) -> None:
    first, second = SandboxRail(path), SandboxRail(path)
    assert first.node_id == second.node_id == bolt11.decode((await fresh(path)).bolt11).payee
    # A connection holds the -wal and -shm files open meanwhile; they carry the key too.
    with sqlite3.connect(path) as connection:
        connection.execute("SELECT * FROM node").fetchone()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    connection.close()
    assert modes == dict.fromkeys(modes, 0o600)
    assert {"sandbox.sqlite3", "sandbox.sqlite3-wal", "sandbox.sqlite3-shm"} == set(modes)


async def test_delay_answers_late_and_settle_later_answers_early(path: Path) -> None:
    rail, controls = SandboxRail(path), SandboxControls(path)
    controls.add_fault(Fault.DELAY, seconds=0.1)
    controls.add_fault(Fault.SETTLE_LATER, seconds=0.1)
    late = await rail.pay(await fresh(path), max_fee_msat=0)
    assert late.outcome is Outcome.SETTLED
    invoice = await fresh(path)
    assert await rail.pay(invoice, max_fee_msat=0) == PaymentResult(outcome=Outcome.IN_FLIGHT)

    async def settled() -> bool:
        result = await rail.look_up(invoice.payment_hash)
        return result is not None and result.preimage is not None

    await wait_until(settled)


async def test_faults_wait_in_line_and_only_for_payments_that_start(path: Path) -> None:
    rail, controls = SandboxRail(path), SandboxControls(path)
    paid = await fresh(path)
    await rail.pay(paid, max_fee_msat=0)
    controls.add_fault(Fault.FAIL, times=2)
    controls.add_fault(Fault.LOOK_UP_UNREACHABLE)
    assert (await rail.pay(paid, max_fee_msat=0)).reason == "this invoice is already paid"
    outcomes = [(await rail.pay(await fresh(path), max_fee_msat=0)).outcome for _ in range(3)]
    assert outcomes == [Outcome.FAILED, Outcome.FAILED, Outcome.SETTLED]
    controls.add_fault(Fault.FAIL)
    controls.clear_faults()
    assert (await rail.pay(await fresh(path), max_fee_msat=0)).outcome is Outcome.SETTLED


async def test_release_decides_one_or_all(path: Path) -> None:
    rail, controls = SandboxRail(path, SandboxOptions(answer_timeout=0.0)), SandboxControls(path)
    controls.add_fault(Fault.HANG, times=3)
    invoices = [await fresh(path) for _ in range(3)]
    for invoice in invoices:
        assert (await rail.pay(invoice, max_fee_msat=0)).outcome is Outcome.IN_FLIGHT
    hashes = [invoice.payment_hash for invoice in invoices]
    assert controls.release(hashes[1], settle=False) == [hashes[1]]
    assert sorted(controls.release()) == sorted([hashes[0], hashes[2]])
    assert controls.release() == []
    states = {record.payment_hash: (record.state, record.settled_count) for record in await rail.history()}
    assert states == {
        hashes[0]: (Outcome.SETTLED, 1),
        hashes[1]: (Outcome.FAILED, 0),
        hashes[2]: (Outcome.SETTLED, 1),
    }


async def test_fees_and_funds_are_counted_to_the_millisatoshi(path: Path) -> None:
    rail = SandboxRail(path, SandboxOptions(funds_msat=1_200_000, fee_base_msat=1_000, fee_ppm=1_500))
    assert await rail.balance_msat() == 1_200_000
    refused = await rail.pay(await fresh(path), max_fee_msat=1_749)
    assert refused == PaymentResult(
        outcome=Outcome.FAILED, reason="no route within the fee limit: 1750 msat are needed"
    )
    paid = await rail.pay(await fresh(path), max_fee_msat=1_750)
    assert (paid.outcome, paid.fee_msat) == (Outcome.SETTLED, 1_750)
    assert await rail.balance_msat() == 1_200_000 - AMOUNT - 1_750
    SandboxControls(path).add_fault(Fault.SETTLE_LATER, seconds=3600)
    assert (await rail.pay(await fresh(path), max_fee_msat=1_750)).outcome is Outcome.IN_FLIGHT
    assert await rail.balance_msat() == 1_200_000 - 2 * (AMOUNT + 1_750)
    poor = await rail.pay(await fresh(path), max_fee_msat=1_750)
    assert poor == PaymentResult(outcome=Outcome.FAILED, reason="insufficient balance")


async def test_a_stranger_cannot_be_reached(path: Path, tmp_path: Path) -> None:
    rail = SandboxRail(path)
    elsewhere = await fresh(tmp_path / "other.sqlite3")
    result = await rail.pay(elsewhere, max_fee_msat=0)
    assert result == PaymentResult(outcome=Outcome.FAILED, reason="no route to the payee")


async def test_a_file_that_cannot_be_read_is_unknown_never_failed(path: Path) -> None:
    rail = SandboxRail(path)
    invoice = await fresh(path)
    path.write_bytes(b"this is no database" * 100)
    paid, seen = await rail.pay(invoice, max_fee_msat=0), await rail.look_up(invoice.payment_hash)
    assert seen is not None
    assert (paid.outcome, seen.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)


@pytest.mark.parametrize("options", [{"fee_pm": 1}, {"funds_msat": "many"}])
def test_options_that_it_does_not_know_are_the_operators_mistake(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(Misconfigured, match="sandbox rail's options"):
        RAILS["sandbox"](RailConfig(name="sandbox", data_dir=tmp_path, options=options))


def test_a_place_that_cannot_hold_a_file_is_the_operators_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"sandbox-rail\.sqlite3"):
        RAILS["sandbox"](RailConfig(name="sandbox", data_dir=tmp_path / "file"))
