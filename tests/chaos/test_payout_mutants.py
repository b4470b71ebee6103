"""Bugs that paid people twice, or hid that they were paid, in other people's systems: each is put into a copy of this source
tree, and tests of ours must fail there. In the copy without them the same tests pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
COPIED = ("core", "connectors", "hub", "tests", "config")
PAYOUTS = "tests/integration/test_payouts_in_doubt.py"
WALLETS = "tests/contract/rails/test_wallet_faults.py"


@dataclass(frozen=True)
class Mutant:
    """`old` stands exactly once in `file`, and becomes `new`. `killers`: what pytest is told to run."""

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]


MUTANTS = (
    Mutant(
        "LNbits: no answer from the node (checking_id is None) is a failure",
        "connectors/rails/lnbits.py",
        '            return unknown(f"LNbits did not answer: {error}")\n',
        '            return failed(f"LNbits did not answer: {error}")\n',
        (WALLETS, "-k", "lnbits and test_a_payment_with_a_bad_answer_is_unknown"),
    ),
    Mutant(
        "BTCPay: a payment that is not found (proof is null) is cancelled",
        "core/payouts/look.py",
        "                again = await _unseen(tx, case, means, limits, checks)\n",
        '                await fail(tx, case, "there is no such payment", limits)\n',
        (PAYOUTS, "-k", "sqlite and sends_the_same_invoice_after_the_grace"),
    ),
    Mutant(
        "phoenixd in LNbits: a request that broke (httpx.RequestError) never reached the node",
        "connectors/rails/phoenixd.py",
        '            return unknown(f"phoenixd did not answer: {error}")\n',
        '            return failed(f"phoenixd did not answer: {error}")\n',
        (WALLETS, "-k", "phoenixd and test_a_payment_with_a_bad_answer_is_unknown"),
    ),
    Mutant(
        'LNbits: status 520 and the word "failed" about an invoice that is paid',
        "connectors/rails/lnbits.py",
        '            return await confirmed(self, payment_hash, f"LNbits: {_detail(reply)}")\n',
        '            return failed(f"LNbits: {_detail(reply)}")\n',
        (WALLETS, "-k", "lnbits and test_a_failure_is_believed_only_with_the_record"),
    ),
    Mutant(
        "lnd #7621: an invoice that has expired is a payment that failed",
        "core/payouts/record.py",
        "    result = proven(result, case.sent.payment_hash, capabilities)\n",
        "    result = proven(result, case.sent.payment_hash, capabilities)\n"
        "    if result.outcome is Outcome.IN_FLIGHT and clock.to_ms(case.sent.expires_at) < await tx.now_ms():\n"
        '        result = PaymentResult(outcome=Outcome.FAILED, reason="the invoice has expired")\n',
        (PAYOUTS, "-k", "sqlite and stays_in_flight_when_its_invoice_ends"),
    ),
    Mutant(
        "ZEUS #3165: after a time-out the address is asked for another invoice",
        "core/payouts/record.py",
        '            await doubt(tx, case, result.reason or "no answer", checks, limits, slow=capabilities.slow)\n',
        '            await fail(tx, case, result.reason or "no answer", limits)\n',
        (PAYOUTS, "-k", "sqlite and test_in_doubt_until_a_look_up_settles_it"),
    ),
    Mutant(
        "found here: what failed after it was sent twice is replaced while the first may still arrive",
        "core/payouts/record.py",
        "        case Outcome.FAILED if may_still_arrive(case.sent, await tx.now_ms(), limits):\n",
        "        case Outcome.FAILED if False:\n",
        (PAYOUTS, "-k", "sqlite and has_failed_only_when_its_invoice_is_over"),
    ),
)


def copy_of_the_tree(folder: Path) -> Path:
    for name in COPIED:
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", ".venv*", "node_modules", "bench"),
            symlinks=True,
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_tree(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("file", [PAYOUTS, WALLETS])
def test_without_a_bug_the_same_tests_pass(file: str, tree: Path) -> None:
    chosen = [f"({one.killers[2]})" for one in MUTANTS if one.killers[0] == file]
    right = run(tree, file, "-k", " or ".join(chosen))
    assert right.returncode == 0, right.stdout[-3000:]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_suite_kills(mutant: Mutant, tree: Path) -> None:
    file = tree / mutant.file
    source = file.read_text()
    assert source.count(mutant.old) == 1, f"{mutant.file} has changed: bring the mutant up to date"
    try:
        file.write_text(source.replace(mutant.old, mutant.new))
        wrong = run(tree, *mutant.killers)
    finally:
        file.write_text(source)
    assert wrong.returncode == 1, wrong.stdout[-3000:]  # 1: tests failed; others: it could not even be run
    assert "assert" in wrong.stdout
